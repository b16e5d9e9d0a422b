from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.kernels.geometry import Geometry
from jfwriter.kernels.pixel_classes import PIXEL_TYPES, PixelRules
from jfwriter.kernels.roi import NO_MAX, Azimuthal, Box, Circle, RoiSums, make_roi_map, roi_integrals
from tests.support import pixel_twins

SHAPE = (60, 80)
GEOMETRY = Geometry(SHAPE, 1e-3, 1e-3, 40.0, 30.0, 0.1, 1.0)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]]


def footprint(region):
    return make_roi_map([region], GEOMETRY, SHAPE) == 1


def test_both_bounds_of_a_box_belong_to_it():
    expected = (X >= 3) & (X <= 7) & (Y >= 10) & (Y <= 10)
    assert np.array_equal(footprint(Box(3, 7, 10, 10)), expected)
    assert footprint(Box(70, 1000, 50, 1000)).sum() == 10 * 10
    assert not footprint(Box(7, 3, 0, 10)).any()


def test_a_circle_counts_from_the_corner_of_the_detector():
    """The pixel centre (20.5, 10.5) is pixel (20, 10)."""
    assert np.argwhere(footprint(Circle(20.5, 10.5, 0.1))).tolist() == [[10, 20]]
    assert np.argwhere(footprint(Circle(20.0, 10.0, 0.71))).tolist() == [[9, 19], [9, 20], [10, 19], [10, 20]]
    square = (X + 0.5 - 33.3) ** 2 + (Y + 0.5 - 21.7) ** 2
    assert np.array_equal(footprint(Circle(33.3, 21.7, 9.25)), square <= 9.25**2)


def test_a_ring_is_bound_by_q():
    radius = np.hypot((X + 0.5 - 40) * 1e-3, (Y + 0.5 - 30) * 1e-3)
    q = 4 * np.pi * np.sin(np.arctan2(radius, 0.1) / 2)
    assert np.array_equal(footprint(Azimuthal(0.5, 1.0)), (q >= 0.5) & (q <= 1.0))


@pytest.mark.parametrize(("first", "last"), [(30.0, 60.0), (330.0, 30.0), (-30.0, 30.0), (90.0, 270.0)])
def test_a_sector_turns_from_columns_to_rows_and_wraps(first, last):
    phi = np.degrees(np.arctan2(Y + 0.5 - 30, X + 0.5 - 40)) % 360
    between = (
        (phi >= first % 360) & (phi <= last) if first % 360 <= last else (phi >= first % 360) | (phi <= last)
    )
    ring = footprint(Azimuthal(0.5, 1.5))
    assert np.array_equal(footprint(Azimuthal(0.5, 1.5, first, last)), ring & between)


def test_full_turn_and_unknown_geometry():
    assert np.array_equal(footprint(Azimuthal(0.5, 1.5, 0.0, 360.0)), footprint(Azimuthal(0.5, 1.5)))
    assert not make_roi_map([Azimuthal(0.5, 1.5)], None, SHAPE).any()


def test_at_most_sixteen_regions():
    with pytest.raises(ValueError, match="at most 16"):
        make_roi_map([Box(0, 1, 0, 1)] * 17, GEOMETRY, SHAPE)


REGIONS = st.lists(
    st.builds(Box, *(st.integers(0, 79) for _ in range(4)))
    | st.builds(Circle, st.floats(-5, 90), st.floats(-5, 70), st.floats(0.1, 40))
    | st.builds(Azimuthal, st.floats(0.01, 1), st.floats(0.5, 2), st.floats(0, 360), st.floats(0, 360)),
    min_size=1,
    max_size=16,
)


@given(REGIONS, st.sampled_from(PIXEL_TYPES), st.integers(0, 2**32 - 1))
def test_equal_to_sums_over_explicit_masks(regions, pixel_type, seed):
    random = np.random.default_rng(seed)
    image = random.integers(0, 120, SHAPE).astype(pixel_type)
    if np.dtype(pixel_type).kind != "u":
        image -= np.array(20, pixel_type)
    if pixel_type == "float32":
        image[random.random(SHAPE) < 0.05] = np.nan
    rules = PixelRules((random.random(SHAPE) < 0.1).astype(np.uint8), 7, 90)
    roi_map = make_roi_map(regions, GEOMETRY, SHAPE)
    found = roi_integrals(image, rules, roi_map, len(regions))
    for i in range(len(regions)):
        inside = (roi_map >> i) & 1 == 1
        assert np.array_equal(inside, footprint(regions[i]))
        total, square, high, n, x, y = pixel_twins.roi(image, rules, inside)
        assert (found.sum[i], found.sum_square[i], found.n_pixels[i]) == (total, square, n)
        assert found.max[i] == (NO_MAX if high is None else high)
        np.testing.assert_allclose([found.x[i], found.y[i]], [x, y], rtol=1e-12)


def test_the_largest_values_do_not_overflow():
    image = np.full((64, 64), 2**32 - 2, np.uint32)
    rules = PixelRules(np.zeros((64, 64), np.uint8), 2**32 - 1, 2**32)
    found = roi_integrals(image, rules, np.ones((64, 64), np.uint16), 1)
    assert found.sum[0] == 64 * 64 * (2**32 - 2)
    assert found.sum_square[0] == 2**64 - 1  # more than it holds
    assert found.max[0] == 2**32 - 2
    assert found.x[0] == pytest.approx(31.5)


def test_bits_beyond_the_number_of_regions_are_ignored():
    rules = PixelRules(np.zeros((4, 4), np.uint8), -1, 100)
    sums = RoiSums(rules, np.full((4, 4), 0xFFFF, np.uint16), 2).integrate(np.ones((4, 4), np.int16))
    assert sums.n_pixels.tolist() == [16, 16]
