"""Centres, intensities and q of spots above their background."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from jfwriter.jit import helper, kernel
from jfwriter.kernels.components import (
    LOWEST,
    N_PIXELS,
    VALUE_SUM,
    VALUE_X,
    VALUE_Y,
    X_SUM,
    Y_SUM,
)
from jfwriter.kernels.pixel_classes import Array


@dataclass(frozen=True, slots=True)
class MeasuredSpots:
    """Columns float64 [n]: centre in pixels, counts above background, q in Å⁻¹ (NaN without a map)."""

    x: Array
    y: Array
    intensity: Array
    q_recipA: Array  # noqa: N815 unit


@helper
def _interpolate(values: Array, x: float, y: float) -> float:
    """Bilinear between the centres of pixels."""
    left, top = int(x), int(y)
    right, bottom = min(left + 1, values.shape[1] - 1), min(top + 1, values.shape[0] - 1)
    dx, dy = x - left, y - top
    upper = values[top, left] * (1 - dx) + values[top, right] * dx
    lower = values[bottom, left] * (1 - dx) + values[bottom, right] * dx
    return float(upper * (1 - dy) + lower * dy)


@kernel("void(float64[:, ::1], float64[::1], Array(float32, 2, 'C', readonly=True), float64[:, ::1])")
def _measure(table: Array, background: Array, q_map: Array, out: Array) -> None:
    for c in range(table.shape[0]):
        row = table[c]
        # No weight is negative, so that the centre lies within the spot.
        level = min(background[c], row[LOWEST])
        intensity = row[VALUE_SUM] - level * row[N_PIXELS]
        if intensity > 0:
            x = (row[VALUE_X] - level * row[X_SUM]) / intensity
            y = (row[VALUE_Y] - level * row[Y_SUM]) / intensity
        else:
            x, y = row[X_SUM] / row[N_PIXELS], row[Y_SUM] / row[N_PIXELS]
        out[0, c], out[1, c], out[2, c] = x, y, intensity
        out[3, c] = _interpolate(q_map, x, y) if q_map.size else math.nan


def measure(table: Array, background: Array, q_map: Array) -> MeasuredSpots:
    """Sum and centre of gravity of (value - background) over the pixels of each component.

    The background is not taken higher than the lowest pixel; with all weights zero the centre is that of
    the pixels. `table` float64 [n, columns], `background` float64 [n], `q_map` float32 [y, x] or [0, 0].
    """
    out = np.empty((4, len(table)))
    _measure(table, background, q_map, out)
    return MeasuredSpots(*out)
