"""One pass over a received CBOR item: is it well-formed, allowed, and where are its large byte strings?

The kernel walks the item without recursion and copies everything but the large byte strings into a scratch
buffer ("the splice"), so that the general decoder that comes after it sees a few kilobytes whatever the size
of the pixels. Each large byte string is replaced there by a private tag around its index (RFC 8949, section
3.4: the splice never leaves the process), the tags 0, 1 and 30 are left out so that their contents arrive
plain, and `undefined` becomes `null`.
"""

from __future__ import annotations

import enum

import numpy as np
import numpy.typing as npt

from jfwriter.jit import helper, kernel

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

LARGE_BYTES = 64
"""Byte strings from this length on are left where they are."""
MAX_ITEMS = 1 << 22
"""Data items of one message. Bounds the time of a scan and the Python objects that a message can ask for."""
MAX_CONTAINERS = 1 << 18
"""Arrays, maps and tags of one message."""
CUT_TAG = 0xEEEE
"""The private tag; a sender that uses it is refused like any unknown tag."""
_CUT_BYTES = 8


class Status(enum.IntEnum):
    """What the scan found. The first three are no errors."""

    OK = 0
    MORE_SCRATCH = 1
    MORE_CUTS = 2
    TRUNCATED = 3
    TRAILING = 4
    RESERVED = 5
    BAD_BREAK = 6
    BAD_CHUNK = 7
    BAD_KEY = 8
    TAG_REFUSED = 9
    TOO_DEEP = 10
    TOO_LARGE = 11
    TOO_MANY_ITEMS = 12


# Literals for the kernel: Numba freezes globals, and plain integers keep its types simple.
_OK, _MORE_SCRATCH, _MORE_CUTS, _TRUNCATED, _TRAILING = 0, 1, 2, 3, 4
_RESERVED, _BAD_BREAK, _BAD_CHUNK, _BAD_KEY, _TAG_REFUSED = 5, 6, 7, 8, 9
_TOO_DEEP, _TOO_LARGE, _TOO_MANY_ITEMS = 10, 11, 12

_ARRAY, _MAP, _TAG, _OPEN_ARRAY, _OPEN_MAP, _OPEN_BYTES, _OPEN_TEXT = 0, 1, 2, 3, 4, 5, 6
_HUGE = 0x7FFF_FFFF_FFFF_FFFF
_BREAK, _UNDEFINED, _NULL = 0xFF, 0xF7, 0xF6
_INDEFINITE = 31


@helper
def _argument(data: Bytes, position: int, info: int) -> int:
    """The argument of the head at `position`; the caller has checked that its bytes are there."""
    if info < 24:
        return info
    value = np.int64(0)
    if info == 27 and data[position + 1] >= 0x80:
        return _HUGE
    for i in range(1 << (info - 24)):
        value = (value << 8) | np.int64(data[position + 1 + i])
    return value


@helper
def _copy(data: Bytes, start: int, stop: int, scratch: Bytes, at: int) -> None:
    scratch[at : at + stop - start] = data[start:stop]


@helper
def _write_cut(scratch: Bytes, at: int, index: int) -> None:
    scratch[at] = 0xD9
    scratch[at + 1] = CUT_TAG >> 8
    scratch[at + 2] = CUT_TAG & 0xFF
    scratch[at + 3] = 0x1A
    for i in range(4):
        scratch[at + 4 + i] = (index >> (24 - 8 * i)) & 0xFF


@kernel(
    "int64(Array(uint8, 1, 'C', readonly=True), uint8[::1], int64[:, ::1], int64[:, ::1],"
    " int64[::1], int64, int64)"
)
def scan(  # noqa: C901, PLR0911, PLR0912, PLR0914, PLR0915 one state machine, kept in one place for its registers
    data: Bytes,
    scratch: Bytes,
    cuts: Numbers,
    stack: Numbers,
    result: Numbers,
    max_nesting: int,
    max_metadata_bytes: int,
) -> int:
    """Walk the one item in `data` and return a `Status`.

    data: uint8 [n], the message. scratch: uint8 [s], receives the splice. cuts: int64 [c, 2], receives offset
    and length of each large byte string. stack: int64 [max_nesting + 1, 2]. result: int64 [3], receives
    (bytes of the splice, number of cuts, position reached); the position is what errors name.
    """
    n = data.size
    position = 0
    copied = 0  # everything before this offset is in the splice or left out of it
    used = 0
    n_cuts = 0
    n_items = 0
    n_containers = 0
    depth = 0
    if n >= 3 and data[0] == 0xD9 and data[1] == 0xD9 and data[2] == 0xF7:
        position = 3
        copied = 3
    while True:
        result[2] = position
        if position >= n:
            return _TRUNCATED
        n_items += 1
        if n_items > MAX_ITEMS:
            return _TOO_MANY_ITEMS
        initial = data[position]
        major = np.int64(initial >> 5)
        info = np.int64(initial & 31)
        frame = stack[depth, 0] if depth > 0 else -1
        opened = False

        if initial == _BREAK:
            if frame < _OPEN_ARRAY or (frame == _OPEN_MAP and stack[depth, 1] % 2 == 1):
                return _BAD_BREAK
            position += 1
            depth -= 1
        else:
            head = 1
            if 24 <= info < 28:
                head = 1 + (1 << (info - 24))
            elif info >= 28 and not (info == _INDEFINITE and 2 <= major <= 5):
                return _RESERVED
            if position + head > n:
                return _TRUNCATED
            if (frame == _OPEN_BYTES and (major != 2 or info == _INDEFINITE)) or (
                frame == _OPEN_TEXT and (major != 3 or info == _INDEFINITE)
            ):
                return _BAD_CHUNK
            if (
                (frame == _MAP or frame == _OPEN_MAP)
                and stack[depth, 1] % 2 == 0
                and major != 3
                and not (major == 0 and info <= 25)
            ):
                return _BAD_KEY
            argument = _argument(data, position, info) if info != _INDEFINITE else -1

            if major == 2 or major == 3:
                if argument >= 0:
                    if argument > n - position - head:
                        return _TRUNCATED
                    if major == 2 and argument >= LARGE_BYTES and frame != _OPEN_BYTES:
                        run = position - copied
                        if used + run + _CUT_BYTES > max_metadata_bytes:
                            return _TOO_LARGE
                        if used + run + _CUT_BYTES > scratch.size:
                            return _MORE_SCRATCH
                        if n_cuts == cuts.shape[0]:
                            return _MORE_CUTS
                        _copy(data, copied, position, scratch, used)
                        _write_cut(scratch, used + run, n_cuts)
                        used += run + _CUT_BYTES
                        cuts[n_cuts, 0] = position + head
                        cuts[n_cuts, 1] = argument
                        n_cuts += 1
                        copied = position + head + argument
                    position += head + argument
                else:
                    opened = True
            elif major == 4 or major == 5:
                # Each item takes at least one byte: a count beyond the rest of the message is a lie.
                if argument > (n - position - head) // (major - 3):
                    return _TRUNCATED
                opened = argument != 0
                if not opened:
                    position += head
            elif major == 6:
                strip = argument == 0 or argument == 1 or argument == 30
                if not (strip or argument == 40 or 64 <= argument <= 87 or argument == 56500):
                    return _TAG_REFUSED
                if strip:
                    run = position - copied
                    if used + run > max_metadata_bytes:
                        return _TOO_LARGE
                    if used + run > scratch.size:
                        return _MORE_SCRATCH
                    _copy(data, copied, position, scratch, used)
                    used += run
                    copied = position + head
                opened = True
            else:
                if major == 7 and info == 24 and argument < 32:
                    return _RESERVED
                if initial == _UNDEFINED:
                    run = position - copied
                    if used + run + 1 > max_metadata_bytes:
                        return _TOO_LARGE
                    if used + run + 1 > scratch.size:
                        return _MORE_SCRATCH
                    _copy(data, copied, position, scratch, used)
                    scratch[used + run] = _NULL
                    used += run + 1
                    copied = position + 1
                position += head

            if opened:
                if depth == max_nesting:
                    return _TOO_DEEP
                n_containers += 1
                if n_containers > MAX_CONTAINERS:
                    return _TOO_MANY_ITEMS
                depth += 1
                if major == 6:
                    stack[depth, 0] = _TAG
                    stack[depth, 1] = 1
                elif argument >= 0:
                    stack[depth, 0] = _ARRAY if major == 4 else _MAP
                    stack[depth, 1] = argument * (major - 3)
                else:
                    stack[depth, 0] = (
                        _OPEN_ARRAY
                        if major == 4
                        else (_OPEN_MAP if major == 5 else (_OPEN_BYTES if major == 2 else _OPEN_TEXT))
                    )
                    stack[depth, 1] = 0
                position += head
                continue

        # An item is complete: count it in its container, and the container in its own.
        while depth > 0:
            if stack[depth, 0] >= _OPEN_ARRAY:
                stack[depth, 1] += 1
                break
            stack[depth, 1] -= 1
            if stack[depth, 1] > 0:
                break
            depth -= 1
        if depth == 0:
            break

    result[2] = position
    if position != n:
        return _TRAILING
    run = position - copied
    if used + run > max_metadata_bytes:
        return _TOO_LARGE
    if used + run > scratch.size:
        return _MORE_SCRATCH
    _copy(data, copied, position, scratch, used)
    result[0] = used + run
    result[1] = n_cuts
    return _OK
