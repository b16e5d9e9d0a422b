from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.kernels.pixel_classes import PIXEL_TYPES, PixelRules, default_error_value
from jfwriter.kernels.statistics import image_statistics
from tests.support import pixel_twins

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)


@st.composite
def images(draw):
    """An image of any pixel type with values near all limits, and rules for it."""
    dtype = np.dtype(draw(st.sampled_from(PIXEL_TYPES)))
    shape = draw(SHAPES)
    if dtype.kind == "f":
        saturation = draw(st.integers(-100, 100_000))
        values = st.floats(-1e5, 1e5, width=32) | st.just(np.nan) | st.just(np.float32(saturation))
        error = 0
    else:
        bounds = np.iinfo(dtype)
        saturation = draw(st.integers(int(bounds.min) + 1, int(bounds.max) + 2))
        error = draw(st.sampled_from([default_error_value(dtype), 0, 5, -1]))
        near = st.integers(max(bounds.min, saturation - 3), max(bounds.min, min(bounds.max, saturation + 3)))
        values = st.integers(bounds.min, bounds.max) | near | st.sampled_from([0, 5, int(bounds.min)])
    image = draw(hnp.arrays(dtype, shape, elements=values))
    excluded = draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 1), fill=st.just(0)))
    return image, PixelRules(excluded, error, saturation)


@given(images())
def test_equal_to_the_twin(drawn):
    image, rules = drawn
    found = image_statistics(image, rules)
    low, high, total, *counts = pixel_twins.statistics(image, rules)
    assert (found.min, found.max) == (low, high)
    assert (
        found.sum == pytest.approx(total, rel=1e-6, abs=1e-6)
        if image.dtype.kind == "f"
        else found.sum == total
    )
    assert [found.n_error, found.n_saturated, found.n_valid] == counts


def test_wide_rows_and_large_sums():
    image = np.full((3, 40_000), 65534, np.uint16)
    image[1, 39_999] = 65535
    found = image_statistics(image, PixelRules(np.zeros(image.shape, np.uint8), 65535, 65536))
    assert found.sum == (3 * 40_000 - 1) * 65534
    assert (found.n_error, found.n_valid, found.max) == (1, 119_999, 65534)


def test_masked_before_error_before_saturated():
    image = np.array([[100, 100, 100, 99]], np.int32)
    excluded = np.array([[1, 0, 0, 0]], np.uint8)
    as_error = image_statistics(image, PixelRules(excluded, 100, 100))
    as_saturated = image_statistics(image, PixelRules(excluded, -1, 100))
    assert (as_error.n_error, as_error.n_saturated, as_error.n_valid) == (2, 0, 1)
    assert (as_saturated.n_error, as_saturated.n_saturated, as_saturated.n_valid) == (0, 2, 1)


def test_read_only_images_are_taken():
    image = np.ones((4, 4), np.int16)
    image.flags.writeable = False
    assert image_statistics(image, PixelRules(np.zeros((4, 4), np.uint8), -1, 100)).sum == 16


def test_no_valid_pixel():
    found = image_statistics(np.full((2, 2), 7, np.uint8), PixelRules(np.zeros((2, 2), np.uint8), 7, 100))
    assert (found.min, found.max, found.sum, found.n_error, found.n_valid) == (None, None, 0, 4, 0)
