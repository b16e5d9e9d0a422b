"""A row of pixels brought into one type for the azimuthal integration; what does not fit is dealt with here.

Values that fit 16 bits go on to the summing loops. The few others are added at once in double precision, and
invalid pixels are taken out of the number and weight of their bin.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jfwriter.jit import helper

LOST_N, LOST_WEIGHT, LOST_SQUARE, WIDE_SUM, WIDE_SQUARE, WIDE_MOMENT = range(6)
"""Columns of the table of exceptions, float64 [bins + 1, 6]."""

N_EXCEPTIONS = 6
UNIT_WEIGHT = float(1 << 24)
"""Weights are whole multiples of 1 / UNIT_WEIGHT, so that their products with pixels are whole too."""

_BLOCK = 256
"""Pixels that are searched for exceptions together."""


@helper
def _narrow(  # noqa: PLR0917 Numba
    row: Any, error: Any, has_error: Any, highest: Any, low: Any, high: Any, out: Any
) -> Any:
    """Copy valid values of 16 bits, others become 0; non-zero if there is one of them."""
    no_error = not has_error
    found = np.int16(0)
    for x in range(row.shape[0]):
        value = row[x]
        fits = ((value != error) | no_error) & (value <= highest) & (value >= low) & (value <= high)
        out[x] = np.int16(value) if fits else np.int16(0)
        # Without the outer conversion it is a sum in 64 bits, and the loop takes five times as long.
        found = np.int16(found | np.int16(not fits))
    return found


@helper
def _is_used(  # noqa: PLR0917 Numba
    row: Any, error: Any, has_error: Any, highest: Any, low: Any, high: Any, bins: Any, n: Any
) -> Any:
    """Whether a pixel that does not fit belongs to one of the `n` bins: most are in gaps and do not."""
    no_error = not has_error
    found = np.int32(0)
    for x in range(row.shape[0]):
        value = row[x]
        fits = ((value != error) | no_error) & (value <= highest) & (value >= low) & (value <= high)
        found = np.int32(found | np.int32((not fits) & (bins[x] < n)))
    return found


@helper
def _except(  # noqa: PLR0917 Numba
    row: Any, error: Any, has_error: Any, highest: Any, low: Any, high: Any,
    bins: Any, weights: Any, weighted: Any, table: Any,
) -> None:  # fmt: skip
    n_bins = table.shape[0]
    for x in range(row.shape[0]):
        value = row[x]
        invalid = (has_error and value == error) or not (value <= highest)
        if bins[x] >= n_bins or not (invalid or value < low or value > high):
            continue
        weight = weights[x] * (1 / UNIT_WEIGHT) if weighted else 1.0
        cell = table[bins[x]]
        if invalid:
            cell[LOST_N] += 1.0
            cell[LOST_WEIGHT] += weight
            cell[LOST_SQUARE] += weight * weight
        else:
            number = np.float64(value)
            cell[WIDE_SUM] += number
            cell[WIDE_SQUARE] += number * number
            cell[WIDE_MOMENT] += number * weight


@helper
def _take(  # noqa: PLR0917 Numba
    row: Any, error: Any, has_error: Any, highest: Any, low: Any, high: Any,
    bins: Any, weights: Any, weighted: Any, out: Any, table: Any,
) -> None:  # fmt: skip
    n_bins = np.uint32(table.shape[0])
    for start in range(0, row.shape[0], _BLOCK):
        end = min(row.shape[0], start + _BLOCK)
        part, bins_here = row[start:end], bins[start:end]
        if _narrow(part, error, has_error, highest, low, high, out[start:end]) and _is_used(
            part, error, has_error, highest, low, high, bins_here, n_bins
        ):
            _except(
                part, error, has_error, highest, low, high,
                bins_here, weights[start:end] if weighted else weights, weighted, table,
            )  # fmt: skip


@helper
def take_row(  # noqa: PLR0917 Numba
    pixels: Any, pixel_type: Any, columns: Any, error: Any, has_error: Any, highest: Any,
    bins: Any, weights: Any, weighted: Any, out: Any, table: Any,
) -> None:  # fmt: skip
    """Fill `out` int16 [x] and the table of exceptions from the bytes of a row, from its column `columns[0]`
    to `columns[1]`. `bins` uint32 [x]; those from the length of the table on are none.

    `pixel_type` is the place in PIXEL_TYPES: one kernel with seven short branches is compiled in a fraction
    of the time of seven kernels.
    """
    first, end = columns
    if pixel_type == 0:
        _take(
            pixels.view(np.int8)[first:end], np.int8(error), has_error, np.int8(highest),
            np.int8(-128), np.int8(127), bins, weights, weighted, out, table,
        )  # fmt: skip
    elif pixel_type == 1:
        _take(
            pixels.view(np.uint8)[first:end], np.uint8(error), has_error, np.uint8(highest),
            np.uint8(0), np.uint8(255), bins, weights, weighted, out, table,
        )  # fmt: skip
    elif pixel_type == 2:
        _take(
            pixels.view(np.int16)[first:end], np.int16(error), has_error, np.int16(highest),
            np.int16(-32768), np.int16(32767), bins, weights, weighted, out, table,
        )  # fmt: skip
    elif pixel_type == 3:
        _take(
            pixels.view(np.uint16)[first:end], np.uint16(error), has_error, np.uint16(highest),
            np.uint16(0), np.uint16(32767), bins, weights, weighted, out, table,
        )  # fmt: skip
    elif pixel_type == 4:
        _take(
            pixels.view(np.int32)[first:end], np.int32(error), has_error, np.int32(highest),
            np.int32(-32768), np.int32(32767), bins, weights, weighted, out, table,
        )  # fmt: skip
    elif pixel_type == 5:
        _take(
            pixels.view(np.uint32)[first:end], np.uint32(error), has_error, np.uint32(highest),
            np.uint32(0), np.uint32(32767), bins, weights, weighted, out, table,
        )  # fmt: skip
    else:
        # Fractions do not fit: low > high.
        _take(
            pixels.view(np.float32)[first:end], np.float32(0), False, np.float32(highest),
            np.float32(np.inf), np.float32(-np.inf), bins, weights, weighted, out, table,
        )  # fmt: skip
