"""Fuzz the framing check and the unpacking kernels.

    python -m fuzz.payloads [--runs N] [libFuzzer options]

The first two bytes of an input choose shape, pixel type and codec, the others are the packed bytes. The
compiled kernels work on memory that ends at a guard page, and are compared with the same source in plain
Python whose every access is checked. Wrong is: a crash, an access out of bounds, any exception but
PayloadError, and two results that differ.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fuzz import engine
from fuzz.guarded import Guarded
from fuzz.interpreted import Memory, interpreted
from fuzz.seeds import CODECS, DTYPES, SHAPES, payloads
from jfwriter.compression import _unpack as compiled
from jfwriter.compression import check_framing, decompress
from jfwriter.compression._lz4 import SLACK_BYTES
from jfwriter.compression._walk import default_block_bytes, walk_bitshuffle, walk_lz4
from jfwriter.errors import PayloadError
from jfwriter.payload import Codec, Payload

MAX_BYTES = 1 << 14
_WALK = interpreted("jfwriter.compression._walk", engine.seen)
_LZ4 = interpreted("jfwriter.compression._lz4", engine.seen)
_LZ4.REPEAT, _LZ4.PERIOD = _LZ4.REPEAT.tolist(), _LZ4.PERIOD.tolist()
_SOURCE, _TARGET, _SCRATCH = (Guarded(MAX_BYTES) for _ in range(3))


def _unshuffle_block(target: Memory, to: int, source: Memory, n_bytes: int, item_bytes: int) -> None:
    """Element by element, by the definition of the filter."""
    row_bytes = n_bytes // (8 * item_bytes)
    for j in range(row_bytes):
        for byte in range(item_bytes):
            rows = [source[(8 * byte + bit) * row_bytes + j] for bit in range(8)]
            for k in range(8):
                value = sum((row >> k & 1) << bit for bit, row in enumerate(rows))
                target[to + (8 * j + k) * item_bytes + byte] = value


def check(data: bytes) -> None:
    """Raises for an input that shows a bug."""
    if len(data) < 2 or len(data) > MAX_BYTES:
        return
    shape = SHAPES[data[0] % len(SHAPES)]
    dtype = np.dtype(DTYPES[data[0] // len(SHAPES) % len(DTYPES)])
    codec = CODECS[data[1] % len(CODECS)]
    source = _SOURCE.holding(data[2:])
    payload = Payload(source.data, codec, dtype, shape)
    is_framed = _framing(payload, source, data[2:])
    out = _TARGET.last(payload.raw_bytes).view(dtype.newbyteorder("=")).reshape(shape)
    try:
        pixels = decompress(payload, out)
    except PayloadError as error:
        if not str(error).isprintable() or len(str(error)) > 400:
            raise AssertionError(f"not to be shown: {error!r}") from None
        pixels = None
    if pixels is not None and not is_framed:
        raise AssertionError("unpacked, although its framing is broken")
    if is_framed and codec in {Codec.BSLZ4, Codec.LZ4}:
        _compare(payload, data[2:], source, pixels)


def _framing(payload: Payload, source: Any, data: bytes) -> bool:
    raw_bytes, item_bytes = payload.raw_bytes, payload.dtype.itemsize
    if payload.codec is Codec.LZ4:
        found, twin = walk_lz4(source, raw_bytes), _WALK.walk_lz4(Memory(data), raw_bytes)
    elif payload.codec is not Codec.NONE:
        zstd = payload.codec is Codec.BSZSTD
        found = walk_bitshuffle(source, raw_bytes, item_bytes, zstd)
        twin = _WALK.walk_bitshuffle(Memory(data), raw_bytes, item_bytes, zstd)
    else:
        found = twin = (len(data) != raw_bytes, 0, 0)
    if found[0] != twin[0]:
        raise AssertionError(f"compiled {found}, interpreted {twin}")
    try:
        check_framing(payload)
    except PayloadError:
        return False
    if found[0] != 0:
        raise AssertionError(f"the framing check took {found}")
    return True


def _compare(payload: Payload, data: bytes, source: Any, pixels: Any) -> None:
    """Unpack again: compiled into guarded scratch, and interpreted; all must agree."""
    n_raw, item_bytes = payload.raw_bytes, payload.dtype.itemsize
    target = np.zeros(n_raw, np.uint8)
    twin = Memory(n_raw)
    block_bytes = int.from_bytes(data[8:12], "big")
    if payload.codec is Codec.LZ4:
        where = compiled.unpack_lz4(source, target, block_bytes)
        good = _twin_lz4(Memory(data), twin, block_bytes)
    else:
        block_bytes = block_bytes or default_block_bytes(item_bytes)
        n_scratch = min(block_bytes, n_raw) + SLACK_BYTES
        where = compiled.unpack_bslz4(source, target, _SCRATCH.last(n_scratch), item_bytes, block_bytes)
        good = _twin_bslz4(Memory(data), twin, Memory(n_scratch), item_bytes, block_bytes)
    if good != (where == 0) or good != (pixels is not None):
        raise AssertionError(f"interpreted {good}, compiled {where}, decompress {pixels is not None}")
    if good:
        swapped = pixels if payload.dtype.isnative else pixels.byteswap()
        if bytes(twin) != target.tobytes() or bytes(twin) != swapped.tobytes():
            raise AssertionError("three ways to unpack, and not one result")


def _twin_lz4(source: Memory, target: Memory, block_bytes: int) -> bool:
    position, to = 12, 0
    while to < len(target):
        n = min(block_bytes, len(target) - to)
        end = position + 4 + int.from_bytes(source[position : position + 4], "big")
        if end - position - 4 == n:
            target[to : to + n] = source[position + 4 : end]
        elif not _LZ4.unpack_lz4_block(source, position + 4, end, target, to, to + n, False):
            return False
        position, to = end, to + n
    return True


def _twin_bslz4(source: Memory, target: Memory, scratch: Memory, item_bytes: int, block_bytes: int) -> bool:
    left = len(target) - len(target) % (8 * item_bytes)
    position, to = 12, 0
    while left > 0:
        n = min(block_bytes, left)
        end = position + 4 + int.from_bytes(source[position : position + 4], "big")
        if not _LZ4.unpack_lz4_block(source, position + 4, end, scratch, 0, n, True):
            return False
        _unshuffle_block(target, to, scratch, n, item_bytes)
        position, to, left = end, to + n, left - n
    target[to : len(target)] = source[position : position + len(target) - to]
    return True


if __name__ == "__main__":
    engine.run("payloads", check, payloads(), (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x28\xb5\x2f\xfd"))
