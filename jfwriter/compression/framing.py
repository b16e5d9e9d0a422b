"""Is a payload framed as its codec says? Checked before its bytes go to disk as they are.

A bitshuffle chunk that is too short is taken by HDF5's direct chunk write and crashes later readers; one
with a wrong length in it reads back wrong without an error. The walk costs microseconds per image and
proves that every length is inside the payload. It does not unpack: a flipped bit inside a block stays.
"""

from __future__ import annotations

import numpy as np

from jfwriter.compression._walk import Bytes, Verdict, walk_bitshuffle, walk_lz4
from jfwriter.errors import PayloadError
from jfwriter.payload import Codec, Payload

REASON = "bad_payload"


def check_framing(payload: Payload) -> None:
    """Check sizes and block lengths of `payload` against its shape, dtype and codec.

    Framing: HDF5 registered filters 32008 (bitshuffle; LZ4 or Zstandard blocks) and 32004 (LZ4), or plain
    pixels. Raises PayloadError("bad_payload") that says which length is wrong, where, and what was expected.
    """
    data = payload_bytes(payload)
    raw_bytes = payload.raw_bytes
    if min(payload.shape) < 1:
        raise PayloadError(REASON, f"{_name(payload)}: an image without pixels; expected at least 1 x 1")
    if payload.codec is Codec.NONE:
        if data.size != raw_bytes:
            raise PayloadError(REASON, f"{_name(payload)}: {data.size} bytes; expected {raw_bytes}")
        return
    if payload.codec is Codec.LZ4:
        verdict, where, found = walk_lz4(data, raw_bytes)
    else:
        zstd = payload.codec is Codec.BSZSTD
        verdict, where, found = walk_bitshuffle(data, raw_bytes, payload.dtype.itemsize, zstd)
    if verdict:
        raise PayloadError(REASON, _complaint(payload, data.size, Verdict(verdict), where, found))


def payload_bytes(payload: Payload) -> Bytes:
    """The packed bytes as a flat uint8 array without a copy. Raises PayloadError if they are scattered."""
    try:
        return np.frombuffer(payload.data, dtype=np.uint8)
    except BufferError:
        raise PayloadError(REASON, f"{_name(payload)}: no contiguous bytes") from None


def _name(payload: Payload) -> str:
    height, width = payload.shape
    return f"{payload.codec} image of {height} x {width} {payload.dtype.name}"


def _complaint(payload: Payload, n_bytes: int, verdict: Verdict, where: int, found: int) -> str:
    text = {
        Verdict.TOO_SHORT: f"{found} bytes; expected a header of 12 bytes and blocks",
        Verdict.WRONG_SIZE: f"its header says {found & 0xFFFF_FFFF_FFFF_FFFF} bytes unpacked; "
        f"expected {payload.raw_bytes}",
        Verdict.BAD_BLOCK_SIZE: f"its header says blocks of {found} bytes; expected {_block_rule(payload)}",
        Verdict.BLOCK_CUT: f"at byte {where} of {n_bytes} it ends inside a block ({found})",
        Verdict.EMPTY_BLOCK: f"at byte {where} of {n_bytes} a block of 0 bytes; expected at least 1",
        Verdict.BLOCK_TOO_LONG: f"at byte {where} of {n_bytes} a block of {found} bytes; "
        "expected no more than its codec can make of a block",
        Verdict.WRONG_END: f"its last block ends at byte {where} with {found} bytes left; expected "
        f"{_tail_bytes(payload)}",
    }[verdict]
    return f"{_name(payload)}: {text}; is the sender's codec or image size another?"


def _block_rule(payload: Payload) -> str:
    if payload.codec is Codec.LZ4:
        return "1 to 2113929216"
    return f"0 or a multiple of {8 * payload.dtype.itemsize} up to 2113929216"


def _tail_bytes(payload: Payload) -> int:
    return 0 if payload.codec is Codec.LZ4 else payload.raw_bytes % (8 * payload.dtype.itemsize)
