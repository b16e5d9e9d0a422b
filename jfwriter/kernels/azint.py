"""Azimuthal integration of images (docs/reference/quantities/azimuthal-integration.md).

Pixels are first summed down each column, a whole row of them at once, for as long as a column stays in one
bin; only then are its sums added to those of the bin (kernels/azint_runs.py). Sum and sum of squares are
kept in one 64-bit number, value * 2**39 + value**2, which is unpacked before it can overflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from jfwriter.jit import borrowed, helper, kernel
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
    take_row,
)
from jfwriter.kernels.azint_runs import find_runs
from jfwriter.kernels.pixel_classes import PIXEL_TYPES, Image, PixelRules, class_limits

SQUARE_BITS = 39
"""Room for MAX_PACKED (511) squares of 16-bit numbers; the sum of the numbers takes the 25 bits above."""


@dataclass(frozen=True, slots=True)
class AzintProfile:
    """`mean`, `std` float32 and `count` uint32, each [n_phi, n_q]; NaN and 0 in empty bins."""

    mean: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]
    count: npt.NDArray[np.uint32]


@helper
def _sum_columns(row: Any, columns: Any) -> None:
    for x in range(row.shape[0]):
        value = np.int64(row[x])
        columns[x] += (value << np.int64(SQUARE_BITS)) + value * value


@helper
def _sum_columns_weighted(row: Any, weights: Any, columns: Any) -> None:
    for x in range(row.shape[0]):
        columns[x] += np.int64(row[x]) * np.int64(weights[x])


@helper
def _unpack(bins: Any, packed: Any, sums: Any, squares: Any) -> None:
    for i in range(bins.shape[0]):
        here = packed[bins[i]]
        packed[bins[i]] = 0
        sums[bins[i]] += here >> np.int64(SQUARE_BITS)
        squares[bins[i]] += here & np.int64((1 << SQUARE_BITS) - 1)


@helper
def _add_ones(entries: Any, bits: Any, columns: Any, sums: Any) -> None:
    below = np.uint32((1 << bits) - 1)
    for i in range(entries.shape[0]):
        x, bin_ = entries[i] & below, entries[i] >> np.uint32(bits)
        here = columns[x]
        columns[x] = 0
        sums[bin_] += here


@helper
def _add_twos(entries: Any, bits: Any, columns: Any, sums: Any) -> None:
    below = np.uint32((1 << bits) - 1)
    for i in range(entries.shape[0]):
        x, bin_ = entries[i] & below, entries[i] >> np.uint32(bits)
        here = columns[x] + columns[x + 1]
        columns[x] = 0
        columns[x + 1] = 0
        sums[bin_] += here


@helper
def _add_fours(entries: Any, bits: Any, columns: Any, sums: Any) -> None:
    below = np.uint32((1 << bits) - 1)
    for i in range(entries.shape[0]):
        x, bin_ = entries[i] & below, entries[i] >> np.uint32(bits)
        here = (columns[x] + columns[x + 1]) + (columns[x + 2] + columns[x + 3])
        columns[x] = 0
        columns[x + 1] = 0
        columns[x + 2] = 0
        columns[x + 3] = 0
        sums[bin_] += here


@helper
def _add_wide(entries: Any, bits: Any, columns: Any, sums: Any, squares: Any) -> None:
    below = np.uint32((1 << bits) - 1)
    for i in range(entries.shape[0]):
        x, bin_ = entries[i] & below, entries[i] >> np.uint32(bits)
        here = columns[x]
        columns[x] = 0
        sums[bin_] += here >> np.int64(SQUARE_BITS)
        squares[bin_] += here & np.int64((1 << SQUARE_BITS) - 1)


@kernel(
    "void(Array(uint8, 2, 'C', readonly=True), int64, float64, boolean, float64,"
    " Array(uint32, 2, 'C', readonly=True), Array(int32, 2, 'C', readonly=True), boolean,"
    " Array(uint32, 1, 'C', readonly=True), Array(int64, 2, 'C', readonly=True), int64, int64,"
    " int16[::1], int64[:, ::1], int64[::1], int64[::1], int64[::1], int64[::1], float64[:, ::1])"
)
def _integrate(  # noqa: PLR0917 Numba
    pixels: Any, pixel_type: int, error: float, has_error: bool, highest: float, bins: Any, weights: Any,
    weighted: bool, entries: Any, starts: Any, n_columns: int, bits: int, values: Any, columns: Any,
    packed: Any, sums: Any, squares: Any, moments: Any, exceptions: Any,
) -> None:  # fmt: skip
    pixels = borrowed(pixels)
    bins = borrowed(bins)
    weights = borrowed(weights)
    entries = borrowed(entries)
    starts = borrowed(starts)
    values = borrowed(values)
    columns = borrowed(columns)
    packed = borrowed(packed)
    sums = borrowed(sums)
    squares = borrowed(squares)
    moments = borrowed(moments)
    exceptions = borrowed(exceptions)
    height, width = bins.shape
    line = 0
    for first in range(0, width, n_columns):
        end = min(width, first + n_columns)
        row, plain, by_weight = values[: end - first], columns[0], columns[1]
        for y in range(height):
            of_row = weights[y if weighted else 0, first:end]
            take_row(
                pixels[y], pixel_type, (first, end), error, has_error, highest, bins[y, first:end], of_row,
                weighted, row, exceptions,
            )  # fmt: skip
            _sum_columns(row, plain)
            unpack, ones, twos, fours, wide = starts[line]
            after = starts[line + 1, 0]
            _unpack(entries[unpack:ones], packed, sums, squares)
            _add_ones(entries[ones:twos], bits, plain, packed)
            _add_twos(entries[twos:fours], bits, plain, packed)
            _add_fours(entries[fours:wide], bits, plain, packed)
            _add_wide(entries[wide:after], bits, plain, sums, squares)
            if weighted:
                _sum_columns_weighted(row, of_row, by_weight)
                _add_ones(entries[ones:twos], bits, by_weight, moments)
                _add_twos(entries[twos:fours], bits, by_weight, moments)
                _add_fours(entries[fours:wide], bits, by_weight, moments)
                _add_ones(entries[wide:after], bits, by_weight, moments)
            line += 1


class AzintPlan:
    """Prepared once per run; it is only read afterwards, so that several threads may use it."""

    def __init__(self, azint_map: AzintMap, rules: PixelRules) -> None:
        n_phi, n_q = azint_map.shape
        self.shape, self.n_bins, self.rules = (n_phi, n_q), n_phi * n_q, rules
        self.bins = azint_map.bin
        self.runs = find_runs(self.bins, self.n_bins)
        unused = self.bins == NO_BIN
        used = self.bins[~unused]
        self.count = np.asarray(np.bincount(used, minlength=self.n_bins), np.float64)
        self.weighted = azint_map.correction is not None
        if azint_map.correction is None:
            self.weights = np.zeros((1, self.bins.shape[1]), np.int32)
            self.weight = self.weight_square = self.count
        else:
            self.weights = np.rint(azint_map.correction.astype(np.float64) * UNIT_WEIGHT).astype(np.int32)
            weight = self.weights[~unused] / UNIT_WEIGHT
            self.weight = np.asarray(np.bincount(used, weight, self.n_bins), np.float64)
            self.weight_square = np.asarray(np.bincount(used, weight * weight, self.n_bins), np.float64)


class Azint:
    """Integrates one image after another, in buffers that are used again. One thread at a time."""

    def __init__(self, plan: AzintPlan) -> None:
        self._plan = plan
        n, n_columns = plan.n_bins, plan.runs.columns
        # One more, for the pixels that belong to no bin.
        self._packed, self._moments = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
        self._sums, self._squares = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
        self._exceptions = np.zeros((n, N_EXCEPTIONS))
        self._values = np.zeros(n_columns, np.int16)
        self._columns = np.zeros((2, n_columns), np.int64)

    def integrate(self, image: Image) -> AzintProfile:
        """Profile of `image` [y, x], C-contiguous, of one of PIXEL_TYPES. One pass, without the GIL."""
        plan, runs, limits = self._plan, self._plan.runs, class_limits(self._plan.rules, image.dtype)
        for table in (self._packed, self._sums, self._squares, self._moments, self._exceptions):
            table[...] = 0
        _integrate(
            image.view(np.uint8), PIXEL_TYPES.index(image.dtype.name), float(limits.error), limits.has_error,
            float(limits.highest_valid), plan.bins, plan.weights, plan.weighted, runs.entries, runs.starts,
            runs.columns, runs.bits, self._values, self._columns, self._packed, self._sums, self._squares,
            self._moments, self._exceptions,
        )  # fmt: skip
        self._sums += self._packed >> SQUARE_BITS
        self._squares += self._packed & ((1 << SQUARE_BITS) - 1)
        return self._profile()

    def _profile(self) -> AzintProfile:
        plan, n, exceptions = self._plan, self._plan.n_bins, self._exceptions.T
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
