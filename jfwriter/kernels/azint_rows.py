"""Rows of pixels brought into one type for the azimuthal integration; what does not fit is dealt with here.

Values that fit 16 bits go on to the summing loop. The few others are added at once in double precision, and
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


@helper
def _narrow(  # noqa: PLR0917 Numba
    row: Any, unused: Any, error: Any, has_error: Any, highest: Any, low: Any, high: Any, out: Any
) -> Any:  # fmt: skip
    """Copy valid values of 16 bits, others become 0; true if one of them is used."""
    no_error = not has_error
    found = False
    for x in range(row.shape[0]):
        value = row[x]
        fits = ((value != error) | no_error) & (value <= highest) & (value >= low) & (value <= high)
        out[x] = np.int16(value) if fits else np.int16(0)
        found |= (not fits) & (unused[x] == 0)
    return found


@helper
def _except(  # noqa: PLR0917 Numba
    row: Any, unused: Any, error: Any, has_error: Any, highest: Any, low: Any, high: Any,
    bins: Any, weights: Any, weighted: Any, table: Any,
) -> None:  # fmt: skip
    for x in range(row.shape[0]):
        value = row[x]
        invalid = (has_error and value == error) or not (value <= highest)
        if unused[x] != 0 or not (invalid or value < low or value > high):
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
    image: Any, unused: Any, error: Any, has_error: Any, highest: Any, low: Any, high: Any,
    group: Any, bins: Any, weights: Any, weighted: Any, rows: Any, table: Any,
) -> None:  # fmt: skip
    n_groups = bins.shape[0]
    for k in range(rows.shape[0]):
        y, out = group + k * n_groups, rows[k]
        if y >= image.shape[0]:
            out[:] = np.int16(0)
            continue
        row, mask = image[y], unused[y]
        if _narrow(row, mask, error, has_error, highest, low, high, out):
            of_row = weights[group if weighted else 0, :, k]
            _except(
                row, mask, error, has_error, highest, low, high, bins[group, :, k], of_row, weighted, table
            )


@helper
def take_rows(  # noqa: PLR0917 Numba
    pixels: Any, pixel_type: Any, unused: Any, error: Any, has_error: Any, highest: Any,
    group: Any, bins: Any, weights: Any, weighted: Any, rows: Any, table: Any,
) -> None:  # fmt: skip
    """Fill `rows` int16 [k, x] and the table of exceptions from the bytes of the image, for a group of rows.

    `pixel_type` is the place in PIXEL_TYPES: one kernel with seven short branches is compiled in a fraction
    of the time of seven kernels.
    """
    if pixel_type == 0:
        _take(
            pixels.view(np.int8), unused, np.int8(error), has_error, np.int8(highest),
            np.int8(-128), np.int8(127), group, bins, weights, weighted, rows, table,
        )  # fmt: skip
    elif pixel_type == 1:
        _take(
            pixels.view(np.uint8), unused, np.uint8(error), has_error, np.uint8(highest),
            np.uint8(0), np.uint8(255), group, bins, weights, weighted, rows, table,
        )  # fmt: skip
    elif pixel_type == 2:
        _take(
            pixels.view(np.int16), unused, np.int16(error), has_error, np.int16(highest),
            np.int16(-32768), np.int16(32767), group, bins, weights, weighted, rows, table,
        )  # fmt: skip
    elif pixel_type == 3:
        _take(
            pixels.view(np.uint16), unused, np.uint16(error), has_error, np.uint16(highest),
            np.uint16(0), np.uint16(32767), group, bins, weights, weighted, rows, table,
        )  # fmt: skip
    elif pixel_type == 4:
        _take(
            pixels.view(np.int32), unused, np.int32(error), has_error, np.int32(highest),
            np.int32(-32768), np.int32(32767), group, bins, weights, weighted, rows, table,
        )  # fmt: skip
    elif pixel_type == 5:
        _take(
            pixels.view(np.uint32), unused, np.uint32(error), has_error, np.uint32(highest),
            np.uint32(0), np.uint32(32767), group, bins, weights, weighted, rows, table,
        )  # fmt: skip
    else:
        # Fractions do not fit: low > high.
        _take(
            pixels.view(np.float32), unused, np.float32(0), False, np.float32(highest),
            np.float32(np.inf), np.float32(-np.inf), group, bins, weights, weighted, rows, table,
        )  # fmt: skip
