"""Walks over the frames of HDF5 filters 32008 (bitshuffle) and 32004 (LZ4) without unpacking them.

The kernels return `(verdict, where, found)`: a `Verdict`, the byte offset it is about and the number found
there. They read only inside `data`.
"""

from __future__ import annotations

import enum

import numpy as np
import numpy.typing as npt

from jfwriter.compression._memory import prefetch
from jfwriter.jit import helper, kernel

Bytes = npt.NDArray[np.uint8]

HEADER_BYTES = 12
MAX_BLOCK_BYTES = 0x7E000000
"""LZ4_MAX_INPUT_SIZE: no LZ4 block is larger."""


class Verdict(enum.IntEnum):
    """What a walk found out."""

    OK = 0
    TOO_SHORT = 1
    WRONG_SIZE = 2
    BAD_BLOCK_SIZE = 3
    BLOCK_CUT = 4
    EMPTY_BLOCK = 5
    BLOCK_TOO_LONG = 6
    WRONG_END = 7


@helper
def read_u32_be(data: Bytes, offset: int) -> int:
    high = (np.int64(data[offset]) << 24) | (np.int64(data[offset + 1]) << 16)
    return int(high | (np.int64(data[offset + 2]) << 8) | np.int64(data[offset + 3]))


@helper
def read_u64_be(data: Bytes, offset: int) -> int:
    """As a signed number: 2^63 or more comes out negative, and so equals no size that is expected."""
    return (read_u32_be(data, offset) << 32) | read_u32_be(data, offset + 4)


@helper
def default_block_bytes(item_bytes: int) -> int:
    """Block size that bitshuffle takes for 0: 8 KiB in whole groups of 8 elements, at least 128 elements."""
    n = 8192 // item_bytes
    return max(n - n % 8, 128) * item_bytes


@helper
def block_bound_bytes(n: int, zstd: bool) -> int:
    """Longest block that `n` bytes can become (ZSTD_compressBound, LZ4_compressBound)."""
    if not zstd:
        return n + n // 255 + 16
    return n + (n >> 8) + (max(131072 - n, 0) >> 11)


@helper
def judge_block(length: int, room: int, bound: int) -> int:
    """Verdict on a block of `length` bytes where `room` bytes are left."""
    if length == 0:
        return 5
    if length > bound:
        return 6
    return 4 if length > room else 0


@helper
def walk_blocks(data: Bytes, left: int, block: int, zstd: bool) -> tuple[int, int, int]:
    """Step over blocks of `block` bytes unpacked, the last one shorter, that make up `left` bytes."""
    n_bytes = data.size
    position = 12
    while left > 0:
        block = min(block, left)
        if position + 4 > n_bytes:
            return 4, position, n_bytes - position
        length = read_u32_be(data, position)
        verdict = judge_block(length, n_bytes - position - 4, block_bound_bytes(block, zstd))
        if verdict != 0:
            return verdict, position, length
        position += 4 + length
        left -= block
        # Each length says where the next one stands, so that the walk waits for memory at every step. Blocks
        # are of similar length: a guess two blocks ahead takes 40 % off.
        ahead = position + 2 * (4 + length)
        prefetch(data, ahead - 64)
        prefetch(data, ahead)
        prefetch(data, ahead + 64)
    return 0, position, 0


@helper
def read_header(data: Bytes, raw_bytes: int, group_bytes: int) -> tuple[int, int, int]:
    """Check size and block size, which is a multiple of `group_bytes`; `found` is the block size if OK."""
    if data.size < HEADER_BYTES:
        return 1, 0, data.size
    size = read_u64_be(data, 0)
    if size != raw_bytes:
        return 2, 0, size
    block = read_u32_be(data, 8)
    return (3 if block % group_bytes != 0 or block > MAX_BLOCK_BYTES else 0), 8, block


@kernel("UniTuple(int64, 3)(Array(uint8, 1, 'C', readonly=True), int64, int64, boolean)")
def walk_bitshuffle(data: Bytes, raw_bytes: int, item_bytes: int, zstd: bool) -> tuple[int, int, int]:
    """Walk a 32008 chunk of `raw_bytes` in items of `item_bytes`; `zstd` says what its blocks are."""
    verdict, where, found = read_header(data, raw_bytes, 8 * item_bytes)
    if verdict != 0:
        return verdict, where, found
    tail = raw_bytes % (8 * item_bytes)
    block = found if found > 0 else default_block_bytes(item_bytes)
    verdict, where, found = walk_blocks(data, raw_bytes - tail, block, zstd)
    if verdict == 0 and where + tail != data.size:
        return 7, where, data.size - where
    return verdict, where, found


@kernel("UniTuple(int64, 3)(Array(uint8, 1, 'C', readonly=True), int64)")
def walk_lz4(data: Bytes, raw_bytes: int) -> tuple[int, int, int]:
    """Walk a 32004 chunk of `raw_bytes`. A block as long as its unpacked size is stored as it is."""
    verdict, where, found = read_header(data, raw_bytes, 1)
    if verdict != 0:
        return verdict, where, found
    if found == 0:
        return 3, where, found
    verdict, where, found = walk_blocks(data, raw_bytes, found, False)
    if verdict == 0 and where != data.size:
        return 7, where, data.size - where
    return verdict, where, found
