"""The order in which the azimuthal integration takes its sums: runs of pixels of one bin along columns.

Made once per run of images. For each strip of columns, and each row of it, five lists stand one after the
other in `entries`:

- UNPACK: bins whose packed sum has to be emptied before this row is added to them,
- ONES, TWOS, FOURS: runs that end in this row, by the first of 1, 2 or 4 neighbouring columns of one bin,
- WIDE: runs that end in this row in bins that get more from this row than a packed sum can hold.

An entry is `column in the strip | bin << bits`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from jfwriter.jit import helper, kernel

N_LISTS = 5
MAX_RUN = 127
MAX_PACKED = 511
"""Pixels of 16 bits in a packed sum (kernels/azint.py)."""

MAX_COLUMNS = 4096
"""Of a strip: its sums stay in the first cache."""

_LANES = 8
"""Entries that would follow each other, and often belong to one bin, come so many places apart: else the
processor waits for one sum to reach the cache before it can add to it again."""


@dataclass(frozen=True, slots=True)
class Runs:
    """`starts` int64 [strips * rows + 1, N_LISTS]: where the lists of each row begin in `entries` uint32."""

    columns: int
    bits: int
    entries: npt.NDArray[np.uint32]
    starts: npt.NDArray[np.int64]


def find_runs(bins: npt.NDArray[np.uint32], n_bins: int) -> Runs:
    """`bins` uint32 [y, x]; all from `n_bins` on are none, and their runs go to bin number `n_bins`."""
    height, width = bins.shape
    widest = min(MAX_COLUMNS, 1 << (32 - n_bins.bit_length()))
    n_strips = -(-width // widest)
    columns = -(-width // n_strips)
    bits = max(1, (columns - 1).bit_length())
    starts = np.zeros((n_strips * height + 1, N_LISTS), np.int64)
    n = int(np.count_nonzero(bins[1:] != bins[:-1])) + width * (1 + height // MAX_RUN)
    entries = np.empty(2 * n, np.uint32)  # a bin to unpack for each run at most
    n = _list_runs(bins, n_bins, columns, bits, entries, starts)
    return Runs(columns, bits, entries[:n].copy(), starts)


@helper
def _find_ends(bins: Any, y: Any, first: Any, n_bins: Any, length: Any, ends: Any) -> Any:  # noqa: PLR0917 Numba
    """List the columns whose runs end in row y; `length` counts pixels from their beginnings."""
    n, last = 0, y == bins.shape[0] - 1
    for x in range(length.shape[0]):
        length[x] += 1
        here = min(bins[y, first + x], n_bins)
        if last or length[x] == MAX_RUN or min(bins[y + 1, first + x], n_bins) != here:
            ends[n] = x
            n += 1
    return n


@helper
def _put(sources: Any, row_bins: Any, n_bins: Any, bits: Any, entries: Any, at: Any) -> Any:  # noqa: PLR0917 Numba
    part = (sources.shape[0] + _LANES - 1) // _LANES
    for offset in range(part):
        for lane in range(_LANES):
            i = lane * part + offset
            if i < sources.shape[0]:
                x = sources[i]
                entries[at] = np.uint32(x) | np.uint32(min(row_bins[x], n_bins) << np.uint32(bits))
                at += 1
    return at


@helper
def _plan_unpacking(  # noqa: PLR0917 Numba
    ends: Any, row_bins: Any, length: Any, here: Any, held: Any, entries: Any, at: Any
) -> Any:
    """List the bins to unpack before this row; `held` counts pixels in packed sums, MAX_PACKED + 1 for bins
    that are added to widely in this row."""
    n_bins = here.shape[0]
    for i in range(ends.shape[0]):
        if row_bins[ends[i]] < n_bins:
            here[row_bins[ends[i]]] += length[ends[i]]
    for i in range(ends.shape[0]):
        bin_ = row_bins[ends[i]]
        if bin_ >= n_bins or here[bin_] == 0:
            continue
        if held[bin_] + here[bin_] > MAX_PACKED:
            entries[at] = bin_
            at += 1
            held[bin_] = 0
        held[bin_] += min(here[bin_], MAX_PACKED + 1)
        here[bin_] = 0
    return at


@kernel(
    "int64(Array(uint32, 2, 'C', readonly=True), uint32, int64, int64, uint32[::1], int64[:, ::1])",
)
def _list_runs(  # noqa: PLR0917 Numba
    bins: Any, n_bins: Any, columns: int, bits: int, entries: Any, starts: Any
) -> int:  # fmt: skip
    height, width = bins.shape
    here, held = np.zeros(n_bins, np.int64), np.zeros(n_bins, np.int64)
    ends = np.empty(columns, np.int32)
    ones, twos, fours, wide = (
        np.empty(columns, np.int32), np.empty(columns, np.int32), np.empty(columns, np.int32),
        np.empty(columns, np.int32),
    )  # fmt: skip
    at = line = 0
    for first in range(0, width, columns):
        n_columns = min(columns, width - first)
        length = np.zeros(n_columns, np.int64)
        for y in range(height):
            n_ends = _find_ends(bins, y, first, n_bins, length, ends)
            row_bins = bins[y, first : first + n_columns]
            starts[line, 0] = at
            at = _plan_unpacking(ends[:n_ends], row_bins, length, here, held, entries, at)
            n1 = n2 = n4 = n_wide = i = 0
            while i < n_ends:
                x = ends[i]
                bin_ = min(row_bins[x], n_bins)
                n = 1
                while (
                    n < 4 and i + n < n_ends and ends[i + n] == x + n and min(row_bins[x + n], n_bins) == bin_
                ):
                    n += 1
                if bin_ < n_bins and held[bin_] > MAX_PACKED:
                    wide[n_wide] = x
                    n_wide += 1
                    n = 1
                elif n == 4:
                    fours[n4] = x
                    n4 += 1
                elif n >= 2:
                    twos[n2] = x
                    n2 += 1
                    n = 2
                else:
                    ones[n1] = x
                    n1 += 1
                i += n
            starts[line, 1] = at
            at = _put(ones[:n1], row_bins, n_bins, bits, entries, at)
            starts[line, 2] = at
            at = _put(twos[:n2], row_bins, n_bins, bits, entries, at)
            starts[line, 3] = at
            at = _put(fours[:n4], row_bins, n_bins, bits, entries, at)
            starts[line, 4] = at
            at = _put(wide[:n_wide], row_bins, n_bins, bits, entries, at)
            for k in range(n_ends):
                x = ends[k]
                length[x] = 0
                if row_bins[x] < n_bins and held[row_bins[x]] > MAX_PACKED:
                    held[row_bins[x]] = 0
            line += 1
    starts[line:] = at
    return at
