"""Strong pixels that touch, also at their corners, form one component; sums over each of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from jfwriter.jit import helper, kernel
from jfwriter.kernels.pixel_classes import Array
from jfwriter.kernels.strong_pixels import StrongPixels

N_PIXELS, VALUE_SUM, VALUE_X, VALUE_Y, X_SUM, Y_SUM, HIGHEST, LOWEST, LEFT, RIGHT, TOP, BOTTOM = range(12)
"""Columns of a table of components.

Sums are over the pixels of a component: of their values, of value times x and value times y, of x and of y.
The box from (LEFT, TOP) to (RIGHT, BOTTOM) includes both.
"""

N_COLUMNS = 12


@helper
def _root(parent: Any, i: Any) -> Any:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@helper
def _join(parent: Any, i: Any, j: Any) -> None:
    """The first pixel of a component stays its root."""
    a, b = _root(parent, i), _root(parent, j)
    if a < b:
        parent[b] = a
    else:
        parent[a] = b


@kernel("void(int32[::1], int64[::1], int32[::1])")
def _connect(x: Array, row_start: Array, parent: Array) -> None:
    """`x` lists the strong pixels row by row; each row is walked together with the one above."""
    above = above_end = 0
    for y in range(row_start.shape[0] - 1):
        start, end = row_start[y], row_start[y + 1]
        for i in range(start, end):
            parent[i] = i
            if i > start and x[i - 1] == x[i] - 1:
                _join(parent, i, i - 1)
            while above < above_end and x[above] < x[i] - 1:
                above += 1
            j = above
            while j < above_end and x[j] <= x[i] + 1:
                _join(parent, i, j)
                j += 1
        above, above_end = start, end


@kernel(
    "int64(int32[::1], int32[::1], Array(float64, 1, 'C', readonly=True), int32[::1], int32[::1],"
    " int64, int64, float64[:, ::1])"
)
def _sum_up(  # noqa: PLR0917 Numba
    x: Array, y: Array, value: Array, parent: Array, number: Array, min_pixels: int, max_pixels: int,
    table: Array,
) -> int:  # fmt: skip
    """Fill the rows of the components that have so many pixels; their number."""
    n = value.shape[0]
    number[:n] = 0
    for i in range(n):
        number[_root(parent, i)] += 1
    n_components = 0
    for i in range(n):
        root = _root(parent, i)
        if root == i:
            # The first of its component: from here on, `number` is that of its row.
            n_pixels = number[i]
            if min_pixels <= n_pixels <= max_pixels:
                row = table[n_components]
                row[:] = 0.0
                row[N_PIXELS] = n_pixels
                row[HIGHEST], row[LOWEST] = value[i], value[i]
                row[LEFT], row[RIGHT], row[TOP], row[BOTTOM] = x[i], x[i], y[i], y[i]
                number[i] = n_components
                n_components += 1
            else:
                number[i] = -1
        if number[root] < 0:
            continue
        row = table[number[root]]
        row[VALUE_SUM] += value[i]
        row[VALUE_X] += value[i] * x[i]
        row[VALUE_Y] += value[i] * y[i]
        row[X_SUM] += x[i]
        row[Y_SUM] += y[i]
        row[HIGHEST] = max(row[HIGHEST], value[i])
        row[LOWEST] = min(row[LOWEST], value[i])
        row[LEFT] = min(row[LEFT], float(x[i]))
        row[RIGHT] = max(row[RIGHT], float(x[i]))
        row[BOTTOM] = y[i]
    return n_components


class Components:
    """Components of one image after another, in buffers that are used again. One thread at a time."""

    def __init__(self, capacity: int) -> None:
        self._parent, self._number = np.empty(capacity, np.int32), np.empty(capacity, np.int32)
        self._table = np.empty((capacity, N_COLUMNS), np.float64)

    def find(self, strong: StrongPixels, values: Array, min_pixels: int, max_pixels: int) -> Array:
        """Table float64 [n, N_COLUMNS] of the components within the limits, ordered by their first pixels.

        `values` float64 are those of the strong pixels that are kept. The table is valid until the next call.
        """
        if not strong.n_kept:
            return self._table[:0]
        _connect(strong.x, strong.row_start, self._parent)
        n = _sum_up(
            strong.x, strong.y, values, self._parent, self._number, min_pixels, max_pixels, self._table
        )
        return self._table[:n]
