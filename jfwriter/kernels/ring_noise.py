"""Thresholds of the rings of one image, from the noise of that image (docs/reference/quantities/spots.md)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jfwriter.jit import borrowed, helper, inlined, kernel
from jfwriter.kernels.pixel_classes import PIXEL_TYPES, Array, Image, Mask, PixelRules, class_limits
from jfwriter.kernels.rings import NO_RING, ROW_STEP

_CUT = 4.0
"""Values so many standard deviations above the mean are left out of the second estimate."""

_NORMAL = 1e5
"""Means above are treated with a normal distribution."""

_LOWEST, _N_VALUES = -32, 256
"""Whole values from _LOWEST on that are counted, each for itself; the others are summed up at once."""

_MAX_LISTED = 8192
_AT_ONCE = 4


@helper
def _values(  # noqa: PLR0917 Numba
    row: Any, mask: Any, error: Any, has_error: Any, highest: Any, out: Any
) -> None:
    """Valid values in double precision, NaN for the others."""
    no_error = not has_error
    for x in range(row.shape[0]):
        value = row[x]
        valid = (mask[x] == 0) & ((value != error) | no_error) & (value <= highest)
        out[x] = np.float64(value) if valid else np.nan


@helper
def _values_of_row(  # noqa: PLR0917 Numba
    row: Any, pixel_type: Any, mask: Any, error: Any, has_error: Any, highest: Any, out: Any
) -> None:
    """`row` are the bytes of the row and `pixel_type` is the place in PIXEL_TYPES."""
    if pixel_type == 0:
        _values(row.view(np.int8), mask, np.int8(error), has_error, np.int8(highest), out)
    elif pixel_type == 1:
        _values(row, mask, np.uint8(error), has_error, np.uint8(highest), out)
    elif pixel_type == 2:
        _values(row.view(np.int16), mask, np.int16(error), has_error, np.int16(highest), out)
    elif pixel_type == 3:
        _values(row.view(np.uint16), mask, np.uint16(error), has_error, np.uint16(highest), out)
    elif pixel_type == 4:
        _values(row.view(np.int32), mask, np.int32(error), has_error, np.int32(highest), out)
    elif pixel_type == 5:
        _values(row.view(np.uint32), mask, np.uint32(error), has_error, np.uint32(highest), out)
    else:
        _values(row.view(np.float32), mask, np.float32(0), False, np.float32(highest), out)


@inlined
def _count(  # noqa: PLR0917 Numba
    value: Any, ring: Any, limits: Any, counts: Any, moments: Any, others: Any, n_others: Any
) -> Any:
    """The number of others so far."""
    if ring < limits.shape[0] and value <= limits[ring]:
        place = np.int64(value) - _LOWEST
        if 0 <= place < _N_VALUES and np.float64(place + _LOWEST) == value:
            counts[ring, place] += 1
        else:
            if n_others < others.shape[0]:
                others[n_others, 0] = ring
                others[n_others, 1] = value
            else:
                moments[ring, 0] += 1.0
                moments[ring, 1] += value
                moments[ring, 2] += value * value
            n_others += 1
    return n_others


_MASK = "Array(uint8, 2, 'C', readonly=True)"


@kernel(
    f"int64({_MASK}, int64, {_MASK}, float64, boolean, float64, {_MASK}, float64[::1], float64[::1],"
    " int32[:, ::1], float64[:, ::1], float64[:, ::1])"
)
def _measure(  # noqa: PLR0917 Numba
    pixels: Any, pixel_type: int, excluded: Mask, error: float, has_error: bool, highest: float, rings: Mask,
    limits: Array, row: Array, counts: Array, moments: Array, others: Array,
) -> int:  # fmt: skip
    """Count the whole values of each ring in `counts` [rings, values], and list ring and value of `others`
    [n, 2]; their number. Those for which the list has no room go into `moments` at once."""
    pixels, excluded, rings, limits = borrowed(pixels), borrowed(excluded), borrowed(rings), borrowed(limits)
    row, counts, moments, others = borrowed(row), borrowed(counts), borrowed(moments), borrowed(others)
    counts[:] = 0
    moments[:] = 0.0
    n = 0
    part = row.shape[0] // _AT_ONCE
    for y in range(0, excluded.shape[0], ROW_STEP):
        _values_of_row(pixels[y], pixel_type, excluded[y], error, has_error, highest, row)
        here = rings[y]
        # Neighbours often have the same value in the same ring, and the processor would wait for each count
        # to come back from memory: take pixels that are far from each other in turn.
        for i in range(part):
            for k in range(_AT_ONCE):
                n = _count(row[i + k * part], here[i + k * part], limits, counts, moments, others, n)
        for i in range(_AT_ONCE * part, row.shape[0]):
            n = _count(row[i], here[i], limits, counts, moments, others, n)
    return n


@kernel("void(int32[:, ::1], float64[:, ::1], float64[::1], float64[:, ::1])")
def _add_up(counts: Array, others: Array, limits: Array, moments: Array) -> None:
    """Add number, value and square [rings, 3] of all that is not above the limits of its ring."""
    for ring in range(counts.shape[0]):
        for place in range(counts.shape[1]):
            value = float(place + _LOWEST)
            if value > limits[ring]:
                break
            number = float(counts[ring, place])
            moments[ring, 0] += number
            moments[ring, 1] += number * value
            moments[ring, 2] += number * value * value
    for i in range(others.shape[0]):
        ring, value = int(others[i, 0]), others[i, 1]
        if value <= limits[ring]:
            moments[ring, 0] += 1.0
            moments[ring, 1] += value
            moments[ring, 2] += value * value


@kernel("float64(float64, float64, float64)")
def _poisson_threshold(mean: float, probability: float, gain: float) -> float:
    """Smallest t with P(gain X >= t) <= probability, X of a Poisson distribution of mean / gain."""
    mean /= gain
    if mean > _NORMAL:
        return math.ceil(gain * (mean + math.sqrt(2.0 * math.log(1.0 / probability) * mean)))
    # Far in the tail, where the rest of it is negligible, and then downwards.
    k = math.ceil(mean + 10.0 * math.sqrt(mean) + 30.0)
    term = math.exp(k * math.log(mean) - mean - math.lgamma(k + 1.0))
    tail = 0.0
    while k > 0 and tail + term <= probability:
        tail += term
        term *= k / mean
        k -= 1
    return math.ceil(gain * (k + 1))


class RingNoise:
    """Thresholds of one image after another, in buffers that are used again. One thread at a time."""

    def __init__(self, rings: Mask) -> None:
        """`rings` uint8 [y, x] from `number_rings`."""
        self._rings = rings
        inside = rings != NO_RING
        self._n_looked_at = int(inside.sum())
        n_rings = int(rings[inside].max()) + 1 if self._n_looked_at else 1
        self._row = np.empty(rings.shape[1], np.float64)
        self._counts = np.empty((n_rings, _N_VALUES), np.int32)
        self._moments = np.empty((n_rings, 3), np.float64)
        self._others = np.empty((_MAX_LISTED, 2), np.float64)

    def thresholds(self, image: Image, rules: PixelRules, false_pixels_per_frame: float) -> Array:
        """Counts that a pixel of each ring has to reach, float64 [rings].

        Pixels of noise alone reach them `false_pixels_per_frame` times in the image, or less often.
        """
        upper = np.full(len(self._moments), np.inf)
        listed = self._measure(image, rules, upper)
        _, mean, variance = self._statistics(listed, upper)
        upper = mean + _CUT * np.sqrt(np.maximum(variance, mean)) + 1.0
        if listed is None:
            listed = self._measure(image, rules, upper)
        else:
            self._moments[:] = 0.0
        n, mean, variance = self._statistics(listed, upper)
        # One count more than seen: a ring without a photon is no proof that none can come.
        mean = np.maximum(mean, 0.0) + 1.0 / np.maximum(n, 1.0)
        gain = np.maximum(variance / mean, 1.0)
        probability = min(0.5, false_pixels_per_frame / max(self._n_looked_at, 1))
        found = [_poisson_threshold(m, probability, g) for m, g in zip(mean, gain, strict=True)]
        return np.array(found, np.float64)

    def _measure(self, image: Image, rules: PixelRules, upper: Array) -> Array | None:
        """What is listed in `_others`; None if there was no room for all."""
        limits = class_limits(rules, image.dtype)
        n = _measure(
            image.view(np.uint8), PIXEL_TYPES.index(image.dtype.name), rules.excluded, float(limits.error),
            limits.has_error, float(limits.highest_valid), self._rings, upper, self._row, self._counts,
            self._moments, self._others,
        )  # fmt: skip
        return self._others[:n] if n <= len(self._others) else None

    def _statistics(self, listed: Array | None, upper: Array) -> tuple[Array, Array, Array]:
        """Number, mean and variance of each ring; 0 where there is nothing."""
        moments = self._moments
        _add_up(self._counts, self._others if listed is None else listed, upper, moments)
        n = moments[:, 0]
        mean = moments[:, 1] / np.maximum(n, 1.0)
        return n, mean, np.maximum(moments[:, 2] / np.maximum(n, 1.0) - mean * mean, 0.0)
