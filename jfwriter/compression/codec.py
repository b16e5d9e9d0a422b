"""Payload <-> pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from jfwriter.compression import pipeline
from jfwriter.compression.filters import filter_for, filter_of
from jfwriter.compression.framing import REASON, check_framing, payload_bytes
from jfwriter.errors import PayloadError
from jfwriter.payload import Codec, Payload

Pixels = npt.NDArray[np.generic]


def decompress(payload: Payload, out: Pixels | None = None) -> Pixels:
    """Pixels [y, x] of `payload` in the machine's byte order.

    `out`, if given, is filled and returned: C-contiguous, of the payload's shape and native dtype (ValueError
    otherwise). Never allocates more than the image that the payload's shape and dtype announce.
    Raises PayloadError("bad_payload") if the framing is broken or a block does not unpack to its size.
    """
    check_framing(payload)
    filter_ = filter_of(payload)
    native = payload.dtype.newbyteorder("=")
    if out is None:
        out = np.empty(payload.shape, native)
    elif out.shape != payload.shape or out.dtype != native or not out.flags.c_contiguous:
        raise ValueError(f"out: {out.dtype} {out.shape}; expected C-contiguous {native} {payload.shape}")
    if filter_ is None:
        np.copyto(out, payload_bytes(payload).view(payload.dtype).reshape(payload.shape))
        return out
    try:
        pipeline.decode(payload.data, filter_, out)
    except OSError:
        height, width = payload.shape
        text = f"{payload.codec} image of {height} x {width} {payload.dtype.name}: a block does not unpack"
        raise PayloadError(REASON, text) from None
    if not payload.dtype.isnative:
        out.byteswap(inplace=True)
    return out


def compress(array: Pixels, codec: Codec, block_elements: int = 0) -> bytes:
    """Chunk of `array` [y, x] as `codec`, in the array's own byte order.

    `block_elements`: a multiple of 8, 0 for the codec's default: 8 KiB, for lz4 the whole image.
    Raises ValueError for anything else.
    """
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"array: shape {array.shape}; expected [y, x] with at least one pixel")
    if block_elements < 0 or block_elements % 8:
        raise ValueError(f"block_elements: {block_elements}; expected 0 or a multiple of 8")
    filter_ = filter_for(codec, array.dtype, block_elements)
    if filter_ is None:
        return array.tobytes()
    return pipeline.encode(np.ascontiguousarray(array), filter_)
