"""Background of a spot: the mean of a frame of pixels around it."""

from __future__ import annotations

from typing import Any

from jfwriter.jit import kernel
from jfwriter.kernels.components import BOTTOM, LEFT, RIGHT, TOP
from jfwriter.kernels.pixel_classes import PIXEL_TYPES, Array, Image, Mask, PixelRules, class_limits

INNER, OUTER = 1, 3
"""The frame is the box of the spot grown by OUTER, without the box grown by INNER."""

_MASK = "Array(uint8, 2, 'C', readonly=True)"


@kernel(
    *(
        f"void(Array({pixel}, 2, 'C', readonly=True), {pixel}, boolean, {pixel}, {_MASK},"
        " float64[:, ::1], float64[::1])"
        for pixel in PIXEL_TYPES
    )
)
def _frame_means(  # noqa: PLR0917 Numba
    image: Any, error: Any, has_error: bool, highest: Any, taken: Mask, table: Array, means: Array
) -> None:
    height, width = image.shape
    for c in range(table.shape[0]):
        left, right = int(table[c, LEFT]), int(table[c, RIGHT])
        top, bottom = int(table[c, TOP]), int(table[c, BOTTOM])
        n, total = 0, 0.0
        for y in range(max(0, top - OUTER), min(height, bottom + OUTER + 1)):
            beside = top - INNER <= y <= bottom + INNER
            for x in range(max(0, left - OUTER), min(width, right + OUTER + 1)):
                if beside and left - INNER <= x <= right + INNER:
                    continue
                value = image[y, x]
                if taken[y, x] == 0 and value <= highest and not (has_error and value == error):
                    n += 1
                    total += value
        means[c] = total / n if n else 0.0


def frame_means(image: Image, rules: PixelRules, taken: Mask, table: Array, out: Array) -> Array:
    """Mean of the valid pixels of each component's frame that are not strong; 0 where there is none.

    `taken` uint8 [y, x] is 1 at masked and at strong pixels, `table` are the components. Fills and returns
    the beginning of `out`, float64 [n].
    """
    limits = class_limits(rules, image.dtype)
    means = out[: len(table)]
    _frame_means(image, limits.error, limits.has_error, limits.highest_valid, taken, table, means)
    return means
