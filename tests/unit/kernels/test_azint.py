"""Azimuthal integration against its twin and against pyFAI without pixel splitting."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jfwriter.kernels.azint import Azint, AzintPlan
from jfwriter.kernels.azint_map import MAX_BINS, NO_BIN, AzintMap, AzintSettings, make_azint_map
from jfwriter.kernels.geometry import Geometry
from jfwriter.kernels.pixel_classes import PIXEL_TYPES, PixelRules
from tests.support import pixel_twins

SHAPE = (187, 230)
ROTATIONS = [(0.0, 0.0, 0.0), (0.2, -0.3, 0.5)]


def geometry(rotations=(0.0, 0.0, 0.0)):
    return Geometry(SHAPE, 172e-6, 150e-6, 101.3, 94.8, 0.04, 1.03, *rotations)


def rules(shape=SHAPE, error=-32768, saturation=32767):
    return PixelRules(np.zeros(shape, np.uint8), error, saturation)


def integrate(image, azint_map, pixel_rules):
    return Azint(AzintPlan(azint_map, pixel_rules)).integrate(image)


def clear_of_edges(where, azint_settings, n_q):
    """Pixels in range whose bin does not hang on the rounding of q and φ.

    pyFAI's sparse engines put what is below the range into the first bin.
    """
    q = (where.q() - azint_settings.low_q_recipA) / azint_settings.q_spacing
    phi = where.phi() * azint_settings.azimuthal_bins / (2 * np.pi)
    margin = 2e-3
    near = (np.abs(q - np.rint(q)) < margin) | (q < 0) | (q > n_q)
    if azint_settings.azimuthal_bins > 1:
        near |= np.abs(phi - np.rint(phi)) < margin
    return ~near


@pytest.mark.parametrize("corrected", [False, True], ids=["plain", "corrected"])
@pytest.mark.parametrize("rotations", ROTATIONS, ids=["perpendicular", "turned"])
def test_profile_is_that_of_pyfai(rotations, corrected):
    pyfai = pytest.importorskip("pyFAI.integrator.azimuthal")
    where = geometry(rotations)
    wanted = AzintSettings(0.05, 3.05, 0.02, 1, corrected, 0.93, corrected)
    chosen = clear_of_edges(where, wanted, 150)
    assert chosen.mean() > 0.5
    image = np.random.default_rng(1).poisson(30 + 100 * np.exp(-(where.q() ** 2))).astype(np.int16)
    image[20:25, 100:140] = -32768
    image[60, 70:90] = 32767
    theirs = pyfai.AzimuthalIntegrator(
        dist=0.04, poni1=94.8 * 150e-6, poni2=101.3 * 172e-6, pixel1=150e-6, pixel2=172e-6,
        wavelength=1.03e-10, rot1=rotations[0], rot2=rotations[1], rot3=rotations[2],
    ).integrate1d(
        image, 150, unit="q_A^-1", radial_range=(0.05, 3.05), mask=~chosen | (image < 0) | (image == 32767),
        correctSolidAngle=corrected, polarization_factor=0.93 if corrected else None,
        method=("no", "csr", "cython"), error_model="azimuthal",
    )  # fmt: skip
    pixel_rules = dataclasses.replace(rules(), excluded=(~chosen).view(np.uint8))
    azint_map = make_azint_map(where, wanted, pixel_rules)
    ours = integrate(image, azint_map, pixel_rules)
    np.testing.assert_allclose(azint_map.bin_to_q[0], theirs.radial, rtol=0, atol=1e-6)
    assert np.array_equal(ours.count[0], theirs.count)
    filled = ours.count[0] > 0
    assert filled.sum() > 100
    np.testing.assert_allclose(ours.mean[0][filled], theirs.intensity[filled], rtol=3e-7)
    # With weights, pyFAI's running estimate depends on the order of the pixels; the twin says it exactly.
    tolerance = 0.05 if corrected else 2e-5
    np.testing.assert_allclose(ours.std[0][filled], theirs.std[filled], rtol=tolerance, atol=1e-5)
    _, std, _ = pixel_twins.profile(image, pixel_rules, azint_map.bin, azint_map.correction, 150)
    np.testing.assert_allclose(ours.std[0], std, rtol=1e-6)
    assert np.isnan(ours.mean[0][~filled]).all()


def test_sectors_are_those_of_pyfai():
    pyfai = pytest.importorskip("pyFAI.integrator.azimuthal")
    where = geometry(ROTATIONS[1])
    wanted = AzintSettings(0.05, 3.05, 0.05, 36, True, 0.93, True)
    chosen = clear_of_edges(where, wanted, 60)
    image = np.random.default_rng(2).poisson(50, SHAPE).astype(np.uint16)
    integrator = pyfai.AzimuthalIntegrator(
        dist=0.04, poni1=94.8 * 150e-6, poni2=101.3 * 172e-6, pixel1=150e-6, pixel2=172e-6,
        wavelength=1.03e-10, rot1=0.2, rot2=-0.3, rot3=0.5,
    )  # fmt: skip
    integrator.setChiDiscAtZero()
    theirs = integrator.integrate2d(
        image, 60, 36, unit="q_A^-1", radial_range=(0.05, 3.05), azimuth_range=(0, 360), mask=~chosen,
        correctSolidAngle=True, polarization_factor=0.93, method=("no", "histogram", "python"),
    )  # fmt: skip
    pixel_rules = PixelRules((~chosen).view(np.uint8), 65535, 65535)
    azint_map = make_azint_map(where, wanted, pixel_rules)
    ours = integrate(image, azint_map, pixel_rules)
    np.testing.assert_allclose(azint_map.bin_to_phi[:, 0], theirs.azimuthal, atol=1e-4)
    np.testing.assert_allclose(azint_map.bin_to_q[0], theirs.radial, atol=1e-6)
    assert np.array_equal(ours.count, theirs.count)
    filled = ours.count > 0
    np.testing.assert_allclose(ours.mean[filled], theirs.intensity[filled], rtol=3e-7)


def near_limits(random, pixel_type, shape):
    """Values around the bounds of 16 bits, where the sums change their way."""
    dtype = np.dtype(pixel_type)
    if dtype.kind == "f":
        image = random.normal(100, 50, shape).astype(dtype)
        image[random.random(shape) < 0.1] = np.nan
        return image
    bounds = np.iinfo(dtype)
    image = random.integers(max(-40_000, bounds.min), min(70_000, bounds.max), shape, endpoint=True)
    image[random.random(shape) < 0.1] = bounds.max
    return image.astype(dtype)


@settings(deadline=None)
@given(
    pixel_type=st.sampled_from(PIXEL_TYPES),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 300)),
    n_bins=st.integers(1, 9),
    corrected=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_equal_to_the_twin(pixel_type, shape, n_bins, corrected, seed):
    random = np.random.default_rng(seed)
    image = near_limits(random, pixel_type, shape)
    excluded = (random.random(shape) < 0.1).astype(np.uint8)
    pixel_rules = PixelRules(excluded, 5, int(random.integers(90, 66_000)))
    bins = random.integers(0, n_bins + 1, shape).astype(np.uint32)
    bins[(bins == n_bins) | (pixel_rules.excluded == 1)] = NO_BIN
    correction = random.integers(1, 1 << 24, shape).astype(np.float32) / (1 << 24) if corrected else None
    table = np.zeros((1, n_bins))
    found = integrate(image, AzintMap(bins, correction, table, table, table), pixel_rules)
    mean, std, count = pixel_twins.profile(image, pixel_rules, bins, correction, n_bins)
    assert np.array_equal(found.count[0], count)
    np.testing.assert_allclose(found.mean[0], mean, rtol=1e-6)
    scale = np.abs(image[np.isfinite(image)].astype(np.float64)).max(initial=1)
    np.testing.assert_allclose(found.std[0], std, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("value", [-32768, -1, 32766])
@pytest.mark.parametrize("n_bins", [1, 70_000])
def test_long_sums_of_extreme_values_are_exact(value, n_bins):
    shape = (64, 2100)
    bins = np.full(shape, n_bins - 1, np.uint32)
    table = np.zeros((1, n_bins))
    found = integrate(
        np.full(shape, value, np.int16), AzintMap(bins, None, table, table, table), rules(shape, error=7)
    )
    assert found.mean[0, -1] == value
    assert found.std[0, -1] == 0
    assert found.count[0, -1] == 64 * 2100


def test_images_do_not_leak_into_each_other():
    azint_map = make_azint_map(geometry(), AzintSettings(0.1, 2.0, 0.1), rules())
    azint = Azint(AzintPlan(azint_map, rules()))
    image = np.random.default_rng(3).poisson(5, SHAPE).astype(np.int16)
    first = azint.integrate(image)
    azint.integrate(np.full(SHAPE, -32768, np.int16))
    again = azint.integrate(image)
    assert np.array_equal(first.mean, again.mean, equal_nan=True)
    assert np.array_equal(first.count, again.count)


def test_without_a_highest_q_the_bins_reach_the_farthest_pixel():
    where = geometry()
    azint_map = make_azint_map(where, AzintSettings(0.1, None, 0.05), rules())
    last = azint_map.bin_to_q[0, -1] + 0.025
    assert last - 0.05 < where.q().max() <= last + 1e-9
    assert ((azint_map.bin == NO_BIN) == (where.q() < 0.1)).all()


def test_masked_pixels_are_in_no_bin():
    pixel_rules = rules()
    pixel_rules.excluded[5:9, 10:20] = 1
    azint_map = make_azint_map(geometry(), AzintSettings(1e-5, None, 0.05), pixel_rules)
    assert np.array_equal(azint_map.bin == NO_BIN, pixel_rules.excluded == 1)


def test_a_whole_number_of_bins_stays_it():
    for n in (1, 3, 10, 49, 999):
        azint_map = make_azint_map(geometry(), AzintSettings(0.1, 0.1 + n * 0.01, 0.01), rules())
        assert azint_map.shape == (1, n)


@pytest.mark.parametrize(
    "wanted", [AzintSettings(1.0, 0.5, 0.01), AzintSettings(0.1, 5, 0.0), AzintSettings(50.0, None, 0.01)]
)
def test_no_bins_are_refused(wanted):
    with pytest.raises(ValueError, match="no bin from"):
        make_azint_map(geometry(), wanted, rules())


def test_too_many_bins_are_refused():
    with pytest.raises(ValueError, match=str(MAX_BINS)):
        make_azint_map(geometry(), AzintSettings(0.1, 5, 1e-5, 512), rules())
