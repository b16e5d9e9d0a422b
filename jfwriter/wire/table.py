"""An array of maps of numbers (spots, reflections) straight into columns.

The kernel reads the plain case only: maps whose known entries are numbers that fit their columns. For
anything else it gives up, and the array takes the general way (`wire.columns`), which says what is wrong.
Both give the same columns; the kernel is about ten times faster than a dict for each row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from jfwriter.jit import helper, kernel
from jfwriter.wire.columns import Column, Columns
from jfwriter.wire.scan import Bytes, Numbers, argument_of, head_size

MAX_ROWS: Final = 1 << 14

# Numba's cache looks at the date of this file alone: touch it when a helper of `wire.scan` changes.
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _DICT, _OTHER = 0, 1, 2, 3, 5, 7
_BREAK = 0xFF
_EXACT = 1 << 53
_HINTED = 32
_MAX_SPELLINGS: Final = 62
_MAX_KEPT: Final = 64
_ABSENT, _NUMBER, _BOOLEAN, _ODD = 0, 1, 2, 3
_REALS, _INTEGERS, _FLAGS = 0, 1, 2


@helper
def half(bits: int) -> float:
    """IEEE 754 binary16 (RFC 8949, appendix D)."""
    exponent = (bits >> 10) & 0x1F
    mantissa = bits & 0x3FF
    if exponent == 0:
        value = mantissa * 2.0**-24
    elif exponent != 31:
        value = (mantissa + 1024) * 2.0 ** (exponent - 25)
    else:
        value = np.inf if mantissa == 0 else np.nan
    return -value if bits & 0x8000 else value


@helper
def _classify(major: int, info: int, argument: int) -> int:
    if major <= _NEGATIVE:
        return _NUMBER if argument < _EXACT else _ODD
    if major != _OTHER:
        return _ODD
    if 25 <= info <= 27:
        return _NUMBER
    if info == 20 or info == 21:
        return _BOOLEAN
    return _ABSENT if info == 22 or info == 23 else _ODD


@helper
def _fits(value: float, kind: int, lowest: float, highest: float) -> bool:
    if kind == _REALS:
        # Beyond the bounds a float32 would turn into infinity; NaN and infinity stay what they are.
        return not (highest < abs(value) < np.inf)
    return lowest <= value <= highest and np.floor(value) == value


@helper
def _matches(data: Bytes, position: int, size: int, names: Bytes, targets: Numbers, spelling: int) -> bool:
    if targets[spelling, 0] != size:
        return False
    for i in range(size):
        if data[position + i] != names[spelling, i]:
            return False
    return True


@kernel(
    "int64(Array(uint8, 1, 'C', readonly=True), Array(uint8, 2, 'C', readonly=True),"
    " Array(int64, 2, 'C', readonly=True), Array(float64, 2, 'C', readonly=True),"
    " float64[:, ::1], int64[::1], int64[::1], uint64[::1])",
    keeps_gil=True,
)
def read_rows(  # noqa: C901, PLR0911, PLR0912, PLR0915 one loop over the bytes
    data: Bytes,
    names: Bytes,
    targets: Numbers,
    columns: npt.NDArray[np.float64],
    out: npt.NDArray[np.float64],
    counts: Numbers,
    came: Numbers,
    word: Bytes,
) -> int:
    """Read one well-formed array; the number of rows, or -1 where it is not the plain case.

    data: uint8 [n]. names: uint8 [s, w], the spellings, zero-padded. targets: int64 [s, 3], per spelling its
    length, its column and the column's kind. columns: float64 [c, 3], per column (hole, lowest, highest).
    out: float64 [c, r], receives the values. counts: int64 [s], receives how often each spelling came.
    came: int64 [2], receives one bit for each spelling: that came at all, that came in every row.
    word: uint64 [1], scratch.
    """
    as_double = word.view(np.float64)
    as_single = word.view(np.float32)
    counts[:] = 0
    n_columns = columns.shape[0]
    n_spellings = names.shape[0]
    hints = np.zeros(_HINTED, np.int64)  # per entry of a row, its spelling in the row before
    position = head_size(data[0] & 31)
    n_rows = argument_of(data, 0, data[0] & 31)
    row = 0
    while row != n_rows:
        initial = data[position]
        if initial == _BREAK:
            break
        if initial >> 5 != _DICT or row == out.shape[1]:
            return -1
        for column in range(n_columns):
            out[column, row] = columns[column, 0]
        n_entries = argument_of(data, position, initial & 31)
        position += head_size(initial & 31)
        seen = 0
        entry = 0
        while entry != n_entries:
            key = data[position]
            if key == _BREAK:
                position += 1
                break
            size = argument_of(data, position, key & 31)
            if key >> 5 != _TEXT or size < 0:
                return -1
            position += head_size(key & 31)
            hint = hints[entry & (_HINTED - 1)]
            spelling = hint if _matches(data, position, size, names, targets, hint) else -1
            if spelling < 0:
                for i in range(n_spellings):
                    if _matches(data, position, size, names, targets, i):
                        spelling = i
                        hints[entry & (_HINTED - 1)] = i
                        break
            position += size
            head = data[position]
            major = head >> 5
            info = head & 31
            argument = argument_of(data, position, info)
            value_at = position + 1
            position += head_size(info)
            entry += 1
            if spelling < 0:
                if argument < 0 or _TEXT < major < _OTHER:
                    return -1
                if major == _BYTES or major == _TEXT:
                    position += argument
                continue
            if seen & (1 << spelling):
                return -1
            seen |= 1 << spelling
            what = _classify(major, info, argument)
            if what == _ODD or (what == _BOOLEAN and targets[spelling, 2] != _FLAGS):
                return -1
            if what == _ABSENT:
                continue
            if major == _UNSIGNED:
                value = float(argument)
            elif major == _NEGATIVE:
                value = -1.0 - argument
            elif what == _BOOLEAN:
                value = float(info - 20)
            elif info == 25:
                value = half((data[value_at] << 8) | data[value_at + 1])
            else:
                bits = 0
                for i in range(4 if info == 26 else 8):
                    bits = (bits << 8) | data[value_at + i]
                word[0] = bits
                value = float(as_single[0]) if info == 26 else as_double[0]
            if value != value:  # noqa: PLR0124
                value = np.nan  # a signalling NaN would be a warning where it is cast
            column = targets[spelling, 1]
            if not _fits(value, targets[spelling, 2], columns[column, 1], columns[column, 2]):
                return -1
            out[column, row] = value
            counts[spelling] += 1
        row += 1
    came[:] = 0
    for i in range(n_spellings):
        if counts[i]:
            came[0] |= 1 << i
        if counts[i] == row:
            came[1] |= 1 << i
    return row


class RawTable(NamedTuple):
    """`numbers` float64 [c, n]: every column, its hole where a row has no value. `came`: the columns of which
    there is a value."""

    numbers: npt.NDArray[np.float64]
    came: tuple[int, ...]

    @property
    def n_rows(self) -> int:
        return len(self.numbers[0])


class TableReader:
    """Reads arrays of maps into the columns of `specs`, with its own memory. Belongs to one thread."""

    def __init__(self, specs: Mapping[str, Column], required: Collection[str] = ()) -> None:
        spellings = [(text, c) for c, spec in enumerate(specs.values()) for text in spec.spellings]
        width = max(len(text) for text, _ in spellings)
        self._names = np.zeros((len(spellings), width), np.uint8)
        for i, (text, _) in enumerate(spellings):
            self._names[i, : len(text)] = np.frombuffer(text.encode(), np.uint8)
        kinds = [_kind(spec.dtype) for spec in specs.values()]
        self._targets = np.array([(len(text), c, kinds[c]) for text, c in spellings], np.int64)
        self._columns = np.array([(spec.hole, *_bounds(spec.dtype)) for spec in specs.values()], np.float64)
        for constant in (self._names, self._targets, self._columns):
            constant.flags.writeable = False
        self._order = [(c, list(specs)[c]) for _, c in spellings]
        assert len(spellings) <= _MAX_SPELLINGS  # noqa: S101 a bit each
        self._required = sum(1 << i for i, (text, _) in enumerate(spellings) if text in required)
        self._columns_of: dict[int, tuple[int, ...]] = {}
        """By the spellings that came, of which no two mean the same: their columns."""
        self._blocks = _blocks([spec.dtype for spec in specs.values()])
        self._out = np.empty((len(specs), MAX_ROWS), np.float64)
        self._counts = np.zeros(len(spellings), np.int64)
        self._came = np.zeros(2, np.int64)
        self._word = np.zeros(1, np.uint64)

    def read(self, table: memoryview) -> Columns | None:
        """The columns of a well-formed CBOR array, or None where it is not the plain case."""
        n_rows = self._scan(table)
        if n_rows < 0:
            return None
        cast = self.cast(self._out[:, :n_rows])
        columns: dict[str, npt.NDArray[np.generic]] = {}
        present: dict[str, int] = {}
        for (column, name), count in zip(self._order, self._counts.tolist(), strict=True):
            if count == 0:
                continue
            if name in columns:  # two spellings of one column
                return None
            columns[name] = cast[column]
            present[name] = count
        return Columns(n_rows, columns, present)

    def read_raw(self, table: memoryview) -> RawTable | None:
        """As `read`, the numbers as they are; None also where a row lacks one of `required`."""
        n_rows = self._scan(table)
        if n_rows < 0:
            return None
        spellings, in_every_row = self._came.tolist()
        came = self._columns_of.get(spellings)
        if came is None:
            came = self._look_up(spellings)
        if came is None or in_every_row & self._required != self._required:
            return None
        return RawTable(self._out[:, :n_rows].copy(), came)

    def _look_up(self, spellings: int) -> tuple[int, ...] | None:
        """None if two spellings mean the same column."""
        came = tuple([column for i, (column, _) in enumerate(self._order) if spellings & (1 << i)])
        if len(set(came)) < len(came):
            return None
        if len(self._columns_of) < _MAX_KEPT:
            self._columns_of[spellings] = came
        return came

    def cast(self, numbers: npt.NDArray[np.float64]) -> list[npt.NDArray[np.generic]]:
        """Columns [n] of `numbers` [c, n] in their types."""
        return [row for first, stop, dtype in self._blocks for row in numbers[first:stop].astype(dtype)]

    def _scan(self, table: memoryview) -> int:
        return read_rows(
            np.frombuffer(table, np.uint8),
            self._names,
            self._targets,
            self._columns,
            self._out,
            self._counts,
            self._came,
            self._word,
        )


def _blocks(dtypes: Sequence[np.dtype[np.generic]]) -> list[tuple[int, int, np.dtype[np.generic]]]:
    """(first column, one behind the last, type) of neighbours of one type: they are cast in one call."""
    blocks: list[tuple[int, int, np.dtype[np.generic]]] = []
    for column, dtype in enumerate(dtypes):
        if blocks and blocks[-1][2] == dtype:
            blocks[-1] = (blocks[-1][0], column + 1, dtype)
        else:
            blocks.append((column, column + 1, dtype))
    return blocks


def _kind(dtype: np.dtype[np.generic]) -> int:
    if dtype.kind == "f":
        return _REALS
    return _FLAGS if dtype == np.uint8 else _INTEGERS


def _bounds(dtype: np.dtype[np.generic]) -> tuple[float, float]:
    if dtype.kind == "f":
        info = np.finfo(dtype)  # type: ignore[type-var]
        return float(info.min), float(info.max)
    limits = np.iinfo(dtype)  # type: ignore[type-var]
    return max(float(limits.min), -float(_EXACT)), min(float(limits.max), float(_EXACT))
