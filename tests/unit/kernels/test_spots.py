"""What spots are kept, counted and flagged; where none may be found."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from jfwriter.kernels.ice_rings import ICE_Q_RECIPA, RINGS, d_spacing_angstrom, near_ice_ring
from jfwriter.kernels.pixel_classes import PixelRules, class_limits, excluded_pixels
from jfwriter.kernels.resolution import resolution_estimate_angstrom
from jfwriter.kernels.spots import FoundSpots, SpotFinder, SpotSettings, last_before_gap, prepare_spots

Array = npt.NDArray[Any]
SHAPE = (200, 240)
ALL = SpotSettings(high_res_gap_Q_recipA=None)


def q_map(shape: tuple[int, int] = SHAPE, per_pixel: float = 0.02) -> Array:
    """q grows by so many Å⁻¹ per pixel from the middle of pixel (10, 10)."""
    y, x = np.indices(shape)
    return (np.hypot(y - 10, x - 10) * per_pixel).astype(np.float32)


def rules(excluded: Array | None = None, shape: tuple[int, int] = SHAPE) -> PixelRules:
    return PixelRules(np.zeros(shape, np.uint8) if excluded is None else excluded, -32768, 32767)


def with_spots(*at: tuple[int, int, int]) -> Array:
    """Background 2, and spots (x, y, height) of 3 x 3 pixels."""
    image = np.full(SHAPE, 2, np.int16)
    image[::3, ::2] = 1
    for x, y, height in at:
        image[y - 1 : y + 2, x - 1 : x + 2] = height // 2
        image[y, x] = height
    return image


def find(image: Array, settings: SpotSettings = ALL, n_max: int = 250, q: Array | None = None,
         excluded: Array | None = None) -> FoundSpots:  # fmt: skip
    chosen = rules(excluded, image.shape)
    return SpotFinder(prepare_spots(settings, chosen, q), n_max).find(image)


def test_a_spot_is_measured_above_its_background() -> None:
    found = find(with_spots((50, 40, 100)))
    assert (len(found.x), found.n_unfiltered, found.n_strong_pixels) == (1, 1, 9)
    assert (found.x[0], found.y[0]) == pytest.approx((50, 40), abs=1e-5)
    assert (found.n_pixels[0], found.max_count[0]) == (9, 100)
    assert found.intensity[0] == pytest.approx(500 - 9 * 11 / 6, abs=1)
    assert (found.x.dtype, found.intensity.dtype, found.max_count.dtype) == ("f4", "f4", "i8")


def test_the_strongest_are_kept_strongest_first() -> None:
    found = find(with_spots((50, 40, 100), (90, 40, 300), (130, 40, 200)), n_max=2)
    assert found.x.tolist() == pytest.approx([90, 130], abs=1e-5)
    assert found.n_unfiltered == 3


@pytest.mark.parametrize(("low", "high", "n"), [(1, 8, 0), (9, 9, 1), (10, 50, 0), (1, 9, 1)])
def test_limits_of_the_number_of_pixels_include_both(low: int, high: int, n: int) -> None:
    found = find(with_spots((50, 40, 100)), replace(ALL, min_pix_per_spot=low, max_pix_per_spot=high))
    assert (found.n_unfiltered, found.n_strong_pixels) == (n, 9)


def test_corners_connect() -> None:
    image = np.ones(SHAPE, np.int16)
    image[60, 60] = image[61, 61] = image[62, 60] = 90
    assert find(image).n_pixels.tolist() == [3]


def test_resolution_limits_and_the_resolution_of_spots() -> None:
    image = with_spots((60, 10, 100), (110, 10, 100), (210, 10, 100))
    q = q_map()
    found = find(image, q=q)
    np.testing.assert_allclose(np.sort(2 * math.pi / found.d_angstrom), [1.0, 2.0, 4.0], rtol=1e-6)
    limits = replace(ALL, high_resolution_limit=2 * math.pi / 3, low_resolution_limit=2 * math.pi / 1.5)
    found = find(image, limits, q=q)
    assert (found.n_unfiltered, found.n_strong_pixels) == (1, 9)
    assert found.x[0] == pytest.approx(110, abs=1e-5)
    off = replace(ALL, high_resolution_limit=0.0, low_resolution_limit=0.0)
    assert find(image, off, q=q).n_unfiltered == 3
    assert find(image, limits).n_unfiltered == 3


def test_low_resolution_count_is_of_all_spots() -> None:
    image = with_spots((60, 10, 100), (72, 10, 100), (110, 10, 300), (210, 10, 300))
    limit = replace(ALL, high_resolution_limit_for_spot_count_low_res=5.0)
    found = find(image, limit, n_max=1, q=q_map())
    assert (len(found.x), found.n_low_res) == (1, 2)


def test_spots_beyond_a_gap_are_dropped() -> None:
    image = with_spots((60, 10, 100), (110, 10, 100), (210, 10, 100), (235, 10, 100))
    found = find(image, replace(ALL, high_res_gap_Q_recipA=1.5), q=q_map())
    assert (len(found.x), found.n_unfiltered) == (2, 4)
    assert find(image, replace(ALL, high_res_gap_Q_recipA=2.1), q=q_map()).n_unfiltered == 4
    assert len(find(image, replace(ALL, high_res_gap_Q_recipA=1.5)).x) == 4


def test_gap_is_the_first_one_outwards() -> None:
    assert last_before_gap(np.array([4.0, 0.5, 1.0]), 1.5) == 1.0
    assert last_before_gap(np.array([0.5, 2.0, 3.5]), 1.5) == 0.5
    assert last_before_gap(np.array([0.5, 1.0]), 1.5) == math.inf
    assert last_before_gap(np.empty(0), 1.5) == math.inf
    assert last_before_gap(np.array([np.nan, np.nan]), 1.5) == math.inf


def test_ice_rings_are_those_of_the_literature() -> None:
    # As listed in the template input files of XDS (EXCLUDE_RESOLUTION_RANGE).
    listed = [3.897, 3.669, 3.441, 2.671, 2.249, 2.072, 1.948, 1.918, 1.883, 1.721]
    ours = sorted((d_spacing_angstrom(*hkl) for hkl in RINGS), reverse=True)[:10]
    np.testing.assert_allclose(ours, listed, atol=0.003)


def test_ice_flag_is_a_band_in_q() -> None:
    q = ICE_Q_RECIPA[0]
    values = np.array([q - 0.031, q - 0.029, q, q + 0.029, q + 0.031, 0.0, 99.0, np.nan])
    assert near_ice_ring(values, 0.03).tolist() == [False, True, True, True, False, False, False, False]
    on = round(10 + float(q) / 0.02)
    found = find(with_spots((on, 10, 100), (on + 12, 10, 90)), q=q_map())
    assert (found.ice_ring.tolist(), found.n_ice_ring) == ([True, False], 1)


def test_saturated_pixels_are_strong_and_in_no_sum() -> None:
    image = with_spots((50, 40, 100))
    image[40, 50] = 32767
    image[100:102, 100] = 32767
    found = find(image)
    assert found.n_pixels.tolist() == [2, 9]
    assert found.max_count.tolist() == [32767, 32767]
    assert found.intensity[0] == pytest.approx(2 * (32767 - 11 / 6), abs=2)


def test_masked_and_error_pixels_are_never_strong() -> None:
    image = with_spots((50, 40, 5000), (90, 40, 5000))
    excluded = np.zeros(SHAPE, np.uint8)
    excluded[35:46, 45:56] = 1
    image[38:43, 88:93] = -32768
    assert find(image, excluded=excluded).n_strong_pixels == 0


@pytest.mark.parametrize("dtype", ["int16", "uint16", "uint32", "float32"])
@pytest.mark.parametrize("rate", [0.3, 3.0, 40.0])
def test_gaps_and_edges_of_panels_make_no_spots(dtype: str, rate: float) -> None:
    """Four panels between gaps that hold the error value."""
    rng = np.random.default_rng(3)
    kind = np.dtype(dtype)
    image = rng.poisson(rate, SHAPE).astype(kind)
    hole = np.nan if kind.kind == "f" else np.iinfo(kind).min if kind.kind == "i" else np.iinfo(kind).max
    image[96:104, :] = hole
    image[:, 118:126] = hole
    error = 0 if kind.kind == "f" else int(hole)
    settings = replace(ALL, signal_to_noise_threshold=4.0)
    finder = SpotFinder(
        prepare_spots(settings, PixelRules(np.zeros(SHAPE, np.uint8), error, 1 << 31), None), 9
    )
    assert finder.find(image).n_unfiltered == 0


def test_an_image_of_strong_pixels_has_no_spots() -> None:
    image = np.zeros((512, 512), np.int16)
    image[::2, ::2] = 900
    everywhere = replace(ALL, min_pix_per_spot=1, signal_to_noise_threshold=0.0)
    finder = SpotFinder(prepare_spots(everywhere, rules(shape=(512, 512)), None), 100)
    found = finder.find(image)
    assert (found.n_strong_pixels, found.n_unfiltered) == (256 * 256, 0)
    image[:] = 0
    image[100, 100:103] = 50
    assert finder.find(image).n_pixels.tolist() == [3]


def test_resolution_estimate_of_a_uniform_distribution_is_its_limit() -> None:
    rng = np.random.default_rng(0)
    d = 1 / np.sqrt(rng.uniform(0, 1 / 2.0**2, 4000))
    no_ice = np.zeros(len(d), bool)
    assert resolution_estimate_angstrom(d, no_ice) == pytest.approx(2.0, rel=0.01)
    few_far = np.concatenate([d, np.full(40, 1.0)])
    assert resolution_estimate_angstrom(few_far, np.zeros(len(few_far), bool)) == pytest.approx(2.0, rel=0.02)
    assert np.isnan(resolution_estimate_angstrom(d[:9], no_ice[:9]))
    assert np.isnan(resolution_estimate_angstrom(d, ~no_ice))
    assert np.isnan(resolution_estimate_angstrom(np.full(20, np.nan), no_ice[:20]))
    assert resolution_estimate_angstrom(np.full(20, 3.0), no_ice[:20]) == pytest.approx(3.0)


def test_excluding_bits_of_the_mask() -> None:
    mask = np.array([[0, 1, 1 << 8, 1 << 15, 1 << 16, 1 << 31]], np.uint32)
    assert excluded_pixels(mask, (1, 6)).tolist() == [[0, 1, 1, 1, 0, 0]]
    assert excluded_pixels(None, (1, 2)).tolist() == [[0, 0]]


def test_values_outside_the_pixel_type_hit_no_pixel() -> None:
    limits = class_limits(PixelRules(np.zeros((1, 1), np.uint8), -(1 << 31), 1 << 40), np.dtype(np.uint16))
    assert (limits.has_error, int(limits.highest_valid)) == (False, 65535)


def test_workers_share_what_is_prepared() -> None:
    rng = np.random.default_rng(11)
    images = rng.poisson(1.5, (8, *SHAPE)).astype(np.int16)
    images[:, 20:180:17, 30:220:19] += rng.integers(10, 3000, (8, 10, 10)).astype(np.int16)
    settings = replace(ALL, min_pix_per_spot=1, adaptive_threshold=True)
    prepared = prepare_spots(settings, rules(), q_map())
    alone = SpotFinder(prepared, 250)
    expected = [alone.find(image) for image in images]
    finders = [SpotFinder(prepared, 250) for _ in range(3)]

    def work(finder: SpotFinder) -> list[FoundSpots]:
        return [finder.find(image) for image in images]

    with ThreadPoolExecutor() as threads:
        for found in threads.map(work, finders):
            for own, other in zip(found, expected, strict=True):
                assert own.x.tolist() == other.x.tolist()
                assert own.n_strong_pixels == other.n_strong_pixels
                assert len(own.x) >= 90
