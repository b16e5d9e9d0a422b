"""The profiles of a plain image into their rows, all of them in one call and without an array for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from jfwriter.jit import borrowed, helper, kernel

Bytes = npt.NDArray[np.uint8]
_BYTES = "Array(uint8, 1, 'C', readonly=True)"


@helper
def _copy(source: Bytes, offset: int, row: Any) -> None:
    target = row.reshape(row.size).view(np.uint8)
    for i in range(target.size):
        target[i] = source[offset + i]


@helper
def _lose_infinite(row: npt.NDArray[np.float32]) -> int:
    """How many became NaN."""
    flat = row.reshape(row.size)
    n_infinite = 0
    for i in range(flat.size):
        if abs(flat[i]) == np.inf:
            flat[i] = np.nan
            n_infinite += 1
    return n_infinite


@kernel(
    f"int64({_BYTES}, int64, int64, int64, float32[:, ::1], float32[:, ::1], uint32[:, ::1])", keeps_gil=True
)
def put_profiles(  # noqa: PLR0917 kernels have no keywords
    source: Bytes,
    mean_at: int,
    std_at: int,
    count_at: int,
    mean: npt.NDArray[np.float32],
    std: npt.NDArray[np.float32],
    count: npt.NDArray[np.uint32],
) -> int:
    """Copy little-endian numbers of `source` into the rows [n_phi, n_q]; infinite ones become NaN.

    Each offset + the bytes of its row lie within `source`, or the offset is negative: nothing is copied.
    Returns how many were infinite: of the mean, and of the deviation times 2**32.
    """
    source, mean, std, count = borrowed(source), borrowed(mean), borrowed(std), borrowed(count)
    n_infinite = 0
    if mean_at >= 0:
        _copy(source, mean_at, mean)
        n_infinite += _lose_infinite(mean)
    if std_at >= 0:
        _copy(source, std_at, std)
        n_infinite += _lose_infinite(std) << 32
    if count_at >= 0:
        _copy(source, count_at, count)
    return n_infinite
