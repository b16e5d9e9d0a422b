"""Rings of equal width in q, in which pixels have thresholds of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jfwriter.kernels.pixel_classes import Array, Mask

NO_RING = 255
"""Ring of the pixels that are not looked at."""

MAX_RINGS = 64
ROW_STEP = 8
"""The noise of a ring is that of its pixels in every eighth row."""

MIN_SAMPLE = 500
"""Pixels in those rows; a ring with fewer is joined with the next one outwards."""

SEGMENT = 128
"""Pixels of a row that are looked at together."""


@dataclass(frozen=True, slots=True)
class Rings:
    """`number` uint8 [y, x] is that of `number_rings`. `spans` uint8 [y, segments, 3] are the first and last
    ring in each segment of a row, (1, 0) without any, and whether all its pixels that are not masked belong
    to one ring."""

    number: Mask
    spans: Mask


def with_spans(number: Mask, excluded: Mask) -> Rings:
    """`number` of `number_rings`; `excluded` uint8 [y, x] is 1 at masked pixels."""
    height, width = number.shape
    n = -(-width // SEGMENT)

    def in_segments(values: Array, filling: int) -> Array:
        padded = np.full((height, n * SEGMENT), filling, np.uint8)
        padded[:, :width] = values
        return padded.reshape(height, n, SEGMENT)

    rings = in_segments(number, NO_RING)
    outside = rings == NO_RING
    first, last = rings.min(axis=2), np.where(outside, 0, rings).max(axis=2)
    whole = (first == last) & (~outside | (in_segments(excluded, 1) != 0)).all(axis=2)
    none = first == NO_RING
    first, last = np.where(none, 1, first), np.where(none, 0, last)
    return Rings(number, np.ascontiguousarray(np.stack([first, last, whole], axis=2), np.uint8))


def number_rings(q_recipA: Array | None, looked_at: Array) -> Mask:  # noqa: N803 unit
    """Ring of each pixel, uint8 [y, x]: rings of equal width in q, NO_RING where `looked_at` [y, x] is False.

    Without q all pixels are in one ring.
    """
    rings = np.where(looked_at, np.uint8(0), np.uint8(NO_RING))
    sample = looked_at[::ROW_STEP]
    if q_recipA is None or not sample.any():
        return rings
    low, high = q_recipA[looked_at].min(), q_recipA[looked_at].max()
    width = max((high - low) / MAX_RINGS, np.finfo(np.float32).tiny)
    narrow = np.clip((q_recipA - low) / width, 0, MAX_RINGS - 1).astype(np.uint8)
    n_pixels = np.bincount(narrow[::ROW_STEP][sample], minlength=MAX_RINGS)
    rings[looked_at] = _joined(n_pixels)[narrow[looked_at]]
    return rings


def _joined(n_pixels: Array) -> Mask:
    """New number of each ring, so that each new one has at least MIN_SAMPLE pixels (if all have)."""
    new, number, n = np.zeros(len(n_pixels), np.uint8), 0, 0
    for ring, count in enumerate(n_pixels):
        new[ring] = number
        n += count
        if n >= MIN_SAMPLE and n_pixels[ring + 1 :].sum() >= MIN_SAMPLE:
            number, n = number + 1, 0
    return new
