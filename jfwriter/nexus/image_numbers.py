"""Which exposure each row of the run is: the number that rotation angles and grid positions follow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

ImageNumbers = npt.NDArray[np.float64]


def image_numbers(n_images: int, original: Mapping[int, int]) -> ImageNumbers:
    """Number of the exposure behind each image [n_images], exact up to 2**53.

    `original` maps image_id to the number before image rejection, where the sender gave one. Without any it
    is the image_id. A row of which no image came counts on from the last known one before it (back from
    the first known one after it): a missing image of a run without rejections then gets its true number.
    """
    rows = np.arange(n_images, dtype=np.float64)
    image_ids = np.fromiter(original, np.int64, len(original))
    order = np.argsort(image_ids)
    order = order[(image_ids[order] >= 0) & (image_ids[order] < n_images)]
    if not order.size:
        return rows
    known_rows = image_ids[order]
    shifts = np.fromiter(original.values(), np.float64, len(original))[order] - known_rows
    before = np.searchsorted(known_rows, rows, side="right") - 1
    numbers: ImageNumbers = rows + shifts[np.maximum(before, 0)]
    return numbers
