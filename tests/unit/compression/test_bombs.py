"""A few bytes that promise gigabytes: refused, and no more memory than the image and a block is taken."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jfwriter.compression import check_framing, decompress
from jfwriter.errors import PayloadError
from jfwriter.payload import Codec
from tests.support.chunks import bitshuffle_chunk, lz4_block, lz4_chunk, payload

IMAGE = np.zeros((64, 64), "<u2")
ZSTD = b"\x28\xb5\x2f\xfd"


def rle_frame(n_bytes: int) -> bytes:
    """A Zstandard frame (RFC 8878) of blocks that repeat one byte 128 Ki times each."""
    n_blocks = n_bytes >> 17
    head = ZSTD + b"\xe0" + n_bytes.to_bytes(8, "little")  # content size of 8 bytes, single segment
    block = (1 << 20 | 1 << 1).to_bytes(3, "little") + b"\0"
    return head + block * (n_blocks - 1) + (1 << 20 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"


def bombs() -> Iterator[tuple[str, Codec, bytes]]:
    far = lz4_block([(b"a", 1, 1 << 22), (b"b" * 16, 0, 0)])
    yield "an LZ4 block that repeats 4 MB", Codec.BSLZ4, bitshuffle_chunk(IMAGE, 4096, lambda _: far[:8000])
    yield "LZ4 literals without end", Codec.BSLZ4, bitshuffle_chunk(IMAGE, 4096, lambda _: b"\xff" * 8000)
    yield "the same in pixels", Codec.LZ4, lz4_chunk(IMAGE, IMAGE.nbytes, lambda _: far[:8000])
    yield (
        "a Zstandard frame of 256 MB",
        Codec.BSZSTD,
        bitshuffle_chunk(IMAGE, 4096, lambda _: rle_frame(1 << 28)),
    )
    for size in (1 << 40, 1 << 63):
        frame = ZSTD + b"\xe0" + size.to_bytes(8, "little") + b"\x03\0\0a"
        yield (
            f"a Zstandard frame of {size} bytes",
            Codec.BSZSTD,
            bitshuffle_chunk(IMAGE, 4096, lambda _, f=frame: f),
        )
    window = ZSTD + b"\x00\xff\x03\0\0a"
    yield "a window of terabytes", Codec.BSZSTD, bitshuffle_chunk(IMAGE, 4096, lambda _: window)


@pytest.mark.parametrize(("codec", "data"), [pytest.param(c, d, id=name) for name, c, d in bombs()])
def test_a_bomb_is_refused_in_little_memory(codec: Codec, data: bytes) -> None:
    bomb = payload(data, codec, IMAGE)
    out = np.empty_like(IMAGE)
    before = peak_bytes()
    tracemalloc.start()
    try:
        with pytest.raises(PayloadError):
            decompress(bomb, out)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000
    assert peak_bytes() - before < 16 << 20


def test_a_header_that_lies_is_refused_before_anything_is_taken() -> None:
    sound = bitshuffle_chunk(IMAGE, 4096)
    for size in (0, IMAGE.nbytes + 1, 1 << 40, (1 << 64) - 1):
        with pytest.raises(PayloadError, match="its header says"):
            check_framing(payload(size.to_bytes(8, "big") + sound[8:], Codec.BSLZ4, IMAGE))


def peak_bytes() -> int:
    """Highest resident memory of this process so far."""
    with Path("/proc/self/status").open() as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))
