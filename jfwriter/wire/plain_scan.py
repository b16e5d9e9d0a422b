"""One pass over an image message that is like those before it: its numbers into cells, its arrays as spans.

Whatever is not exactly as expected ends the pass; the message then takes the general way, which says what is
wrong with it. So this kernel decides nothing: it may only say "plain" where the general way would find the
same values and no problem.
"""

from __future__ import annotations

import numpy as np

from jfwriter.jit import helper, kernel
from jfwriter.wire.plain_fields import (
    LATTICE_CELLS,
    MAX_BYTES,
    MAX_CHANNELS,
    MAX_CONSTANT_BYTES,
    MAX_NAME_BYTES,
    MAX_REGIONS,
    SUMS,
    WORD_BYTES,
    Kind,
    State,
)
from jfwriter.wire.scan import Bytes, Numbers, argument_of, head_size, plain_rows
from jfwriter.wire.table import half

# Numba's cache looks at the date of this file alone: touch it when a helper of `wire.scan` changes, or a
# number of `wire.plain_fields`.
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _LIST, _DICT, _OTHER = 0, 1, 2, 3, 4, 5, 7
_HUGE, _EXACT = 0x7FFF_FFFF_FFFF_FFFF, 1 << 53
_FALSE, _TRUE, _NULL, _UNDEFINED = 0xF4, 0xF5, 0xF6, 0xF7
_SHORT_TAG, _LONG_TAG = 0xD8, 0xD9  # heads of tags of one and of two bytes
_TAG_ARRAY, _TAG_RATIONAL, _TAG_DATE, _TAG_SECONDS = 40, 30, 0xC0, 0xC1
_TAG_SINGLES, _TAG_COUNTS, _FIRST_TYPED, _LAST_TYPED = 85, 70, 64, 87
_COMPRESSED = 56500
_MAX_DEPTH = 64

(
    _INTEGER,
    _FLOAT,
    _BOOLEAN,
    _RATIONAL,
    _WORD,
    _LATTICE,
    _CONSTANT,
    _SINGLES,
    _COUNTS,
    _SPOTS,
    _IMAGES,
    _REGIONS,
) = (int(kind) for kind in Kind)
_ABSENT, _HOLDS_INTEGER, _HOLDS_FLOAT, _HOLDS_BOOLEAN, _HOLDS_WORD = (int(state) for state in State)
_N_SUMS = len(SUMS)
_SUM_NAMES = np.zeros((_N_SUMS, max(map(len, SUMS))), np.uint8)
for _row, _name in enumerate(SUMS):
    _SUM_NAMES[_row, : len(_name)] = np.frombuffer(_name.encode(), np.uint8)
_SUM_SIZES = np.array([len(name) for name in SUMS], np.int64)
N_CHANNEL_FACTS = 10
"""Of a channel: offset and size of its name; height, width; tag of the typed array; offset and size of the
algorithm's name (size 0: plain pixels), element size; offset and size of the bytes."""


@helper
def _head(data: Bytes, position: int, major: int) -> tuple[int, int]:
    """(argument, position behind the head) of an item of definite length; argument -1 if it is none."""
    if position >= data.size or data[position] >> 5 != major:
        return -1, position
    info = data[position] & 31
    size = head_size(info)
    if info >= 28 or size > data.size - position:
        return -1, position
    argument = argument_of(data, position, info)
    return (-1 if argument == _HUGE else argument), position + size


@helper
def _same(data: Bytes, position: int, size: int, table: Bytes, row: int) -> bool:
    for i in range(size):
        if data[position + i] != table[row, i]:
            return False
    return True


@helper
def _end_of(data: Bytes, position: int) -> int:
    """Position behind a well-formed item of definite length, -1 for any other."""
    left = 1
    while left > 0:
        if position >= data.size:
            return -1
        major, info = data[position] >> 5, data[position] & 31
        size = head_size(info)
        if info >= 28 or size > data.size - position:
            return -1
        argument = argument_of(data, position, info) if major != _OTHER else 0
        position += size
        left -= 1
        if major == _BYTES or major == _TEXT:
            if argument > data.size - position:
                return -1
            position += argument
        elif major == _LIST or major == _DICT:
            if argument > data.size - position:
                return -1
            left += argument * (major - 3)
        elif major == 6:
            left += 1
    return position


@helper
def _integer(data: Bytes, position: int) -> tuple[int, int]:
    """(value, position behind it) of an integer that fits 64 bits; position -1 if it is none."""
    if position >= data.size:
        return 0, -1
    major = data[position] >> 5
    if major > _NEGATIVE:
        return 0, -1
    argument, position = _head(data, position, major)
    if argument < 0:
        return 0, -1
    return (argument if major == _UNSIGNED else -1 - argument), position


@helper
def _float_bits(data: Bytes, position: int, word: Numbers) -> int:
    """The float64 of the float at `position` into `word`; position behind it, -1 if there is none."""
    if position >= data.size:
        return -1
    info = data[position] & 31
    if data[position] >> 5 != _OTHER or info < 25 or info > 27 or head_size(info) > data.size - position:
        return -1
    if info == 25:
        word.view(np.float64)[0] = half((data[position + 1] << 8) | data[position + 2])
        return position + 3
    bits = 0
    n_bytes = 4 if info == 26 else 8
    for i in range(n_bytes):
        bits = (bits << 8) | data[position + 1 + i]
    word[0] = bits
    if info == 26:
        word.view(np.float64)[0] = float(word.view(np.float32)[0])
    return position + 1 + n_bytes


@helper
def _rational(data: Bytes, position: int, cells: Numbers, cell: int) -> int:
    """Position behind `[numerator, denominator]`, with or without its tag; -1 if it is none."""
    tag, behind = _head(data, position, 6)
    if tag == _TAG_RATIONAL:
        position = behind
    n_items, position = _head(data, position, _LIST)
    if n_items != 2:
        return -1
    for i in range(2):
        value, position = _integer(data, position)
        if position < 0 or value < i:
            return -1
        cells[0, cell + i] = value
        cells[1, cell + i] = _HOLDS_INTEGER
    return position


@helper
def _typed(data: Bytes, position: int, tag: int, item_bytes: int) -> tuple[int, int]:
    """(offset, size) of the bytes of a typed array of this tag; offset -1 if it is none."""
    if data.size - position < 3 or data[position] != _SHORT_TAG or data[position + 1] != tag:
        return -1, 0
    size, position = _head(data, position + 2, _BYTES)
    if size < 0 or size > data.size - position or size % item_bytes != 0:
        return -1, 0
    return position, size


@helper
def _lattice(data: Bytes, position: int, cells: Numbers, cell: int) -> int:
    """Position behind nine finite numbers; -1 if they are none."""
    offset, size = _typed(data, position, _TAG_SINGLES, 4)
    if offset < 0 or size != 4 * LATTICE_CELLS:
        return -1
    word = np.zeros(1, np.int64)
    for i in range(LATTICE_CELLS):
        at = offset + 4 * i
        word[0] = data[at] | (data[at + 1] << 8) | (data[at + 2] << 16) | (data[at + 3] << 24)
        value = float(word.view(np.float32)[0])
        if not np.isfinite(value):
            return -1
        cells[0].view(np.float64)[cell + i] = value
        cells[1, cell + i] = _HOLDS_FLOAT
    return offset + size


@helper
def _word(data: Bytes, position: int, cells: Numbers, cell: int) -> int:
    """Position behind a short ASCII text without NUL; -1 if it is none."""
    size, position = _head(data, position, _TEXT)
    if size < 0 or size > WORD_BYTES or size > data.size - position:
        return -1
    word = 0
    for i in range(size):
        if data[position + i] == 0 or data[position + i] >= 0x80:
            return -1
        word |= int(data[position + i]) << (8 * i)
    cells[0, cell] = word
    cells[1, cell] = _HOLDS_WORD
    return position + size


@helper
def _images(data: Bytes, position: int, channels: Numbers, result: Numbers) -> int:
    """Position behind the map of images; -1 if they are not in the usual form."""
    n_channels, position = _head(data, position, _DICT)
    if n_channels < 1 or n_channels > MAX_CHANNELS:
        return -1
    result[0] = n_channels
    for c in range(n_channels):
        size, position = _head(data, position, _TEXT)
        if size < 0 or size > MAX_NAME_BYTES or size > data.size - position - 2:
            return -1
        channels[c, 0], channels[c, 1] = position, size
        position += size
        if data[position] != _SHORT_TAG or data[position + 1] != _TAG_ARRAY:
            return -1
        n_items, position = _head(data, position + 2, _LIST)
        n_dimensions, position = _head(data, position, _LIST)
        if n_items != 2 or n_dimensions != 2:
            return -1
        for i in range(2):
            channels[c, 2 + i], position = _head(data, position, _UNSIGNED)
            if channels[c, 2 + i] < 1 or channels[c, 2 + i] >= 1 << 32:
                return -1
        if data.size - position < 2 or data[position] != _SHORT_TAG:
            return -1
        channels[c, 4] = data[position + 1]
        if channels[c, 4] < _FIRST_TYPED or channels[c, 4] > _LAST_TYPED:
            return -1
        position += 2
        channels[c, 6] = channels[c, 7] = 0
        tag, behind = _head(data, position, 6)
        if tag >= 0:
            n_items, position = _head(data, behind, _LIST)
            size, position = _head(data, position, _TEXT)
            if tag != _COMPRESSED or n_items != 3 or size < 1 or size > data.size - position:
                return -1
            channels[c, 5], channels[c, 6] = position, size
            channels[c, 7], position = _head(data, position + size, _UNSIGNED)
            if channels[c, 7] < 0:
                return -1
        size, position = _head(data, position, _BYTES)
        if size < 1 or size > data.size - position:
            return -1
        channels[c, 8], channels[c, 9] = position, size
        result[1] -= size
        position += size
    return position


@helper
def _sums(data: Bytes, position: int, cells: Numbers, first: int) -> int:
    """Position behind the map of a region's sums, all six of them integers; -1 if it is none."""
    n_entries, position = _head(data, position, _DICT)
    if n_entries != _N_SUMS:
        return -1
    for i in range(_N_SUMS):
        cells[1, first + i] = _ABSENT
    for entry in range(_N_SUMS):
        size, position = _head(data, position, _TEXT)
        if size < 0 or size > data.size - position:
            return -1
        which = -1
        for turn in range(_N_SUMS):  # mostly they come in this order
            candidate = (entry + turn) % _N_SUMS
            if _SUM_SIZES[candidate] == size and _same(data, position, size, _SUM_NAMES, candidate):
                which = candidate
                break
        if which < 0 or cells[1, first + which] != _ABSENT:
            return -1
        value, position = _integer(data, position + size)
        has_to_be_exact = which == 0 or which >= 4
        if position < 0 or ((which == 1 or which == 3) and value < 0):
            return -1
        if has_to_be_exact and abs(value) > _EXACT:
            return -1
        cells[0, first + which] = value
        cells[1, first + which] = _HOLDS_INTEGER
    return position


@helper
def _regions(
    data: Bytes, position: int, known: Bytes, sizes: Numbers, cells: Numbers, first: int, learning: bool
) -> int:
    """Position behind the regions, the same ones as ever; -1 if they are not. `sizes` [MAX_REGIONS] is how
    many there are."""
    n_regions, position = _head(data, position, _DICT)
    if n_regions < 0 or n_regions > MAX_REGIONS:
        return -1
    if learning:
        sizes[MAX_REGIONS] = n_regions
    elif n_regions != sizes[MAX_REGIONS]:
        return -1
    for i in range(n_regions):
        size, position = _head(data, position, _TEXT)
        if size < 0 or size > MAX_NAME_BYTES or size > data.size - position:
            return -1
        if learning:
            sizes[i] = size
            known[i, :size] = data[position : position + size]
        elif size != sizes[i] or not _same(data, position, size, known, i):
            return -1
        position = _sums(data, position + size, cells, first + _N_SUMS * i)
        if position < 0:
            return -1
    return position


@helper
def _constant(data: Bytes, position: int, known: Bytes, sizes: Numbers, which: int, learning: bool) -> int:
    """Position behind a value that is the same as ever; -1 if it is another."""
    if learning:
        end = _end_of(data, position)
        size = end - position
        if end < 0 or size > MAX_CONSTANT_BYTES:
            return -1
        known[which, :size] = data[position:end]
        sizes[which] = size
        return end
    size = int(sizes[which])
    if size < 1 or size > data.size - position or not _same(data, position, size, known, which):
        return -1
    return position + size


@kernel(
    "int64(Array(uint8, 1, 'C', readonly=True), Array(uint8, 2, 'C', readonly=True),"
    " Array(int64, 2, 'C', readonly=True), int64[::1], uint8[:, ::1], int64[::1], uint8[:, ::1], int64[::1],"
    " int64[:, ::1], int64[:, ::1], int64[:, ::1], int64[::1], boolean)",
    keeps_gil=True,
)
def scan_image(  # noqa: PLR0915 one loop over the entries
    data: Bytes,
    names: Bytes,
    keys: Numbers,
    hints: Numbers,
    constants: Bytes,
    constant_sizes: Numbers,
    regions: Bytes,
    region_sizes: Numbers,
    cells: Numbers,
    spans: Numbers,
    channels: Numbers,
    result: Numbers,
    learning: bool,
) -> int:
    """Read the image message in `data`; 0, or another number if it is not plain.

    data: uint8 [n]. names, keys: `plain_fields.key_table`. hints: int64 [k + 1], which key followed which,
    kept from message to message. constants: uint8 [c, MAX_CONSTANT_BYTES] with constant_sizes int64 [c], 0:
    not known. regions: uint8 [MAX_REGIONS, MAX_NAME_BYTES] with region_sizes int64 [MAX_REGIONS + 1], of
    which the last is how many there are, -1: not known. cells: int64 [2, N_CELLS], receives values and
    states. spans: int64 [N_SPANS, 2], receives (offset, size), offset -1: absent. channels: int64
    [MAX_CHANNELS, N_CHANNEL_FACTS]. result: int64 [2], receives the number of channels and the bytes beside
    the pixels.

    `learning`: constants and regions are noted instead of compared; the message must be well-formed.
    """
    position = 3 if data.size >= 3 and data[0] == 0xD9 and data[1] == 0xD9 and data[2] == 0xF7 else 0
    cells[1, :] = _ABSENT
    spans[:, 0] = -1
    result[0], result[1] = 0, data.size
    if learning:
        constant_sizes[:] = 0
        region_sizes[MAX_REGIONS] = -1
    seen_low = seen_high = np.uint64(0)
    word = np.zeros(1, np.int64)
    n_entries, position = _head(data, position, _DICT)
    if n_entries < 0 or n_entries > 2 * keys.shape[0]:
        return 1
    previous = -1
    for _ in range(n_entries):
        size, position = _head(data, position, _TEXT)
        if size < 0 or size >= data.size - position:
            return 2
        key = hints[previous + 1]
        if keys[key, 0] != size or not _same(data, position, size, names, key):
            key = -1
            for candidate in range(keys.shape[0]):
                if keys[candidate, 0] == size and _same(data, position, size, names, candidate):
                    key = candidate
                    break
            if key < 0:
                return 3
            hints[previous + 1] = key
        previous = key
        position += size
        field = keys[key, 1]
        bit = np.uint64(1) << np.uint64(field & 63)
        if (seen_low if field < 64 else seen_high) & bit:
            return 4
        if field < 64:
            seen_low |= bit
        else:
            seen_high |= bit
        if data[position] == _NULL or data[position] == _UNDEFINED:
            position += 1
            continue
        kind, place = keys[key, 2], keys[key, 3]
        if kind == _INTEGER:
            value, position = _integer(data, position)
            if position < 0 or value < keys[key, 4] or value > keys[key, 5]:
                return 5
            cells[0, place] = value
            cells[1, place] = _HOLDS_INTEGER
        elif kind == _FLOAT:
            position = _float_bits(data, position, word)
            value_f = word.view(np.float64)[0]
            if position < 0 or np.isinf(value_f):
                return 6
            if not np.isnan(value_f):  # that is how senders say "none"
                cells[0, place] = word[0]
                cells[1, place] = _HOLDS_FLOAT
        elif kind == _BOOLEAN:
            if data[position] != _FALSE and data[position] != _TRUE:
                return 7
            cells[0, place] = data[position] - _FALSE
            cells[1, place] = _HOLDS_BOOLEAN
            position += 1
        elif kind == _SINGLES or kind == _COUNTS:
            spans[place, 0], spans[place, 1] = _typed(
                data, position, _TAG_SINGLES if kind == _SINGLES else _TAG_COUNTS, 4
            )
            if spans[place, 0] < 0:
                return 8
            position = spans[place, 0] + spans[place, 1]
        elif kind == _SPOTS:
            n_rows, inside = _head(data, position, _LIST)
            if n_rows < 0:
                return 9
            n_bytes, _n_items = plain_rows(data, inside, n_rows) if n_rows else (0, 0)
            if n_rows and n_bytes == 0:
                return 10
            spans[place, 0], spans[place, 1] = position, inside + n_bytes - position
            position = inside + n_bytes
        else:
            if kind == _CONSTANT:
                spans[place, 0] = position
                position = _constant(data, position, constants, constant_sizes, place, learning)
            elif kind == _RATIONAL:
                position = _rational(data, position, cells, place)
            elif kind == _LATTICE:
                position = _lattice(data, position, cells, place)
            elif kind == _WORD:
                position = _word(data, position, cells, place)
            elif kind == _IMAGES:
                position = _images(data, position, channels, result)
            else:
                position = _regions(data, position, regions, region_sizes, cells, place, learning)
            if position < 0:
                return 13
    if position != data.size or result[0] == 0:
        return 11
    if result[1] > MAX_BYTES:
        return 12
    return 0
