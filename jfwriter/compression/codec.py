"""Payload <-> pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from jfwriter.compression import _zstd, pipeline
from jfwriter.compression._lz4 import SLACK_BYTES
from jfwriter.compression._unpack import unpack_bslz4, unpack_bszstd, unpack_lz4
from jfwriter.compression._walk import Bytes, default_block_bytes
from jfwriter.compression.filters import filter_for, filter_of
from jfwriter.compression.framing import REASON, check_framing, payload_bytes
from jfwriter.errors import PayloadError
from jfwriter.payload import Codec, Payload

Pixels = npt.NDArray[np.generic]

KERNEL_ITEM_BYTES = (1, 2, 4)
"""Element sizes that the kernels unshuffle; HDF5 takes the others."""


def decompress(payload: Payload, out: Pixels | None = None) -> Pixels:
    """Pixels [y, x] of `payload` in the machine's byte order, without the GIL.

    `out`, if given, is filled and returned: C-contiguous, of the payload's shape and native dtype (ValueError
    otherwise); fresh memory for a large image costs more than unpacking it. Reads and writes nothing outside
    the payload and the image, whatever the payload holds, and takes no more memory than the image and one
    block of it. Raises PayloadError("bad_payload") if the framing is broken or a block does not unpack to
    its size; `out` then holds anything.
    """
    check_framing(payload)
    out = _target(payload, out)
    source, target = payload_bytes(payload), out.reshape(-1).view(np.uint8)
    where = _unpack(payload, source, target)
    if where:
        height, width = payload.shape
        raise PayloadError(
            REASON,
            f"{payload.codec} image of {height} x {width} {payload.dtype.name}: the block at byte {where} of "
            f"{source.size} does not unpack to its size; were bytes changed on the way?",
        )
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


def _target(payload: Payload, out: Pixels | None) -> Pixels:
    native = payload.dtype.newbyteorder("=")
    if out is None:
        return np.empty(payload.shape, native)
    if (
        out.shape != payload.shape
        or out.dtype != native
        or not (out.flags.c_contiguous and out.flags.writeable)
    ):
        raise ValueError(
            f"out: {out.dtype} {out.shape}; expected C-contiguous, writable {native} {payload.shape}"
        )
    return out


def _unpack(payload: Payload, source: Bytes, target: Bytes) -> int:
    """Unpack in the sender's byte order; returns the offset of a block that does not unpack, else 0."""
    if payload.codec is Codec.NONE:
        np.copyto(target, source)
        return 0
    item_bytes = payload.dtype.itemsize
    block_bytes = int.from_bytes(source[8:12].tobytes(), "big")
    if payload.codec is Codec.LZ4:
        return unpack_lz4(source, target, block_bytes)
    zstd = _zstd.decoder() if payload.codec is Codec.BSZSTD else None
    if item_bytes not in KERNEL_ITEM_BYTES or (payload.codec is Codec.BSZSTD and zstd is None):
        return _unpack_by_hdf5(payload, target)
    if block_bytes == 0:
        block_bytes = default_block_bytes(item_bytes)
    scratch = np.empty(min(block_bytes, target.size) + SLACK_BYTES, np.uint8)
    if zstd is None:
        return unpack_bslz4(source, target, scratch, item_bytes, block_bytes)
    with zstd.context() as context:
        return unpack_bszstd(source, target, scratch, item_bytes, block_bytes, zstd.decompress_code, context)


def _unpack_by_hdf5(payload: Payload, target: Bytes) -> int:
    filter_ = filter_of(payload)
    assert filter_ is not None  # noqa: S101 plain pixels do not come here
    try:
        pipeline.decode(payload.data, filter_, target.view(payload.dtype.newbyteorder("=")))
    except OSError:
        return 12
    return 0
