"""Number and sum of the valid pixels of windows, from running sums of whole columns.

Each valid pixel is packed into 32 bits: a one above its value, which is shifted to be positive. A masked or
error pixel is 0. One sum of packed pixels then carries both numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jfwriter.jit import helper

HALF_WINDOW = 3
SIDE = 2 * HALF_WINDOW + 1

LOWEST, HIGHEST = -32768, 32767
"""Values in packed sums are cut to this range."""

VALUE_BITS = 22
"""Room for the sum of 49 values of 16 bits; their number is above."""

ONE = 1 << VALUE_BITS

ZERO = ONE - LOWEST
"""The packed value 0."""

COUNT_BITS = 6
SATURATED = 1 << (VALUE_BITS + COUNT_BITS)
"""A saturated pixel, packed: it is in no bit that is read of a sum, whether or not the sum overflows."""


@helper
def _enter(  # noqa: PLR0917 Numba
    row: Any, mask: Any, error: Any, has_error: Any, highest: Any, low: Any, high: Any, packed: Any, sums: Any
) -> None:
    no_error = not has_error
    for x in range(row.shape[0]):
        value = row[x]
        counted = (mask[x] == 0) & ((value != error) | no_error)
        saturated = np.int32(SATURATED) if counted & (value > highest) else np.int32(0)
        shifted = np.int32(np.int32(min(max(value, low), high)) + np.int32(ZERO))
        new = shifted if counted & (value <= highest) else saturated
        sums[x] = np.int32(sums[x] + new - packed[x])
        packed[x] = new


@helper
def _enter_real(row: Any, mask: Any, highest: Any, packed: Any, sums: Any) -> None:
    low, high = np.float32(LOWEST), np.float32(HIGHEST)
    for x in range(row.shape[0]):
        value = row[x]
        saturated = np.int32(SATURATED) if (mask[x] == 0) & (value > highest) else np.int32(0)
        valid = (mask[x] == 0) & (value <= highest)
        rounded = np.rint(min(max(value if valid else np.float32(0), low), high))
        new = np.int32(np.int32(rounded) + np.int32(ZERO)) if valid else saturated
        sums[x] = np.int32(sums[x] + new - packed[x])
        packed[x] = new


@helper
def leave_row(packed: Any, sums: Any) -> None:
    """Take the row `packed` out of `sums`."""
    for x in range(packed.shape[0]):
        sums[x] = np.int32(sums[x] - packed[x])
        packed[x] = 0


@helper
def enter_row(  # noqa: PLR0917 Numba
    row: Any, pixel_type: Any, mask: Any, error: Any, has_error: Any, highest: Any, packed: Any, sums: Any
) -> None:
    """Replace the row `packed` by a new one and bring `sums` up to date.

    `row` are the bytes of the new row and `pixel_type` is the place in PIXEL_TYPES: one kernel with
    seven short branches is compiled in a fraction of the time of seven kernels.
    """
    if pixel_type == 0:
        _enter(
            row.view(np.int8),
            mask,
            np.int8(error),
            has_error,
            np.int8(highest),
            np.int8(-128),
            np.int8(127),
            packed,
            sums,
        )
    elif pixel_type == 1:
        _enter(
            row.view(np.uint8),
            mask,
            np.uint8(error),
            has_error,
            np.uint8(highest),
            np.uint8(0),
            np.uint8(255),
            packed,
            sums,
        )
    elif pixel_type == 2:
        _enter(
            row.view(np.int16),
            mask,
            np.int16(error),
            has_error,
            np.int16(highest),
            np.int16(LOWEST),
            np.int16(HIGHEST),
            packed,
            sums,
        )
    elif pixel_type == 3:
        _enter(
            row.view(np.uint16),
            mask,
            np.uint16(error),
            has_error,
            np.uint16(highest),
            np.uint16(0),
            np.uint16(HIGHEST),
            packed,
            sums,
        )
    elif pixel_type == 4:
        _enter(
            row.view(np.int32),
            mask,
            np.int32(error),
            has_error,
            np.int32(highest),
            np.int32(LOWEST),
            np.int32(HIGHEST),
            packed,
            sums,
        )
    elif pixel_type == 5:
        _enter(
            row.view(np.uint32),
            mask,
            np.uint32(error),
            has_error,
            np.uint32(highest),
            np.uint32(0),
            np.uint32(HIGHEST),
            packed,
            sums,
        )
    else:
        _enter_real(row.view(np.float32), mask, np.float32(highest), packed, sums)
