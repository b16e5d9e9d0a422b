"""Chunks of filters 32008 and 32004 by hand, byte by byte, from their published descriptions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from jfwriter.payload import Codec, Payload

Sequence_ = tuple[bytes, int, int]
"""Literals, then a match: distance and length. The last one of a block has length 0 and no match."""

DTYPES = tuple(
    np.dtype(name) for name in ("u1", "i1", "<u2", ">u2", "<i2", ">i2", "<u4", ">u4", "<i4", ">i4")
)
FLOATS = (np.dtype("<f4"), np.dtype(">f4"))
PACKED = (Codec.BSLZ4, Codec.BSZSTD, Codec.LZ4)


def payload(data: bytes, codec: Codec, array: npt.NDArray[np.generic]) -> Payload:
    """`data` as the payload of an image like `array` [y, x]."""
    height, width = array.shape
    return Payload(memoryview(data), codec, array.dtype, (height, width))


def lz4_block(sequences: Iterable[Sequence_]) -> bytes:
    """An LZ4 block (LZ4 block format) of exactly these sequences."""
    block = bytearray()
    for literals, distance, length in sequences:
        match = length - 4 if length else 0
        block.append(min(len(literals), 15) << 4 | min(match, 15))
        block += _rest(len(literals))
        block += literals
        if length:
            block += distance.to_bytes(2, "little")
            block += _rest(match)
    return bytes(block)


def _rest(n: int) -> bytes:
    if n < 15:
        return b""
    return b"\xff" * ((n - 15) // 255) + bytes([(n - 15) % 255])


def unpacked(sequences: Iterable[Sequence_]) -> bytes:
    """What an LZ4 block of these sequences means."""
    out = bytearray()
    for literals, distance, length in sequences:
        out += literals
        for _ in range(length):
            out.append(out[-distance])
    return bytes(out)


def lz4_literals(data: bytes) -> bytes:
    """The LZ4 block that repeats nothing."""
    return lz4_block([(data, 0, 0)])


def shuffled(elements: npt.NDArray[np.generic]) -> bytes:
    """Bitshuffle of a multiple of 8 elements: first bit 0 of byte 0 of all of them, then bit 1, ..."""
    rows = elements.view(np.uint8).reshape(elements.size, elements.itemsize)
    bits = np.unpackbits(rows, axis=1, bitorder="little")
    return np.packbits(bits.T.reshape(-1), bitorder="little").tobytes()


def bitshuffle_chunk(
    array: npt.NDArray[np.generic],
    block_elements: int,
    pack: Callable[[bytes], bytes] = lz4_literals,
    *,
    header_block_bytes: int | None = None,
) -> bytes:
    """A chunk of filter 32008; each block of shuffled elements goes through `pack`."""
    flat = np.ascontiguousarray(array).reshape(-1)
    whole = flat.size - flat.size % 8
    parts = [flat[i : min(i + block_elements, whole)] for i in range(0, whole, block_elements)]
    in_header = block_elements * flat.itemsize if header_block_bytes is None else header_block_bytes
    return _framed(flat.nbytes, in_header, [pack(shuffled(part)) for part in parts]) + flat[whole:].tobytes()


def lz4_chunk(
    array: npt.NDArray[np.generic], block_bytes: int, pack: Callable[[bytes], bytes] = lz4_literals
) -> bytes:
    """A chunk of filter 32004; a block that `pack` leaves as long as it was counts as stored."""
    data = array.tobytes()
    parts = [data[i : i + block_bytes] for i in range(0, len(data), block_bytes)]
    return _framed(len(data), block_bytes, [pack(part) for part in parts])


def _framed(raw_bytes: int, block_bytes: int, blocks: Sequence[bytes]) -> bytes:
    header = raw_bytes.to_bytes(8, "big") + block_bytes.to_bytes(4, "big")
    return header + b"".join(len(block).to_bytes(4, "big") + block for block in blocks)


def is_well_framed(chunk: Payload) -> bool:
    """The rule that a framing check must follow, as plainly as it can be said."""
    data = bytes(chunk.data)
    bitshuffle = chunk.codec is not Codec.LZ4
    group = 8 * chunk.dtype.itemsize if bitshuffle else 1
    if len(data) < 12 or int.from_bytes(data[:8], "big") != chunk.raw_bytes:
        return False
    block = int.from_bytes(data[8:12], "big")
    if block % group or block > 0x7E000000 or (block == 0 and not bitshuffle):
        return False
    block = block or max(8192 // chunk.dtype.itemsize // 8 * 8, 128) * chunk.dtype.itemsize
    tail = chunk.raw_bytes % group
    left = chunk.raw_bytes - tail
    data = data[12:]
    while left:
        n = min(block, left)
        length = int.from_bytes(data[:4], "big")
        bound = n + n // 255 + 16
        if chunk.codec is Codec.BSZSTD:
            bound = n + (n >> 8) + ((131072 - n) >> 11 if n < 131072 else 0)
        if len(data) < 4 or not 0 < length <= min(bound, len(data) - 4):
            return False
        data = data[4 + length :]
        left -= n
    return len(data) == tail
