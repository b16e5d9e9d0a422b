"""Synthetic images against what was put in: noise, spots, gaps, types."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from jfwriter.simulator.detector import MASK_DEAD, MASK_GAP, MASK_NOISY, find_detector
from jfwriter.simulator.images import SyntheticImages, error_value, saturation_value
from jfwriter.simulator.lattice import rotation_matrix
from jfwriter.simulator.options import PIXEL_TYPES, Experiment, Scan
from jfwriter.simulator.profiles import add_spots, normal_cdf
from tests.support.simulated import small_options


def test_noise_is_poisson_on_every_ring() -> None:
    images = SyntheticImages(small_options("int32", spots=False, detector=find_detector("600x500")))
    geometry = small_options(detector=find_detector("600x500")).geometry
    ring = (geometry.q_map() / 0.1).astype(int)
    stack = np.stack([images.image(i).pixels for i in range(6)]).astype(np.float64)
    expected = images.expected_background.astype(np.float64)
    checked = 0
    for number in range(ring.max() + 1):
        chosen = (ring == number) & images.valid
        n = 6 * int(chosen.sum())
        if n < 3000:
            continue
        mean = expected[chosen].mean()
        residual = stack[:, chosen] - expected[chosen]
        assert abs(residual.mean()) < 5 * math.sqrt(mean / n)
        # The variance of n Poisson variances about λ has itself the variance (λ + 2 λ²) / n.
        variance = (expected[chosen] + 2 * expected[chosen] ** 2).mean() / n
        assert abs((residual**2).mean() - mean) < 5 * math.sqrt(variance)
        checked += 1
    assert checked > 10


def test_the_background_has_its_ring_at_3_3_angstrom() -> None:
    options = small_options(spots=False, detector=find_detector("900x900"))
    images = SyntheticImages(options)
    q = options.geometry.q_map()
    solid_angle = np.cos(2 * np.arcsin(q * options.geometry.wavelength_angstrom / (4 * math.pi))) ** 3
    scattered = images.expected_background / solid_angle
    outer = (q > 1.2) & images.valid
    assert 2 * math.pi / q[outer][scattered[outer].argmax()] == pytest.approx(3.3, abs=0.1)
    assert scattered[outer].max() == pytest.approx(options.sample.background_photons, rel=0.1)


def find_peaks(pixels: NDArray[np.generic], minimum: float) -> NDArray[np.float64]:
    """Centroids (x, y) of local maxima, the simple way: SciPy's maximum filter and a 5 x 5 centre of mass."""
    ndimage = pytest.importorskip("scipy.ndimage")
    values = pixels.astype(np.float64)
    level = ndimage.median_filter(values, 11)
    top = (ndimage.maximum_filter(values, 7) == values) & (values - level > minimum)
    centres = []
    for y, x in np.argwhere(top):
        if 3 <= y < values.shape[0] - 3 and 3 <= x < values.shape[1] - 3:
            window = np.clip(values - level, 0, None)[y - 2 : y + 3, x - 2 : x + 3]
            centres.append(
                (
                    x + (window.sum(axis=0) * np.arange(-2, 3)).sum() / window.sum(),
                    y + (window.sum(axis=1) * np.arange(-2, 3)).sum() / window.sum(),
                )
            )
    return np.array(centres)


@pytest.mark.parametrize("experiment", [Experiment.ROTATION, Experiment.STILL])
def test_spots_are_where_they_were_put(experiment: Experiment) -> None:
    detector = find_detector("700x700")
    options = small_options("uint16", detector=detector, scan=Scan(experiment=experiment), seed=3)
    images = SyntheticImages(options)
    image = images.image(2)
    spots = image.spots
    x, y = np.rint(spots.x).astype(int).clip(0, 699), np.rint(spots.y).astype(int).clip(0, 699)
    near_edge = (spots.x < 6) | (spots.x > 693) | (spots.y < 6) | (spots.y > 693)
    masked = np.array(
        [
            images.pixel_mask[max(0, b - 3) : b + 4, max(0, a - 3) : a + 4].any()
            for a, b in zip(x, y, strict=True)
        ]
    )
    distance = np.hypot(spots.x[:, None] - spots.x, spots.y[:, None] - spots.y)
    np.fill_diagonal(distance, np.inf)
    clear = ~near_edge & ~masked & (distance.min(axis=1) > 9)
    strong = clear & (spots.photons > 150)
    assert strong.sum() > 15
    peaks = find_peaks(np.where(images.valid, image.pixels, 0), 12)
    away = np.hypot(peaks[:, :1] - spots.x, peaks[:, 1:] - spots.y)
    assert np.median(away.min(axis=0)[strong]) < 0.15
    assert (away.min(axis=0)[strong] < 1.0).mean() > 0.97
    # Nothing stands out where nothing was put.
    inner = np.array(
        [
            images.valid[max(0, int(b) - 3) : int(b) + 4, max(0, int(a) - 3) : int(a) + 4].all()
            for a, b in peaks
        ]
    )
    assert (away.min(axis=1)[inner] < 2).mean() > 0.97


def test_a_reflection_has_all_its_photons_over_the_images_it_spans() -> None:
    options = small_options(n_images=30, detector=find_detector("500x500"))
    images = SyntheticImages(options)
    total: dict[tuple[int, ...], list[float]] = {}
    for i in range(30):
        spots, _ = images.predict(i)
        for hkl, photons, x in zip(spots.hkl.tolist(), spots.photons, spots.x, strict=True):
            total.setdefault((*hkl, round(x)), []).append(photons)
    coarse = SyntheticImages(
        small_options(n_images=1, detector=find_detector("500x500"), scan=Scan(increment_deg=6))
    )
    whole, _ = coarse.predict(0)
    compared = 0
    for hkl, photons, x in zip(whole.hkl.tolist(), whole.photons, whole.x, strict=True):
        parts = total.get((*hkl, round(x)), [])
        if len(parts) > 1 and photons > 100:
            assert sum(parts) == pytest.approx(photons, rel=0.02, abs=2)
            compared += 1
    assert compared > 50


def test_the_lattice_turns_with_the_image_number() -> None:
    scan = Scan(start_deg=10.0, increment_deg=0.5)
    images = SyntheticImages(small_options(scan=scan))
    (_, first), (_, later) = images.predict(0), images.predict(40)
    turn = rotation_matrix(np.asarray(scan.axis), math.radians(20.0))
    np.testing.assert_allclose(later, turn @ first, atol=1e-14)


def test_stills_show_a_new_crystal_each() -> None:
    images = SyntheticImages(small_options(scan=Scan(experiment=Experiment.STILL)))
    (spots, first), (_, second) = images.predict(0), images.predict(1)
    assert not np.allclose(first, second)
    again, same = images.predict(0)
    np.testing.assert_array_equal(first, same)
    np.testing.assert_array_equal(spots.photons, again.photons)
    np.testing.assert_allclose(
        np.abs(spots.distance_ewald), np.abs(spots.distance_ewald).clip(max=0.008), atol=1e-12
    )


def test_a_grid_scan_shows_the_crystal_in_its_middle() -> None:
    images = SyntheticImages(small_options(scan=Scan(experiment=Experiment.GRID, n_fast=9), n_images=81))
    photons = np.array([images.predict(i)[0].photons.sum() for i in range(81)]).reshape(9, 9)
    assert photons.argmax() == 40
    assert photons[4, 4] > 10 * photons[0].max()


@pytest.mark.parametrize("name", PIXEL_TYPES)
def test_every_pixel_type(name: str) -> None:
    options = small_options(name)
    images = SyntheticImages(options)
    pixels = images.image(0).pixels
    assert pixels.dtype == np.dtype(name)
    assert pixels.shape == options.detector.shape
    hole, top = error_value(options.dtype), saturation_value(options.dtype)
    masked = (images.pixel_mask & (MASK_GAP | MASK_DEAD)) != 0
    assert np.isnan(pixels[masked]).all() if hole is None else (pixels[masked] == hole).all()
    values = pixels[images.valid].astype(np.float64)
    assert values.min() >= 0
    assert values.max() <= top
    assert values.mean() == pytest.approx(images.expected_background[images.valid].mean(), rel=0.3)


def test_bright_pixels_are_clipped_to_the_saturation_value() -> None:
    for name in ("int8", "uint8"):
        options = small_options(name)
        bright = dataclasses.replace(options.sample, background_photons=400.0)
        pixels = SyntheticImages(dataclasses.replace(options, sample=bright)).image(0).pixels
        assert (pixels == saturation_value(np.dtype(name))).sum() > 100


def test_the_special_values_are_the_ends_of_the_types() -> None:
    for name in PIXEL_TYPES[:-1]:
        info = np.iinfo(name)
        assert error_value(np.dtype(name)) == (info.min if name.startswith("i") else info.max)
        assert saturation_value(np.dtype(name)) == (info.max if name.startswith("i") else info.max - 1)
    assert error_value(np.dtype("f4")) is None


def test_the_same_seed_gives_the_same_image() -> None:
    first, again = (SyntheticImages(small_options(seed=7)) for _ in range(2))
    np.testing.assert_array_equal(first.image(3).pixels, again.image(3).pixels)
    np.testing.assert_array_equal(first.pixel_mask, again.pixel_mask)
    other = SyntheticImages(small_options(seed=8))
    assert (other.image(3).pixels != first.image(3).pixels).any()
    assert (first.image(4).pixels != first.image(3).pixels).any()


def test_noisy_pixels_are_masked_and_hot() -> None:
    images = SyntheticImages(small_options("int32", detector=find_detector("600x600")))
    noisy = images.pixel_mask == MASK_NOISY
    assert noisy.any()
    assert images.image(0).pixels[noisy].mean() > 30


def test_profiles_are_pixel_integrals_of_a_gaussian() -> None:
    expected = np.zeros((40, 50), np.float32)
    add_spots(expected, np.array([20.3]), np.array([15.8]), np.array([1000.0]), 0.9)
    assert expected.sum() == pytest.approx(1000, rel=1e-4)
    y, x = np.mgrid[:40, :50]
    assert (expected * x).sum() / expected.sum() == pytest.approx(20.3, abs=1e-3)
    assert (expected * y).sum() / expected.sum() == pytest.approx(15.8, abs=1e-3)
    # A Gaussian seen through pixels has the pixel's own variance of 1/12 added.
    variance = (expected * (x - 20.3) ** 2).sum() / expected.sum()
    assert variance == pytest.approx(0.9**2 + 1 / 12, rel=2e-3)


def test_spots_at_the_edge_lose_what_falls_outside() -> None:
    expected = np.zeros((20, 20), np.float32)
    add_spots(expected, np.array([-0.5, 10.0]), np.array([10.0, -300.0]), np.array([1000.0, 1000.0]), 0.8)
    assert expected.sum() == pytest.approx(500, rel=1e-3)


def test_normal_cdf() -> None:
    np.testing.assert_allclose(
        normal_cdf(np.array([-np.inf, 0.0, 1.0, np.inf])), [0, 0.5, 0.8413447, 1], rtol=1e-6
    )
