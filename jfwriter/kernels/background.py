"""Background estimate: mean of the valid pixels in 3 to 5 Å (docs/reference/quantities/background.md)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jfwriter.jit import kernel
from jfwriter.kernels.pixel_classes import PIXEL_TYPES, Array, Image, PixelRules, class_limits

HIGH_RESOLUTION_ANGSTROM, LOW_RESOLUTION_ANGSTROM = 3.0, 5.0


def find_runs(chosen: Array) -> Array:
    """Runs of chosen pixels within rows, in order: y, first x, end x. bool [y, x] -> int32 [n, 3]"""
    height, width = chosen.shape
    padded = np.zeros((height, width + 2), np.int8)
    padded[:, 1:-1] = chosen
    steps = np.diff(padded, axis=1)
    y, first = np.nonzero(steps == 1)
    end = np.nonzero(steps == -1)[1]
    return np.ascontiguousarray(np.stack([y, first, end], axis=1), np.int32)


@kernel(
    *(
        f"UniTuple(float64, 2)(Array({pixel}, 2, 'C', readonly=True), {pixel}, boolean, {pixel},"
        " Array(int32, 2, 'C', readonly=True))"
        for pixel in PIXEL_TYPES
    )
)
def _sum_of_runs(image: Any, error: Any, has_error: bool, highest: Any, runs: Array) -> tuple[float, float]:
    n, total = 0, 0.0
    no_error = not has_error
    for i in range(runs.shape[0]):
        run = image[runs[i, 0], runs[i, 1] : runs[i, 2]]
        n_run, run_sum = 0, 0 * highest
        for x in range(run.shape[0]):
            value = run[x]
            valid = ((value != error) | no_error) & (value <= highest)
            n_run += int(valid)
            run_sum += value if valid else error * 0
        n += n_run
        total += run_sum
    return total, float(n)


class BackgroundEstimate:
    """Prepared once per run; it is only read afterwards, so that several threads may use it."""

    def __init__(self, rules: PixelRules, q_recipA: Array) -> None:  # noqa: N803 unit
        """`q_recipA` float32 [y, x]: q at the pixel centres."""
        low, high = 2 * math.pi / LOW_RESOLUTION_ANGSTROM, 2 * math.pi / HIGH_RESOLUTION_ANGSTROM
        self._rules = rules
        self._runs = find_runs((q_recipA >= low) & (q_recipA <= high) & (rules.excluded == 0))

    def estimate(self, image: Image) -> float:
        """Mean in counts per pixel of `image` [y, x]; NaN if no pixel is valid."""
        limits = class_limits(self._rules, image.dtype)
        total, n = _sum_of_runs(image, limits.error, limits.has_error, limits.highest_valid, self._runs)
        return total / n if n else math.nan
