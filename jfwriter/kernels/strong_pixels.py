"""Strong pixels: those that stand out of their own surroundings (docs/reference/quantities/spots.md).

One pass from top to bottom. Pixels that reach the threshold are decided by the sums of their own window in
double precision. Where they are many, a test in single precision on running window sums lets every strong one
through and few others before.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jfwriter.jit import borrowed, helper, kernel
from jfwriter.kernels.pixel_classes import PIXEL_TYPES, Array, Image, Mask, PixelRules, class_limits
from jfwriter.kernels.rings import NO_RING, SEGMENT, Rings
from jfwriter.kernels.window_sums import (
    COUNT_BITS,
    HALF_WINDOW,
    HIGHEST,
    LOWEST,
    ONE,
    SATURATED,
    SIDE,
    VALUE_BITS,
    ZERO,
    enter_row,
    leave_row,
)

MIN_NEIGHBOURS = 12
"""Valid pixels of a window beside its centre, a quarter of all: fewer say too little about the background."""


_N_MASK = (1 << COUNT_BITS) - 1
_FEW = 12
"""Pixels of a segment that are cheaper decided one by one than with the test on all of them before."""

_ROUNDING = 1 - 1e-5
"""Makes the test in single precision the weaker one."""


@helper
def _any_at_least(packed: Any, lowest: Any) -> Any:
    found = np.int32(0)
    for x in range(packed.shape[0]):
        # Without the outer conversion it is a sum in 64 bits, which takes twice as long.
        found = np.int32(found | np.int32(packed[x] >= lowest))
    return found


@helper
def _flag_at_least(packed: Any, lowest: Any, flags: Any) -> Any:
    """Flag pixels that reach the threshold; their number."""
    n = np.int32(0)
    for x in range(packed.shape[0]):
        flag = packed[x] >= lowest
        flags[x] = np.uint8(flag)
        n = np.int32(n + np.int32(flag))
    return n


@helper
def _flag_candidates(packed: Any, sums: Any, lowest: Any, snr_square: Any, flags: Any) -> None:
    """Flag what may be strong. `sums` starts HALF_WINDOW before `packed`."""
    for x in range(packed.shape[0]):
        own = packed[x]
        window = np.int32(
            np.int32(sums[x] + sums[x + 1]) + np.int32(sums[x + 2] + sums[x + 3])
            + np.int32(sums[x + 4] + sums[x + 5]) + np.int32(sums[x + 6] - own)
        )  # fmt: skip
        n = np.int32((window >> np.int32(VALUE_BITS)) & np.int32(_N_MASK))
        # Whole numbers below 2**24, exact in single precision, where multiplying is cheaper.
        total = np.float32(np.int32((window & np.int32(ONE - 1)) + n * np.int32(LOWEST)))
        excess = max(np.float32(n) * np.float32(np.int32(own - np.int32(ZERO))) - total, np.float32(0))
        stands_out = excess * excess > snr_square * (np.float32(n) * total)
        flags[x] = np.uint8((own >= lowest) & (stands_out | (own >= np.int32(SATURATED))))


@helper
def _stands_out(rows: Any, sums: Any, x: Any, own: Any, snr: Any) -> Any:
    """Signal against noise and index of dispersion, for a valid pixel in the middle of the padded `rows`."""
    # Unsigned places and narrow numbers: three times as fast as whatever Numba takes by itself.
    left = np.uint64(x)
    window = np.int32(0)
    for column in range(SIDE):
        window = np.int32(window + sums[left + np.uint64(column)])
    n = np.int64((window >> np.int32(VALUE_BITS)) & np.int32(_N_MASK))
    total = np.int64(window & np.int32(ONE - 1)) + n * LOWEST
    neighbours = n - 1
    if neighbours < MIN_NEIGHBOURS:
        return False
    excess = float(neighbours * own - (total - own))
    if excess <= 0 or excess * excess <= snr * snr * float(neighbours * max(total - own, 0)):
        return False
    total_square = np.int64(0)
    for row in range(SIDE):
        for column in range(SIDE):
            packed = rows[np.uint64(row), left + np.uint64(column)]
            valid = (packed > 0) & (packed < SATURATED)
            value = np.int32(packed - np.int32(ZERO)) if valid else np.int32(0)
            total_square += np.int64(np.int32(value * value))
    limit = 1.0 + snr * math.sqrt(2.0 / neighbours)
    return float(n * total_square - total * total) > limit * float(neighbours * total)


@helper
def _lowest(levels: Any, first: Any, last: Any) -> Any:
    lowest = levels[first]
    for ring in range(first + 1, last + 1):
        lowest = min(lowest, levels[ring])
    return lowest


@helper
def _is_strong(rows: Any, sums: Any, x: Any, packed: Any, threshold: Any, snr: Any) -> Any:  # noqa: PLR0917
    own = packed - ZERO
    return packed >= SATURATED or (own >= threshold and _stands_out(rows, sums, x, own, snr))


_THRESHOLDS = "Array(float64, 1, 'C', readonly=True)"


@helper
def _test_row(  # noqa: C901, PLR0917 Numba
    rows: Any, packed: Any, sums: Any, rings: Any, spans: Any, thresholds: Any, levels: Any, snr: Any,
    flags: Any, found_x: Any, strong: Any, n: Any,
) -> Any:  # fmt: skip
    """Append the strong pixels of the middle row of `rows`; the number of strong pixels so far."""
    width = packed.shape[0]
    words = flags.view(np.uint64)
    snr_square = np.float32(snr * snr * _ROUNDING)
    for start in range(0, width, SEGMENT):
        first, last, is_whole = spans[start // SEGMENT]
        if first > last:
            continue
        lowest = _lowest(levels, first, last)
        m = min(width - start, SEGMENT)
        segment = packed[start : start + m]
        if not _any_at_least(segment, lowest):
            continue
        if _flag_at_least(segment, lowest, flags) > _FEW:
            _flag_candidates(segment, sums[start : start + m + SIDE - 1], lowest, snr_square, flags)
        flags[m:] = 0
        for word in range((m + 7) // 8):
            if words[word] == 0:
                continue
            for i in range(8 * word, 8 * word + 8):
                x = start + i
                if flags[i] == 0:
                    continue
                # The map of rings is seldom needed, and each look at it comes from main memory.
                ring = first if is_whole else rings[x]
                if ring != NO_RING and _is_strong(rows, sums, x, packed[x], thresholds[ring], snr):
                    if n < found_x.shape[0]:
                        found_x[n] = x
                        strong[x] = 1
                    n += 1
    return n


_MASK = "Array(uint8, 2, 'C', readonly=True)"


@kernel(
    f"int64({_MASK}, int64, {_MASK}, float64, boolean, float64, {_MASK},"
    f" Array(uint8, 3, 'C', readonly=True), {_THRESHOLDS}, float64,"
    " int32[:, ::1], int32[::1], uint8[::1], int32[::1], int32[::1], int64[::1], uint8[:, ::1])"
)
def _find(  # noqa: PLR0917 Numba
    pixels: Any, pixel_type: Any, excluded: Any, error: Any, has_error: Any, highest: Any,
    rings: Any, spans: Any, thresholds: Any, snr: Any, rows: Any, sums: Any, flags: Any,
    found_x: Any, found_y: Any, row_start: Any, strong: Any,
) -> int:  # fmt: skip
    pixels = borrowed(pixels)
    excluded = borrowed(excluded)
    rings = borrowed(rings)
    spans = borrowed(spans)
    thresholds = borrowed(thresholds)
    rows = borrowed(rows)
    sums = borrowed(sums)
    flags = borrowed(flags)
    found_x = borrowed(found_x)
    found_y = borrowed(found_y)
    row_start = borrowed(row_start)
    strong = borrowed(strong)
    height, width = excluded.shape
    rows[:] = 0
    sums[:] = 0
    levels = np.empty(thresholds.shape[0], np.int32)
    for ring in range(thresholds.shape[0]):
        levels[ring] = np.int32(max(math.floor(thresholds[ring]), LOWEST) + ZERO)
    inner = sums[HALF_WINDOW : HALF_WINDOW + width]
    n = 0
    for y_in in range(height + HALF_WINDOW):
        packed = rows[y_in % SIDE, HALF_WINDOW : HALF_WINDOW + width]
        if y_in < height:
            enter_row(pixels[y_in], pixel_type, excluded[y_in], error, has_error, highest, packed, inner)
        else:
            leave_row(packed, inner)
        y = y_in - HALF_WINDOW
        if y < 0:
            continue
        row_start[y] = n
        n = _test_row(
            rows,
            rows[y % SIDE, HALF_WINDOW : HALF_WINDOW + width],
            sums,
            rings[y],
            spans[y],
            thresholds,
            levels,
            snr,
            flags,
            found_x,
            strong[y],
            n,
        )
        found_y[min(row_start[y], found_y.shape[0]) : min(n, found_y.shape[0])] = y
    row_start[height] = n
    return n


class StrongPixels:
    """The strong pixels of one image after another, in buffers that are used again. One thread at a time.

    `n` is their number. `x`, `y` int32 start with the `n_kept` that are listed, row by row; `row_start` int64
    counts those above each row; `taken` uint8 [y, x] is 1 at them and at masked pixels. If there are more
    than the capacity, 1/32 of the pixels, none is listed.
    """

    def __init__(self, excluded: Mask) -> None:
        """`excluded` uint8 [y, x]: that of the rules of all images."""
        height, width = excluded.shape
        self.capacity = max(4096, height * width // 32)
        self.n = self.n_kept = self._n_taken = 0
        self.x, self.y = np.empty(self.capacity, np.int32), np.empty(self.capacity, np.int32)
        self.row_start = np.zeros(height + 1, np.int64)
        self.taken = excluded.copy()
        self._rows = np.empty((SIDE, width + 2 * HALF_WINDOW), np.int32)
        self._sums = np.empty(width + 2 * HALF_WINDOW, np.int32)
        self._flags = np.zeros(SEGMENT, np.uint8)

    def find(
        self, image: Image, rules: PixelRules, rings: Rings, thresholds: Array, signal_to_noise: float
    ) -> None:
        """Find the strong pixels of `image` [y, x].

        `rings` say which of `thresholds` (float64, counts) a pixel has to reach.
        """
        self.taken[self.y[: self._n_taken], self.x[: self._n_taken]] = 0
        limits = class_limits(rules, image.dtype)
        self.n = _find(
            image.view(np.uint8), PIXEL_TYPES.index(image.dtype.name), rules.excluded,
            float(limits.error), limits.has_error, float(limits.highest_valid), rings.number,
            rings.spans, np.minimum(thresholds, HIGHEST), signal_to_noise, self._rows, self._sums,
            self._flags, self.x, self.y, self.row_start, self.taken,
        )  # fmt: skip
        self._n_taken = min(self.n, self.capacity)
        self.n_kept = self.n if self.n <= self.capacity else 0

    def values(self, image: Image, saturation_value: int) -> Array:
        """Values of the listed pixels, those of saturated ones the saturation value. float64 [n_kept]"""
        at = self.y[: self.n_kept], self.x[: self.n_kept]
        return np.minimum(image[at].astype(np.float64), saturation_value)
