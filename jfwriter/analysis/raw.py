"""Maps that were computed here, as if they had been sent."""

from __future__ import annotations

import numpy as np

from jfwriter.kernels.pixel_classes import Array
from jfwriter.payload import Codec, Payload


def raw_payload(image: Array) -> Payload:
    """`image` [y, x] unpacked, without a copy if it is C-contiguous."""
    packed = np.ascontiguousarray(image)
    height, width = packed.shape
    pixels = packed.reshape(-1).view(np.uint8).data
    return Payload(pixels.toreadonly(), Codec.NONE, packed.dtype, (height, width))
