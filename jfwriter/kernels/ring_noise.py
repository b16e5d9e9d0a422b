"""Thresholds of the rings of one image, from the noise of that image (docs/reference/quantities/spots.md)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jfwriter.jit import kernel
from jfwriter.kernels.pixel_classes import PIXEL_TYPES, Array, Image, Mask, PixelRules, class_limits
from jfwriter.kernels.rings import NO_RING, ROW_STEP

_CUT = 4.0
"""Values so many standard deviations above the mean are left out of the second estimate."""

_NORMAL = 1e5
"""Means above are treated with a normal distribution."""

_MASK = "Array(uint8, 2, 'C', readonly=True)"


@kernel(
    *(
        f"void(Array({pixel}, 2, 'C', readonly=True), {_MASK}, {pixel}, boolean, {pixel}, {_MASK},"
        " float64[::1], float64[:, ::1])"
        for pixel in PIXEL_TYPES
    )
)
def _moments(  # noqa: PLR0917 Numba
    image: Any, excluded: Mask, error: Any, has_error: bool, highest: Any, rings: Mask, limits: Array,
    moments: Array,
) -> None:  # fmt: skip
    """Number, sum and sum of squares [rings, 3] of the values that are not above the limit of their ring."""
    moments[:] = 0.0
    for y in range(0, image.shape[0], ROW_STEP):
        for x in range(image.shape[1]):
            value, ring = image[y, x], rings[y, x]
            if (
                ring < limits.shape[0]
                and excluded[y, x] == 0
                and value <= highest
                and not (has_error and value == error)
                and value <= limits[ring]
            ):
                number = float(value)
                moments[ring, 0] += 1.0
                moments[ring, 1] += number
                moments[ring, 2] += number * number


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
        self._moments = np.empty((n_rings, 3), np.float64)

    def thresholds(self, image: Image, rules: PixelRules, false_pixels_per_frame: float) -> Array:
        """Counts that a pixel of each ring has to reach, float64 [rings].

        Pixels of noise alone reach them `false_pixels_per_frame` times in the image, or less often.
        """
        moments = self._moments
        self._measure(image, rules, np.full(len(moments), np.inf))
        n, mean, variance = _statistics(moments)
        self._measure(image, rules, mean + _CUT * np.sqrt(np.maximum(variance, mean)) + 1.0)
        n, mean, variance = _statistics(moments)
        # One count more than seen: a ring without a photon is no proof that none can come.
        mean = np.maximum(mean, 0.0) + 1.0 / np.maximum(n, 1.0)
        gain = np.maximum(variance / mean, 1.0)
        probability = min(0.5, false_pixels_per_frame / max(self._n_looked_at, 1))
        found = [_poisson_threshold(m, probability, g) for m, g in zip(mean, gain, strict=True)]
        return np.array(found, np.float64)

    def _measure(self, image: Image, rules: PixelRules, upper: Array) -> None:
        limits = class_limits(rules, image.dtype)
        _moments(
            image, rules.excluded, limits.error, limits.has_error, limits.highest_valid, self._rings, upper,
            self._moments,
        )  # fmt: skip


def _statistics(moments: Array) -> tuple[Array, Array, Array]:
    """Number, mean and variance of each ring; 0 where there is nothing."""
    n = moments[:, 0]
    mean = moments[:, 1] / np.maximum(n, 1.0)
    return n, mean, np.maximum(moments[:, 2] / np.maximum(n, 1.0) - mean * mean, 0.0)
