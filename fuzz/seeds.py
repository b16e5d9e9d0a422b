"""Where the fuzzers begin: small sound messages and payloads, and the names that stand in messages."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import cbor2
import numpy as np

from jfwriter.payload import Codec
from jfwriter.settings import LimitSettings
from jfwriter.wire.decode import decode
from jfwriter.wire.messages import StartMessage
from tests.support import hostile
from tests.support.chunks import bitshuffle_chunk, lz4_block, lz4_chunk, lz4_literals
from tests.support.plain_images import plain_message
from tests.support.wire_fields import ESSENTIAL, MESSAGES, smallest

SHAPES = ((1, 1), (1, 7), (2, 4), (3, 5), (5, 40))
"""(height, width) of the payloads, by the first byte of an input modulo their number."""
DTYPES = ("u1", "<u2", "<i4", "<f4", ">u2")
CODECS = (Codec.BSLZ4, Codec.LZ4, Codec.BSZSTD, Codec.NONE)


def messages() -> Iterator[bytes]:
    """The smallest message of each type and with each further field; the short ones of `MALFORMED`."""
    for kind, fields in MESSAGES.items():
        for name in fields:
            yield cbor2.dumps({**smallest(kind), name: fields[name].sent})
    yield plain_message()
    yield from (data for _, data in hostile.MALFORMED if len(data) < 300)


def words() -> Iterator[bytes]:
    """Names of fields, encoded as keys, and heads of CBOR items."""
    for fields in MESSAGES.values():
        for name in fields:
            yield cbor2.dumps(name)
    yield from (cbor2.dumps(name) for name in ("user_data", *ESSENTIAL))
    yield from (
        b"\xd8\x28\x82",
        b"\xd8\x45",
        b"\xd9\xdc\xb4\x83",
        b"\x9f",
        b"\xbf",
        b"\xff",
        b"\xf6",
        b"\xf7",
    )
    yield from (b"\x1b" + b"\xff" * 8, b"\x3b" + b"\xff" * 8, b"\xf9\x7e\x00", b"\xf9\x7c\x00")


@cache
def open_run() -> StartMessage:
    """A start message that owns the images of `messages`."""
    start = decode(cbor2.dumps({**smallest("start"), "file_prefix": "a/b"}), LimitSettings())
    assert isinstance(start, StartMessage)
    return start


def payloads() -> Iterator[bytes]:
    """Two bytes that choose shape and type, and codec; then sound packed bytes."""
    for s, shape in enumerate(SHAPES):
        for d, dtype in enumerate(DTYPES):
            image = (np.arange(shape[0] * shape[1]) % 5).reshape(shape).astype(dtype)
            choice = bytes([s + len(SHAPES) * d])
            yield choice + b"\0" + bitshuffle_chunk(image, 16)
            yield choice + b"\0" + bitshuffle_chunk(image, 8, _repeating)
            yield choice + b"\1" + lz4_chunk(image, 9)
            yield choice + b"\1" + lz4_chunk(image, 64, _repeating)
            yield choice + b"\2" + bitshuffle_chunk(image, 16, _zstd_raw)
            yield choice + b"\3" + image.tobytes()


def _repeating(block: bytes) -> bytes:
    """An LZ4 block with a match where the block can have one; what it unpacks to does not matter."""
    if len(block) < 24:
        return bytes(lz4_literals(block))
    return bytes(lz4_block([(block[:4], 3, len(block) - 12), (block[-8:], 0, 0)]))


def _zstd_raw(block: bytes) -> bytes:
    """A Zstandard frame (RFC 8878) of one raw block with its size in the header."""
    assert len(block) < 256
    head = b"\x28\xb5\x2f\xfd\x20" + bytes([len(block)])
    return head + (len(block) << 3 | 1).to_bytes(3, "little") + block
