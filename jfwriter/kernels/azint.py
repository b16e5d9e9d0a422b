"""Azimuthal integration of images (docs/reference/quantities/azimuthal-integration.md).

The sums of a bin are kept in one 64-bit number, value * 2**39 + value**2, which is unpacked before it can
overflow. Four rows that are far from each other are summed in turn: neighbours in a row often
belong to one bin, and the processor would wait for each sum to come back from memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from jfwriter.jit import helper, kernel
from jfwriter.kernels.azint_map import NO_BIN, AzintMap
from jfwriter.kernels.azint_rows import (
    LOST_N,
    LOST_SQUARE,
    LOST_WEIGHT,
    N_EXCEPTIONS,
    UNIT_WEIGHT,
    WIDE_MOMENT,
    WIDE_SQUARE,
    WIDE_SUM,
    take_rows,
)
from jfwriter.kernels.pixel_classes import PIXEL_TYPES, Array, Image, Mask, PixelRules, class_limits

N_ROWS = 4
SEGMENTS = (2048, 1024, 512, 256, 127)
"""Columns between two chances to unpack: the most of which none has more than MAX_PER_BIN pixels in a bin."""

MAX_PER_BIN = 511
SQUARE_BITS = 39
"""511 squares of 16-bit numbers; the sum of the numbers takes the 25 bits above."""


@dataclass(frozen=True, slots=True)
class AzintProfile:
    """`mean`, `std` float32 and `count` uint32, each [n_phi, n_q]; NaN and 0 in empty bins."""

    mean: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]
    count: npt.NDArray[np.uint32]


@helper
def _add(value: Any) -> Any:
    number = np.int64(value)
    return number * (number + np.int64(1 << SQUARE_BITS))


@helper
def _sum_up(  # noqa: PLR0917 Numba
    bins: Any, row0: Any, row1: Any, row2: Any, row3: Any, packed: Any
) -> None:  # fmt: skip
    for x in range(bins.shape[0]):
        packed[bins[x, 0]] += _add(row0[x])
        packed[bins[x, 1]] += _add(row1[x])
        packed[bins[x, 2]] += _add(row2[x])
        packed[bins[x, 3]] += _add(row3[x])


@helper
def _sum_up_weighted(  # noqa: PLR0917 Numba
    bins: Any, weights: Any, row0: Any, row1: Any, row2: Any, row3: Any, packed: Any, moments: Any
) -> None:  # fmt: skip
    for x in range(bins.shape[0]):
        packed[bins[x, 0]] += _add(row0[x])
        moments[bins[x, 0]] += np.int64(row0[x]) * np.int64(weights[x, 0])
        packed[bins[x, 1]] += _add(row1[x])
        moments[bins[x, 1]] += np.int64(row1[x]) * np.int64(weights[x, 1])
        packed[bins[x, 2]] += _add(row2[x])
        moments[bins[x, 2]] += np.int64(row2[x]) * np.int64(weights[x, 2])
        packed[bins[x, 3]] += _add(row3[x])
        moments[bins[x, 3]] += np.int64(row3[x]) * np.int64(weights[x, 3])


@helper
def _unpack(packed: Any, sums: Any, squares: Any) -> None:
    for i in range(packed.shape[0]):
        sums[i] += packed[i] >> np.int64(SQUARE_BITS)
        squares[i] += packed[i] & np.int64((1 << SQUARE_BITS) - 1)
        packed[i] = 0


@helper
def _count(part: Any, counts: Any) -> bool:
    """False if a bin, other than the last one of `counts`, gets too many pixels."""
    for i in range(part.shape[0]):
        counts[part[i]] += 1
        if counts[part[i]] > MAX_PER_BIN and part[i] < counts.shape[0] - 1:
            return False
    return True


@kernel(
    *(
        f"boolean(Array({number}, 3, 'C', readonly=True), int64, int64, uint8[:, ::1])"
        for number in ("uint16", "uint32")
    )
)
def _plan_unpacking(bins: Any, n_bins: int, columns: int, unpack: Mask) -> bool:
    """Mark the segments [group, segment] before which sums are unpacked; false if one is too long."""
    counts = np.zeros(n_bins + 1, np.int32)
    unpack[:] = 0
    for group in range(bins.shape[0]):
        for segment in range(unpack.shape[1]):
            part = bins[group, segment * columns : (segment + 1) * columns].reshape(-1)
            if not _count(part, counts):
                unpack[group, segment] = 1
                counts[:] = 0
                if not _count(part, counts):
                    return False
    return True


_MASK = "Array(uint8, 2, 'C', readonly=True)"


@kernel(
    *(
        f"void({_MASK}, int64, {_MASK}, float64, boolean, float64, Array({number}, 3, 'C', readonly=True),"
        f" Array(int32, 3, 'C', readonly=True), boolean, {_MASK}, int64, int16[:, ::1], int64[::1],"
        " int64[::1], int64[::1], int64[::1], float64[:, ::1])"
        for number in ("uint16", "uint32")
    )
)
def _integrate(  # noqa: PLR0917 Numba
    pixels: Any, pixel_type: int, unused: Mask, error: float, has_error: bool, highest: float, bins: Any,
    weights: Any, weighted: bool, unpack: Mask, columns: int, rows: Any, packed: Any, sums: Any, squares: Any,
    moments: Any, exceptions: Any,
) -> None:  # fmt: skip
    width = unused.shape[1]
    for group in range(bins.shape[0]):
        take_rows(
            pixels, pixel_type, unused, error, has_error, highest, group, bins, weights, weighted, rows,
            exceptions,
        )  # fmt: skip
        for segment in range(unpack.shape[1]):
            if unpack[group, segment]:
                _unpack(packed, sums, squares)
            start, end = segment * columns, min(width, (segment + 1) * columns)
            row0, row1, row2, row3 = (
                rows[0, start:end], rows[1, start:end], rows[2, start:end], rows[3, start:end]
            )  # fmt: skip
            here = bins[group, start:end]
            if weighted:
                _sum_up_weighted(here, weights[group, start:end], row0, row1, row2, row3, packed, moments)
            else:
                _sum_up(here, row0, row1, row2, row3, packed)
    _unpack(packed, sums, squares)


class AzintPlan:
    """Prepared once per run; it is only read afterwards, so that several threads may use it."""

    def __init__(self, azint_map: AzintMap, rules: PixelRules) -> None:
        n_phi, n_q = azint_map.shape
        self.shape, self.n_bins, self.rules = (n_phi, n_q), n_phi * n_q, rules
        self.unused = (azint_map.bin == NO_BIN).view(np.uint8)
        number = np.uint16 if self.n_bins < 1 << 16 else np.uint32
        # One bin more, for the pixels that belong to none.
        self.bins = _interleaved(np.minimum(azint_map.bin, self.n_bins).astype(number), self.n_bins)
        used = azint_map.bin[self.unused == 0]
        self.count = np.asarray(np.bincount(used, minlength=self.n_bins), np.float64)
        self.weighted = azint_map.correction is not None
        if azint_map.correction is None:
            self.weights = np.zeros((1, azint_map.bin.shape[1], N_ROWS), np.int32)
            self.weight = self.weight_square = self.count
        else:
            whole = np.rint(azint_map.correction.astype(np.float64) * UNIT_WEIGHT).astype(np.int32)
            self.weights = _interleaved(whole, 0)
            weight = whole[self.unused == 0] / UNIT_WEIGHT
            self.weight = np.asarray(np.bincount(used, weight, self.n_bins), np.float64)
            self.weight_square = np.asarray(np.bincount(used, weight * weight, self.n_bins), np.float64)
        n_groups, width = self.bins.shape[:2]
        for self.segment in SEGMENTS:
            self.unpack = np.zeros((n_groups, -(-width // self.segment)), np.uint8)
            if _plan_unpacking(self.bins, self.n_bins, self.segment, self.unpack):
                break


class Azint:
    """Integrates one image after another, in buffers that are used again. One thread at a time."""

    def __init__(self, plan: AzintPlan) -> None:
        self._plan = plan
        n = plan.n_bins + 1
        self._packed, self._sums, self._squares = (np.zeros(n, np.int64) for _ in range(3))
        self._moments = np.zeros(n if plan.weighted else 0, np.int64)
        self._exceptions = np.zeros((n, N_EXCEPTIONS))
        self._rows = np.zeros((N_ROWS, plan.unused.shape[1]), np.int16)

    def integrate(self, image: Image) -> AzintProfile:
        """Profile of `image` [y, x], C-contiguous, of one of PIXEL_TYPES. One pass, without the GIL."""
        plan, limits = self._plan, class_limits(self._plan.rules, image.dtype)
        for table in (self._packed, self._sums, self._squares, self._moments, self._exceptions):
            table[...] = 0
        _integrate(
            image.view(np.uint8), PIXEL_TYPES.index(image.dtype.name), plan.unused, float(limits.error),
            limits.has_error, float(limits.highest_valid), plan.bins, plan.weights, plan.weighted,
            plan.unpack, plan.segment, self._rows, self._packed, self._sums, self._squares, self._moments,
            self._exceptions,
        )  # fmt: skip
        return self._profile()

    def _profile(self) -> AzintProfile:
        plan, n, exceptions = self._plan, self._plan.n_bins, self._exceptions[:-1].T
        count = plan.count - exceptions[LOST_N]
        weight = plan.weight - exceptions[LOST_WEIGHT]
        weight_square = plan.weight_square - exceptions[LOST_SQUARE]
        total = self._sums[:n] + exceptions[WIDE_SUM]
        square = self._squares[:n] + exceptions[WIDE_SQUARE]
        moment = self._moments[:n] / UNIT_WEIGHT + exceptions[WIDE_MOMENT] if plan.weighted else total
        filled = (count > 0) & (weight > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.where(filled, total / weight, np.nan)
            variance = (square - 2 * mean * moment + mean * mean * weight_square) / weight_square
            std = np.sqrt(np.maximum(variance, 0))
        return AzintProfile(
            mean.astype(np.float32).reshape(plan.shape),
            std.astype(np.float32).reshape(plan.shape),
            count.astype(np.uint32).reshape(plan.shape),
        )


def _interleaved(image: Array, filling: int) -> Array:
    """[y, x] -> [n_groups, x, N_ROWS]: group g holds the rows g, g + n_groups, g + 2 n_groups ..."""
    height, width = image.shape
    n_groups = -(-height // N_ROWS)
    padded = np.full((n_groups * N_ROWS, width), filling, image.dtype)
    padded[:height] = image
    return np.ascontiguousarray(padded.reshape(N_ROWS, n_groups, width).transpose(1, 2, 0))
