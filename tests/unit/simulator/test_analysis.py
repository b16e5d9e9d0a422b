"""What is measured on images, against slow and plain ways to get the same."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from jfwriter.simulator.analysis import (
    RadialProfile,
    find_candidates,
    measure_spots,
    radial_profile,
    statistics,
)
from jfwriter.simulator.geometry import Geometry
from jfwriter.simulator.profiles import add_spots
from jfwriter.simulator.tables import NO_BIN, default_rois, make_tables, roi_pixels
from jfwriter.wire.messages import RoiAzimuthal, RoiBox, RoiCircle

GEOMETRY = Geometry((120, 160), 75e-6, 70.5, 55.25, 0.02, 1.0)
VALID = np.random.default_rng(0).random((120, 160)) > 0.02


def spotty(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """An image and the positions (x, y) of its ten spots."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(15, 150, 28), np.arange(15, 110, 60)), axis=-1).reshape(-1, 2)
    centres = grid + rng.uniform(-3, 3, grid.shape)
    expected = np.full((120, 160), 2.0, np.float32)
    add_spots(expected, centres[:, 0], centres[:, 1], np.full(len(centres), 400.0), 0.8)
    pixels = rng.poisson(expected).astype(np.int32)
    pixels[~VALID] = np.iinfo(np.int32).min
    return pixels, centres


def test_the_profile_is_the_mean_of_each_bin() -> None:
    tables = make_tables(GEOMETRY, VALID, 40)
    pixels, _ = spotty()
    profile = radial_profile(pixels, tables)
    q = GEOMETRY.q_map()
    width = tables.bin_to_q[1] - tables.bin_to_q[0]
    for i, centre in enumerate(tables.bin_to_q):
        inside = VALID & (np.abs(q - centre) <= width / 2)
        if not inside.any():
            assert profile.count[i] == 0
            assert math.isnan(profile.mean[i])
            continue
        # A pixel on the border of two bins may count for either.
        assert abs(profile.count[i] - inside.sum()) <= 2
        assert profile.mean[i] == pytest.approx(pixels[inside].mean(), rel=0.05, abs=0.05)


def test_the_bins_hold_all_good_pixels() -> None:
    tables = make_tables(GEOMETRY, VALID, 40)
    np.testing.assert_array_equal(tables.bin_map == NO_BIN, ~VALID)
    assert set(np.unique(tables.bin_map)) == {*range(40), NO_BIN}


def test_found_spots_are_those_put_in() -> None:
    pixels, centres = spotty()
    tables = make_tables(GEOMETRY, VALID, 40)
    profile = radial_profile(pixels, tables)
    y, x = find_candidates(pixels, tables, profile)
    spots = measure_spots(pixels, tables, profile, y, x)
    away = np.hypot(spots.x[:, None] - centres[:, 0], spots.y[:, None] - centres[:, 1])
    assert (away.min(axis=1) < 1).all()
    assert (away.min(axis=0) < 1).sum() >= 8  # one may lie on bad pixels
    whole = spots.intensity[away.min(axis=1) < 0.3]
    assert np.median(whole) == pytest.approx(400, rel=0.15)


def test_weak_and_unseen_candidates_are_left_out() -> None:
    pixels, _ = spotty()
    tables = make_tables(GEOMETRY, VALID, 40)
    profile = radial_profile(pixels, tables)
    bad_y, bad_x = np.argwhere(~VALID)[0]
    y, x = np.array([-3, 500, 62, bad_y]), np.array([5, 5, 95, bad_x])
    assert measure_spots(pixels, tables, profile, y, x).x.size == 0
    nothing = np.empty(0, np.int64)
    assert measure_spots(pixels, tables, profile, nothing, nothing).x.size == 0


def test_an_empty_image_has_no_candidates() -> None:
    tables = make_tables(GEOMETRY, VALID, 40)
    pixels = np.zeros((120, 160), np.int16)
    y, _ = find_candidates(pixels, tables, radial_profile(pixels, tables))
    assert y.size == 0


def test_statistics_leave_out_what_is_no_measurement() -> None:
    pixels = np.array([[0, 5, 7], [32767, -32768, 9]], np.int16)
    valid = np.array([[True, True, True], [True, False, False]])
    found = statistics(pixels, valid)
    assert dataclasses.astuple(found) == (0, 7, 12, 1, 1)
    assert dataclasses.astuple(statistics(pixels, np.zeros_like(valid))) == (0, 0, 0, 0, 1)
    floats = np.array([[1.0, np.nan], [2.5, 3.0]], np.float32)
    assert dataclasses.astuple(statistics(floats, ~np.isnan(floats))) == (1, 3, 6, 0, 1)


def test_regions_of_interest() -> None:
    q = GEOMETRY.q_map()
    box = roi_pixels(RoiBox("b", 3, 5, 10, 10), GEOMETRY, q)
    assert np.argwhere(box).tolist() == [[10, 3], [10, 4], [10, 5]]
    circle = roi_pixels(RoiCircle("c", 20.5, 30.5, 1.0), GEOMETRY, q)
    assert np.argwhere(circle).tolist() == [[29, 20], [30, 19], [30, 20], [30, 21], [31, 20]]
    ring = roi_pixels(RoiAzimuthal("r", 0.5, 0.7), GEOMETRY, q)
    assert ring.any()
    assert q[ring].min() >= 0.5
    assert q[ring].max() <= 0.7
    sectors = [(0.0, 90.0), (90.0, 180.0), (180.0, 270.0), (270.0, 0.0)]
    parts = [roi_pixels(RoiAzimuthal("s", 0.5, 0.7, *phi), GEOMETRY, q) for phi in sectors]
    np.testing.assert_array_equal(np.any(parts, axis=0), ring)
    y, x = np.nonzero(parts[0])
    assert (x + 0.5 >= GEOMETRY.beam_x_pxl).all()
    assert (y + 0.5 >= GEOMETRY.beam_y_pxl).all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (50, 40)])
def test_tables_of_tiny_images(shape: tuple[int, int]) -> None:
    geometry = dataclasses.replace(GEOMETRY, shape=shape, beam_x_pxl=shape[1] / 2, beam_y_pxl=shape[0] / 2)
    tables = make_tables(geometry, np.ones(shape, bool), 10)
    assert [roi.name for roi in default_rois(geometry)] == [roi.name for roi in tables.rois]
    assert isinstance(radial_profile(np.ones(shape, np.int16), tables), RadialProfile)
