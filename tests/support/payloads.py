"""Packed images as the wire hands them over."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from jfwriter.compression import compress
from jfwriter.payload import Codec, Payload


def packed(array: npt.ArrayLike, codec: Codec = Codec.BSLZ4) -> Payload:
    pixels = np.asarray(array)
    height, width = pixels.shape
    return Payload(memoryview(compress(pixels, codec)), codec, pixels.dtype, (height, width))


def broken(shape: tuple[int, int], dtype: str = "<u4") -> Payload:
    """A payload whose header says another size."""
    return Payload(memoryview(bytes(64)), Codec.BSLZ4, np.dtype(dtype), shape)
