"""Statistics of all pixels of an image (docs/reference/quantities/image-statistics.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from jfwriter.jit import kernel
from jfwriter.kernels.pixel_classes import PIXEL_TYPES, Image, Mask, PixelRules, class_limits

_SEGMENT = 1 << 14
"""Pixels that are counted in 32 bits, which is twice as fast as in 64."""


@dataclass(frozen=True, slots=True)
class ImageStatistics:
    """Of the valid pixels `min`, `max` (None without any) and `sum`; the number of pixels of each class.

    `sum` is exact for integers; for float images it is a sum in double precision.
    """

    min: float | None
    max: float | None
    sum: float
    n_error: int
    n_saturated: int
    n_valid: int


@kernel(
    *(
        f"Tuple(({pixel}, {pixel}, {'float64' if pixel == 'float32' else 'int64'}, int64, int64, int64))"
        f"(Array({pixel}, 2, 'C', readonly=True), Array(uint8, 2, 'C', readonly=True),"
        f" {pixel}, boolean, {pixel}, {pixel}, {pixel})"
        for pixel in PIXEL_TYPES
    )
)
def _statistics(  # noqa: PLR0917 Numba
    image: Any, excluded: Mask, error: Any, has_error: bool, highest: Any, lowest_value: Any,
    highest_value: Any,
) -> tuple[Any, Any, Any, int, int, int]:  # fmt: skip
    low, high = highest_value, lowest_value
    total = np.int64(0) * highest
    n_error = n_saturated = n_valid = 0
    no_error = not has_error
    for y in range(image.shape[0]):
        for start in range(0, image.shape[1], _SEGMENT):
            row, mask = image[y, start : start + _SEGMENT], excluded[y, start : start + _SEGMENT]
            inside_here: Any = np.int32(0)
            good_here: Any = np.int32(0)
            valid_here: Any = np.int32(0)
            for x in range(row.shape[0]):
                value = row[x]
                inside = mask[x] == 0
                # The last test holds for all numbers and not for NaN.
                good = inside & ((value != error) | no_error) & (value == value)  # noqa: PLR0124
                valid = good & (value <= highest)
                inside_here = np.int32(inside_here + np.int32(inside))
                good_here = np.int32(good_here + np.int32(good))
                valid_here = np.int32(valid_here + np.int32(valid))
                total += value if valid else error * 0
                low = min(low, value if valid else highest_value)
                high = max(high, value if valid else lowest_value)
            n_error += inside_here - good_here
            n_saturated += good_here - valid_here
            n_valid += valid_here
    return low, high, total, n_error, n_saturated, n_valid


def type_bounds(dtype: np.dtype[np.generic]) -> tuple[np.generic, np.generic]:
    """Smallest and largest value of a pixel type."""
    if dtype.kind == "f":
        return dtype.type(-np.inf), dtype.type(np.inf)
    bounds = np.iinfo(dtype)  # type: ignore[type-var]
    return dtype.type(bounds.min), dtype.type(bounds.max)


def image_statistics(image: Image, rules: PixelRules) -> ImageStatistics:
    """Statistics of `image` [y, x], C-contiguous, of one of PIXEL_TYPES. One pass, without the GIL."""
    limits = class_limits(rules, image.dtype)
    low, high, total, n_error, n_saturated, n_valid = _statistics(
        image, rules.excluded, limits.error, limits.has_error, limits.highest_valid, *type_bounds(image.dtype)
    )
    if not n_valid:
        return ImageStatistics(None, None, 0, n_error, n_saturated, 0)
    return ImageStatistics(low, high, total, n_error, n_saturated, n_valid)
