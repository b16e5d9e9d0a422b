"""One LZ4 block (LZ4 block format, version 1.6) into memory, without a byte read or written out of bounds."""

from __future__ import annotations

import numpy as np

from jfwriter.compression._memory import copy_8, copy_16, copy_32, load_u8, load_u16, load_u64, put_8, put_32
from jfwriter.compression._walk import Bytes
from jfwriter.jit import helper, inlined

SLACK_BYTES = 32
"""Wide copies write up to so many bytes behind what they are for, and never behind the array."""

REPEAT = np.array([0, *(sum(1 << i for i in range(0, 64, 8 * n)) for n in range(1, 8))], np.int64)
"""By distance: the factor that repeats its bytes through 8 bytes."""
PERIOD = np.array([0, *(8 - 8 % n for n in range(1, 8))], np.int64)
"""By distance: the largest multiple of it in 8 bytes."""


@inlined
def read_length(source: Bytes, position: int, end: int) -> tuple[int, int]:
    """Sum of the bytes that continue a length of 15, and the position behind them; -1 if they do not end."""
    n = 15
    byte = 255
    while byte == 255 and position < end:
        byte = load_u8(source, position)
        position += 1
        n += byte
    return (-1 if byte == 255 else n), position


@inlined
def copy_literals(target: Bytes, to: int, source: Bytes, position: int, n: int) -> None:
    """Touches less than 32 bytes behind the last one."""
    done = 0
    while done < n:
        copy_32(target, to + done, source, position + done)
        done += 32


@inlined
def copy_near(target: Bytes, to: int, distance: int, n: int) -> None:
    """Repeat the last `distance` < 8 bytes: as a number of 8 bytes that holds them as often as they fit."""
    once = load_u64(target, to - distance) & ((1 << (8 * distance)) - 1)
    pattern = once * REPEAT[distance]
    done = 0
    if distance & (distance - 1) == 0:
        while done < n:
            put_32(target, to + done, pattern)
            done += 32
    else:
        while done < n:
            put_8(target, to + done, pattern)
            done += PERIOD[distance]


@inlined
def copy_match(target: Bytes, to: int, distance: int, n: int) -> None:
    """Append `n` bytes from `distance` bytes back. Touches less than 32 bytes behind the last one."""
    if distance >= 16:
        copy_16(target, to, target, to - distance)
        done = 16
        if distance >= 32:
            while done < n:
                copy_32(target, to + done, target, to - distance + done)
                done += 32
        else:
            while done < n:
                copy_16(target, to + done, target, to - distance + done)
                done += 16
    elif distance >= 8:
        done = 0
        while done < n:
            copy_8(target, to + done, target, to - distance + done)
            done += 8
    else:
        copy_near(target, to, distance, n)


@helper
def copy_exactly(target: Bytes, to: int, source: Bytes, position: int, n: int) -> None:
    for i in range(n):
        target[to + i] = source[position + i]


@helper
def unpack_lz4_block(  # noqa: C901, PLR0912, PLR0917 one loop: calls cost more than they explain
    source: Bytes, position: int, end: int, target: Bytes, first: int, stop: int, bit_planes: bool
) -> bool:
    """Unpack `source[position:end]` to exactly `target[first:stop]`; False if the block is not so.

    Bytes of `target` behind `stop` are scribbled on, at most `SLACK_BYTES` of them. `bit_planes` says what
    is unpacked, for speed only: in bit planes about every second sequence has literals, which no branch
    prediction finds out; in pixels hardly any has.
    """
    fast_end = min(end, source.size - SLACK_BYTES)
    fast_stop = min(stop, target.size - SLACK_BYTES)
    to = first
    while position < end:
        token = load_u8(source, position)
        position += 1
        n = token >> 4
        if n < 15 and position <= fast_end - 16 and to <= fast_stop - 32:
            # Up to 14 literals, which are not the last of the block, and room for a short match.
            if n != 0 or bit_planes:
                copy_16(target, to, source, position)
                position += n
                to += n
            n = token & 15
            distance = load_u16(source, position)
            if n < 15 and 8 <= distance <= to - first:
                copy_8(target, to, target, to - distance)
                copy_8(target, to + 8, target, to - distance + 8)
                copy_8(target, to + 16, target, to - distance + 16)
                position += 2
                to += n + 4
                continue
        else:
            if n == 15:
                n, position = read_length(source, position, end)
            if 0 <= n <= fast_end - position and n <= fast_stop - to:
                copy_literals(target, to, source, position, n)
            elif n < 0 or n > end - position or n > stop - to:
                return False
            else:
                copy_exactly(target, to, source, position, n)
            position += n
            to += n
            if end - position < 2:
                return position == end and to == stop
            distance = load_u16(source, position)
        position += 2
        n = token & 15
        if n == 15:
            n, position = read_length(source, position, end)
        if n < 0 or distance == 0 or distance > to - first:
            return False
        n += 4
        if n <= fast_stop - to:
            copy_match(target, to, distance, n)
        elif n > stop - to:
            return False
        else:
            copy_exactly(target, to, target, to - distance, n)
        to += n
    return False
