"""Which pixels count: one definition for all kernels.

The first that applies: masked (`excluded`), error (the error value; NaN in float images), saturated (the
saturation value and above), valid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_ExcludingBits = np.uint16
"""The lower 16 bits of a pixel mask exclude a pixel from analysis (NXmx, NXdetector/pixel_mask); 31 is
virtual. Cutting the others off takes half the memory and time of `&`, and a run waits for it."""

PIXEL_TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "float32")
"""What kernels are compiled for."""

Array = npt.NDArray[Any]
Image = npt.NDArray[np.generic]
Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class PixelRules:
    """`excluded` uint8 [y, x], C-contiguous: 1 = masked. The two values may lie outside the pixel type."""

    excluded: Mask
    error_value: int
    saturation_value: int


@dataclass(frozen=True, slots=True)
class ClassLimits:
    """Rules in the pixel type: valid is `value != error` (if `has_error`) and `value <= highest_valid`."""

    error: np.generic
    has_error: bool
    highest_valid: np.generic


def default_error_value(dtype: np.dtype[np.generic]) -> int:
    """INT_MIN for signed, UINT_MAX for unsigned integers; 0 for floats, whose error value is NaN."""
    bits = 8 * dtype.itemsize
    return {"i": -(1 << (bits - 1)), "u": (1 << bits) - 1}.get(dtype.kind, 0)


def excluded_pixels(pixel_mask: npt.NDArray[np.integer] | None, shape: tuple[int, int]) -> Mask:
    """1 where a bit of `pixel_mask` [y, x] excludes the pixel; without a mask none is. uint8 [y, x]"""
    if pixel_mask is None:
        return np.zeros(shape, np.uint8)
    return np.ascontiguousarray(pixel_mask.astype(_ExcludingBits) != 0).view(np.uint8)


def class_limits(rules: PixelRules, dtype: np.dtype[np.generic]) -> ClassLimits:
    """What kernels compare pixels of `dtype` with."""
    number = dtype.type
    if dtype.kind == "f":
        below = np.nextafter(number(rules.saturation_value), number(-np.inf))
        return ClassLimits(number(0), False, below)
    bounds = np.iinfo(dtype)  # type: ignore[type-var]
    has_error = bounds.min <= rules.error_value <= bounds.max
    highest = min(max(rules.saturation_value - 1, bounds.min), bounds.max)
    return ClassLimits(number(rules.error_value if has_error else 0), has_error, number(highest))
