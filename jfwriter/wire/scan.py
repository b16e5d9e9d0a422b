"""One pass over a received CBOR item: is it well-formed, allowed, and where are its large parts?

The kernel walks the item without recursion and copies everything but the large byte strings and the tables
into a scratch buffer ("the splice"), so that the general decoder that comes after it sees a few kilobytes
whatever the size of the pixels. What is cut out is replaced there by a private tag around its index (the
splice never leaves the process), the tags 0, 1 and 30 are left out so that their contents arrive plain,
2 and 3 (big integers) pass around short byte strings only, and `undefined` becomes `null`.
Well-formed: RFC 8949, section 3 and appendix C.
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
import numpy.typing as npt

from jfwriter.jit import helper, kernel

Bytes = npt.NDArray[Any]
"""uint8; the elements are untyped because Numba's arithmetic is not NumPy's."""
Numbers = npt.NDArray[np.int64]

LARGE_BYTES = 64
"""Byte strings from this length on are left where they are."""
MAX_ITEMS, MAX_CONTAINERS = 1 << 22, 1 << 18
"""Data items of one message; arrays, maps and tags of one message outside its tables. They bound the time of
a scan, and the Python objects that a message can ask for."""
CUT_BYTES_TAG, CUT_TABLE_TAG = 0xEEEE, 0xEEEF
"""The private tags; a sender that uses them is refused like for any unknown tag."""


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


# Plain integers for the kernel, which freezes globals when it is compiled.
_OK, _MORE_SCRATCH, _MORE_CUTS, _TRUNCATED, _TRAILING, _RESERVED, _BAD_BREAK = range(7)
_BAD_CHUNK, _BAD_KEY, _TAG_REFUSED, _TOO_DEEP, _TOO_LARGE, _TOO_MANY_ITEMS = range(7, 13)

_UNSIGNED, _BYTES, _TEXT, _LIST, _DICT, _TAGGED, _OTHER = 0, 2, 3, 4, 5, 6, 7  # major types
_ARRAY, _MAP, _TAG, _OPEN_BYTES, _OPEN_TEXT, _OPEN_ARRAY, _OPEN_MAP = range(7)
"""What an open container is: the first three count down what is missing, the others up what has come."""
_BREAK, _UNDEFINED, _NULL, _INDEFINITE, _HUGE = 0xFF, 0xF7, 0xF6, 31, 0x7FFF_FFFF_FFFF_FFFF
_CUT_SIZE = 8
_TABLE_NAMES = (b"spots", b"images", b"reflections")
_SPOTS, _IMAGES, _REFLECTIONS = (np.frombuffer(name, np.uint8) for name in _TABLE_NAMES)


@helper
def head_size(info: int) -> int:
    """Bytes of an item's head, from its additional information."""
    return 1 + (1 << (info - 24)) if 24 <= info < 28 else 1


@helper
def argument_of(data: Bytes, position: int, info: int) -> int:
    """The argument of the head at `position`, -1 if there is none; at least 2^63 becomes 2^63 - 1."""
    if info < 24:
        return info
    if info == _INDEFINITE:
        return -1
    if info == 27 and data[position + 1] >= 0x80:
        return _HUGE
    value = 0
    for i in range(1 << (info - 24)):
        value = (value << 8) | data[position + 1 + i]
    return value


@helper
def equals(data: Bytes, position: int, name: Bytes) -> bool:
    for i in range(name.size):
        if data[position + i] != name[i]:
            return False
    return True


@helper
def _is_table(data: Bytes, position: int, size: int) -> bool:
    """Whether a key names a field whose array is cut out: thousands of items for a few columns or none."""
    for name in (_SPOTS, _IMAGES, _REFLECTIONS):
        if size == name.size and equals(data, position, name):
            return True
    return False


@helper
def _is_short_bytes(data: Bytes, position: int) -> bool:
    """Whether a byte string below LARGE_BYTES, of definite length, begins here: at most 504 bits of a number,
    which fit a float64 and are printed in no time."""
    if position >= data.size or data[position] >> 5 != _BYTES:
        return False
    info = data[position] & 31
    if info < 24:
        return True
    return info == 24 and position + 1 < data.size and data[position + 1] < LARGE_BYTES


@helper
def _flush(data: Bytes, start: int, stop: int, scratch: Bytes, used: int, extra: int, limit: int) -> int:
    """Copy a run into the splice and leave room for `extra` bytes; the used bytes, or -status."""
    if used + stop - start + extra > limit:
        return -_TOO_LARGE
    if used + stop - start + extra > scratch.size:
        return -_MORE_SCRATCH
    scratch[used : used + stop - start] = data[start:stop]
    return used + stop - start


@helper
def _write_cut(scratch: Bytes, at: int, tag: int, index: int) -> int:
    """A private tag around an index of 32 bits, `_CUT_SIZE` bytes; the used bytes."""
    scratch[at] = 0xD9
    scratch[at + 1] = tag >> 8
    scratch[at + 2] = tag & 0xFF
    scratch[at + 3] = 0x1A
    for i in range(4):
        scratch[at + 4 + i] = (index >> (24 - 8 * i)) & 0xFF
    return at + _CUT_SIZE


@helper
def _check_place(frame: int, count: int, major: int, info: int) -> int:
    """Whether an item may stand where it stands: status."""
    if 28 <= info < 31 or (info == _INDEFINITE and (major < _BYTES or major > _DICT)):
        return _RESERVED
    chunk = _BYTES if frame == _OPEN_BYTES else (_TEXT if frame == _OPEN_TEXT else -1)
    if chunk >= 0 and (major != chunk or info == _INDEFINITE):
        return _BAD_CHUNK
    is_key = (frame == _MAP or frame == _OPEN_MAP) and count % 2 == 0
    # Integer keys are few and small, so that no sender can choose keys whose hashes collide.
    if is_key and major != _TEXT and not (major == _UNSIGNED and info <= 25):
        return _BAD_KEY
    return _OK


@helper
def _kind(major: int, argument: int) -> int:
    if major == _TAGGED:
        return _TAG
    if argument >= 0:
        return _ARRAY if major == _LIST else _MAP
    return _OPEN_BYTES + major - _BYTES


@helper
def _close(stack: Numbers, depth: int) -> int:
    """Count a complete item in its container, and each container that it completes in its own: new depth."""
    while depth > 0:
        if stack[depth, 0] > _TAG:
            stack[depth, 1] += 1
            break
        stack[depth, 1] -= 1
        if stack[depth, 1] > 0:
            break
        depth -= 1
    return depth


@helper
def plain_rows(data: Bytes, start: int, n_rows: int) -> tuple[int, int]:
    """(bytes, data items) of `n_rows` maps of short text to numbers, booleans and nulls, as tables have them.
    (0, 0) if they are anything else, and then the general way looks at them."""
    position = start
    n_items = 0
    for _ in range(n_rows):
        if position >= data.size or data[position] >> 5 != _DICT or data[position] & 31 >= 24:
            return 0, 0
        n_entries = data[position] & 31
        position += 1
        for _ in range(n_entries):
            if position >= data.size or data[position] >> 5 != _TEXT or data[position] & 31 >= 24:
                return 0, 0
            position += 1 + (data[position] & 31)
            if position >= data.size:
                return 0, 0
            major = data[position] >> 5
            info = data[position] & 31
            if info >= 28 or not (major < _BYTES or (major == _OTHER and info >= 20 and info != 24)):
                return 0, 0
            position += head_size(info)
        n_items += 1 + 2 * n_entries
    return (position - start, n_items) if position <= data.size else (0, 0)


@kernel(
    "int64(Array(uint8, 1, 'C', readonly=True), uint8[::1], int64[:, ::1], int64[:, ::1],"
    " int64[::1], int64, int64)",
    keeps_gil=True,
)
def scan(  # noqa: C901, PLR0911, PLR0912, PLR0915 one state machine; its state must stay in registers
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
    and length of each part that is left out. stack: int64 [max_nesting + 1, 2]. result: int64 [3], receives
    (bytes of the splice, number of cuts, position reached); the position is what errors name.
    """
    n = data.size
    position = 3 if n >= 3 and data[0] == 0xD9 and data[1] == 0xD9 and data[2] == 0xF7 else 0
    copied = position  # everything before this offset is in the splice or left out of it
    used = 0
    n_cuts = n_items = n_containers = 0
    depth = 0
    table = -1  # index of the cut of the table that is open
    table_follows = False
    limit = max_metadata_bytes  # shrinks by the bytes of the tables
    while True:
        result[2] = position
        if position >= n:
            return _TRUNCATED
        n_items += 1
        if n_items > MAX_ITEMS:
            return _TOO_MANY_ITEMS
        initial = data[position]
        frame = stack[depth, 0] if depth > 0 else -1
        count = stack[depth, 1] if depth > 0 else 0
        if initial == _BREAK:
            if frame <= _TAG or (frame == _OPEN_MAP and count % 2 == 1):
                return _BAD_BREAK
            position += 1
            depth = _close(stack, depth - 1)
        else:
            major = initial >> 5
            info = initial & 31
            status = _check_place(frame, count, major, info)
            if status != _OK:
                return status
            head = head_size(info)
            if head > n - position:
                return _TRUNCATED
            argument = 0
            if _BYTES <= major <= _TAGGED or info == 24:  # the values of numbers do not matter here
                argument = argument_of(data, position, info)
            opens = argument < 0
            body = 0
            if major == _BYTES or major == _TEXT:
                if argument > n - position - head:
                    return _TRUNCATED
                body = max(argument, 0)
                if major == _BYTES and body >= LARGE_BYTES and frame != _OPEN_BYTES and table < 0:
                    used = _flush(data, copied, position, scratch, used, _CUT_SIZE, limit)
                    if used < 0:
                        return -used
                    if n_cuts == cuts.shape[0]:
                        return _MORE_CUTS
                    used = _write_cut(scratch, used, CUT_BYTES_TAG, n_cuts)
                    cuts[n_cuts, 0] = position + head
                    cuts[n_cuts, 1] = body
                    n_cuts += 1
                    copied = position + head + body
            elif major == _LIST or major == _DICT:
                # Each item takes at least one byte: a count beyond the rest of the message is a lie.
                if argument > (n - position - head) // (major - 3):
                    return _TRUNCATED
                opens = argument != 0
                if opens and major == _LIST and depth == 1 and table_follows and count % 2 == 1:
                    used = _flush(data, copied, position, scratch, used, _CUT_SIZE, limit)
                    if used < 0:
                        return -used
                    if n_cuts == cuts.shape[0]:
                        return _MORE_CUTS
                    used = _write_cut(scratch, used, CUT_TABLE_TAG, n_cuts)
                    cuts[n_cuts, 0] = position
                    table = n_cuts
                    n_cuts += 1
                    if depth + 2 <= max_nesting and depth + 2 < stack.shape[0]:
                        plain, inside = plain_rows(data, position + head, argument)
                        if plain > 0 and n_items + inside <= MAX_ITEMS:
                            n_items += inside
                            body = plain
                            opens = False
            elif major == _TAGGED:
                opens = True
                strip = argument == 0 or argument == 1 or argument == 30
                is_bignum = argument == 2 or argument == 3
                if is_bignum and not _is_short_bytes(data, position + head):
                    return _TAG_REFUSED
                known = argument == 40 or 64 <= argument <= 87 or argument == 56500
                if not (strip or is_bignum or known):
                    return _TAG_REFUSED
                if strip and table < 0:
                    used = _flush(data, copied, position, scratch, used, 0, limit)
                    if used < 0:
                        return -used
                    copied = position + head
            elif major == _OTHER:
                if info == 24 and argument < 32:
                    return _RESERVED
                if initial == _UNDEFINED and table < 0:
                    used = _flush(data, copied, position, scratch, used, 1, limit)
                    if used < 0:
                        return -used
                    scratch[used] = _NULL
                    used += 1
                    copied = position + 1
            if depth == 1 and count % 2 == 0:
                table_follows = major == _TEXT and _is_table(data, position + head, body)
            position += head + body
            if opens:
                if depth == max_nesting or depth + 1 == stack.shape[0]:
                    return _TOO_DEEP
                depth += 1
                n_containers += 1 if table < 0 else 0
                if n_containers > MAX_CONTAINERS:
                    return _TOO_MANY_ITEMS
                stack[depth, 0] = _kind(major, argument)
                stack[depth, 1] = 1 if major == _TAGGED else max(argument, 0) * (2 if major == _DICT else 1)
                continue
            depth = _close(stack, depth)
        if table >= 0 and depth <= 1:
            cuts[table, 1] = position - cuts[table, 0]
            limit -= cuts[table, 1]
            copied = position
            table = -1
        if depth == 0:
            break

    result[2] = position
    if position != n:
        return _TRAILING
    used = _flush(data, copied, position, scratch, used, 0, limit)
    if used < 0:
        return -used
    result[0] = used
    result[1] = n_cuts
    return _OK
