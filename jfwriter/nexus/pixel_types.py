"""What the pixel type of the images says about special values."""

from __future__ import annotations

import numpy as np


def fill_value(dtype: np.dtype[np.generic]) -> int | float:
    """Stored value of a pixel of which nothing is known: INTn_MIN, UINTn_MAX, NaN."""
    if dtype.kind == "f":
        return float("nan")
    bits = 8 * dtype.itemsize
    return -(1 << (bits - 1)) if dtype.kind == "i" else (1 << bits) - 1


def error_value(dtype: np.dtype[np.generic], sent: int | None) -> int | None:
    """Value of masked and missing pixels: as sent, else the fill value; None for floats without one."""
    if sent is not None or dtype.kind == "f":
        return sent
    return int(fill_value(dtype))


def underload_value(dtype: np.dtype[np.generic], sent_error_value: int | None) -> int | None:
    """Lowest count that is a measurement (NXdetector underload_value); None for floats.

    Signed: one above the error value, so that a reader's trusted range leaves the error value out.
    An error value at the upper end says nothing about the lower one: then the fill value decides.
    """
    if dtype.kind == "f":
        return None
    if dtype.kind == "u":
        return 0
    lowest = int(fill_value(dtype))
    return (
        sent_error_value if sent_error_value is not None and lowest <= sent_error_value < 0 else lowest
    ) + 1


def bit_depth_readout(dtype: np.dtype[np.generic], sent: int | None) -> int:
    """Bits of the readout: as sent, but 32 for uint32 images; absent: bits of the pixel type.

    Readers derive special values from it (dxtbx masks 2**n - 1 and 2**n - 2): with 16 over uint32 images
    the counts 65535 and 65534 would be lost.
    """
    if dtype == np.dtype("u4") or sent is None:
        return 8 * dtype.itemsize
    return sent
