"""Positions of pixels against pyFAI's own."""

from __future__ import annotations

import numpy as np
import pytest

from jfwriter.kernels.geometry import CachedGeometry, Geometry

pyfai = pytest.importorskip("pyFAI.integrator.azimuthal")
SHAPE = (120, 150)
ROTATIONS = [(0.0, 0.0, 0.0), (0.3, 0.0, 0.0), (0.0, -0.2, 0.0), (0.0, 0.0, 0.5), (0.1, -0.2, 0.3)]


@pytest.mark.parametrize("rotations", ROTATIONS)
def test_q_two_theta_and_phi(rotations):
    ours = Geometry(SHAPE, 75e-6, 80e-6, 70.3, 40.7, 0.01, 1.1, *rotations)
    theirs = pyfai.AzimuthalIntegrator(
        dist=0.01, poni1=40.7 * 80e-6, poni2=70.3 * 75e-6, pixel1=80e-6, pixel2=75e-6, wavelength=1.1e-10,
        rot1=rotations[0], rot2=rotations[1], rot3=rotations[2],
    )  # fmt: skip
    np.testing.assert_allclose(ours.two_theta(), theirs.center_array(SHAPE, unit="2th_rad"), atol=1e-6)
    np.testing.assert_allclose(ours.q(), theirs.center_array(SHAPE, unit="q_A^-1"), atol=1e-6)
    turn = np.exp(1j * (ours.phi() - theirs.center_array(SHAPE, unit="chi_rad")))
    np.testing.assert_allclose(turn, 1, atol=1e-5)
    assert ours.phi().min() >= 0
    assert ours.phi().max() < 2 * np.pi
    np.testing.assert_allclose(ours.cos_incidence() ** 3, theirs.solidAngleArray(SHAPE), atol=1e-6)


def test_phi_starts_along_columns_and_turns_towards_rows():
    phi = np.degrees(Geometry((101, 101), 1e-3, 1e-3, 50.5, 50.5, 0.1, 1.0).phi())
    assert phi[50, 100] == 0
    assert phi[100, 50] == pytest.approx(90)
    assert phi[50, 0] == pytest.approx(180)
    assert phi[0, 50] == pytest.approx(270)


def test_two_theta_of_q_goes_back():
    geometry = Geometry(SHAPE, 75e-6, 80e-6, 70.3, 40.7, 0.01, 1.1)
    two_theta = geometry.two_theta()
    np.testing.assert_allclose(geometry.two_theta_of(geometry.q_of(two_theta)), two_theta, atol=1e-12)
    assert np.isnan(geometry.two_theta_of(np.array([4 * np.pi / 1.1 + 0.1])))[0]


@pytest.mark.parametrize("rotations", ROTATIONS)
@pytest.mark.parametrize("shape", [SHAPE, (1, 1), (129, 7)])
def test_a_cached_geometry_has_the_same_bits(shape, rotations):
    fields = (shape, 75e-6, 80e-6, 70.3, 40.7, 0.01, 1.1, *rotations)
    plain, cached = Geometry(*fields), CachedGeometry(*fields)
    for _ in range(2):
        for name in ("q", "phi", "two_theta", "cos_incidence"):
            expected = getattr(plain, name)()
            assert getattr(cached, name)().tobytes() == expected.tobytes(), name
            some = slice(shape[0] // 3, shape[0] // 3 + 5)
            assert getattr(cached, name)(some).tobytes() == expected[some].tobytes(), name
        assert cached.q_map().tobytes() == plain.q_map().tobytes()
        cached.forget()


def test_a_cached_geometry_finds_once_what_nobody_may_change():
    cached = CachedGeometry(SHAPE, 75e-6, 80e-6, 70.3, 40.7, 0.01, 1.1)
    for ask in (cached.q, cached.phi, cached.two_theta):
        before = ask()
        assert np.shares_memory(ask(slice(3, 5)), before)
        with pytest.raises(ValueError, match="read-only"):
            before[0, 0] = 1
        cached.forget()
        assert not np.shares_memory(ask(), before)
