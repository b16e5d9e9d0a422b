"""Spot finding in plain Python, written from docs/reference/quantities/spots.md: slow, small, obvious."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def classes(image: Array, excluded: Array, error_value: int, saturation_value: int) -> tuple[Array, Array]:
    """bool [y, x] of valid and of saturated pixels."""
    numbers = image.astype(np.float64)
    counted = (excluded == 0) & ~np.isnan(numbers)
    if image.dtype.kind != "f":
        counted &= numbers != error_value
    return counted & (numbers < saturation_value), counted & (numbers >= saturation_value)


def strong_pixels(
    image: Array, valid: Array, saturated: Array, threshold: float, signal_to_noise: float
) -> set[tuple[int, int]]:
    """(y, x) of the strong pixels."""
    cut = np.clip(np.rint(np.nan_to_num(image.astype(np.float64))), -32768, 32767)
    height, width = image.shape
    strong = {(int(y), int(x)) for y, x in np.argwhere(saturated)}
    for y, x in np.argwhere(valid & (cut >= min(threshold, 32767))):
        window = [
            (int(cut[v, u]), (v, u) == (y, x))
            for v in range(max(0, y - 3), min(height, y + 4))
            for u in range(max(0, x - 3), min(width, x + 4))
            if valid[v, u]
        ]
        values = [value for value, _ in window]
        others = [value for value, is_centre in window if not is_centre]
        if len(others) < 12:
            continue
        mean = Fraction(sum(others), len(others))
        excess = int(cut[y, x]) - mean
        if excess <= 0 or excess**2 <= Fraction(signal_to_noise) ** 2 * max(mean, 0):
            continue
        n, total = len(values), sum(values)
        variance = Fraction(n * sum(value * value for value in values) - total * total, n * (n - 1))
        limit = 1 + signal_to_noise * math.sqrt(2 / (n - 1))
        if variance > Fraction(limit) * Fraction(total, n):
            strong.add((int(y), int(x)))
    return strong


def components(pixels: set[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Pixels (y, x) that touch, also at their corners, ordered by their first pixels; by flood fill."""
    left, found = set(pixels), []
    for start in sorted(pixels):
        if start not in left:
            continue
        left.discard(start)
        todo, members = [start], []
        while todo:
            y, x = todo.pop()
            members.append((y, x))
            for neighbour in [(y + v, x + u) for v in (-1, 0, 1) for u in (-1, 0, 1)]:
                if neighbour in left:
                    left.discard(neighbour)
                    todo.append(neighbour)
        found.append(sorted(members))
    return found


def frame_mean(
    image: Array, valid: Array, strong: set[tuple[int, int]], members: list[tuple[int, int]]
) -> float:
    """Mean of the valid pixels around a component that are two or three pixels away from its box."""
    ys, xs = [y for y, _ in members], [x for _, x in members]
    values = []
    for y in range(min(ys) - 3, max(ys) + 4):
        for x in range(min(xs) - 3, max(xs) + 4):
            if not (0 <= y < image.shape[0] and 0 <= x < image.shape[1]):
                continue
            if min(ys) - 1 <= y <= max(ys) + 1 and min(xs) - 1 <= x <= max(xs) + 1:
                continue
            if valid[y, x] and (y, x) not in strong:
                values.append(float(image[y, x]))
    return sum(values) / len(values) if values else 0.0


def centre(
    values: list[float], members: list[tuple[int, int]], background: float
) -> tuple[float, float, float]:
    """x, y and intensity."""
    level = min([background, *values])
    weights = [value - level for value in values]
    intensity = sum(weights)
    if intensity <= 0:
        weights = [1.0] * len(values)
    total = sum(weights)
    x = sum(weight * x for weight, (_, x) in zip(weights, members, strict=True)) / total
    y = sum(weight * y for weight, (y, _) in zip(weights, members, strict=True)) / total
    return x, y, intensity
