"""Positions of pixels against pyFAI's own."""

from __future__ import annotations

import numpy as np
import pytest

from jfwriter.kernels.geometry import Geometry

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
