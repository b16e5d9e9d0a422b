"""Lists of maps of numbers (spots, reflections) as columns: the general way, which says what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from jfwriter.wire import tags
from jfwriter.wire.collect import Problems
from jfwriter.wire.mismatch import Mismatch, Said

MAX_ROWS: Final = 1 << 20
Array = npt.NDArray[np.generic]
Found = list[object] | Array


class Column(NamedTuple):
    """How one column is stored. `hole` fills rows without the entry; the first of `spellings` wins."""

    dtype: np.dtype[np.generic]
    hole: float
    spellings: tuple[str, ...]


class Columns(NamedTuple):
    """`columns` [n_rows] by name; only those that came. `present`: in how many rows each came."""

    n_rows: int
    columns: dict[str, Array]
    present: dict[str, int]


def gather(value: object, specs: Mapping[str, Column], field: str, problems: Problems) -> Columns:
    """Read an array of maps, or a map of columns. A column that is wrong is left out and listed.

    Raises Mismatch when `value` is neither, or when columns differ in length.
    """
    if isinstance(value, dict):
        found = _columns_of_map(value, specs, field, problems)
        sizes = {len(column) for column in found.values()}
        if len(sizes) > 1:
            raise Mismatch("columns of one length", Said(f"lengths {sorted(sizes)}"))
        n_rows = sizes.pop() if sizes else 0
    elif isinstance(value, list | tuple):
        found = _columns_of_rows(value, specs)
        n_rows = len(value)
    else:
        raise Mismatch("an array of maps, or a map of columns", value)
    columns: dict[str, Array] = {}
    present: dict[str, int] = {}
    for name, column in found.items():
        try:
            columns[name] = _filled(column, specs[name])
        except Mismatch as mismatch:
            problems.add(f"{field}.{name}", mismatch)
        else:
            present[name] = n_rows - (column.count(None) if isinstance(column, list) else 0)
    return Columns(n_rows, columns, present)


def _columns_of_rows(rows: Sequence[object], specs: Mapping[str, Column]) -> dict[str, Found]:
    maps = [row for row in rows if isinstance(row, dict)]
    if len(maps) != len(rows):
        wrong = next(i for i, row in enumerate(rows) if not isinstance(row, dict))
        raise Mismatch("a map", rows[wrong], f"[{wrong}]")
    found: dict[str, Found] = {}
    for name, spec in specs.items():
        for spelling in spec.spellings:
            column = [row.get(spelling) for row in maps]
            if any(item is not None for item in column):
                found[name] = column
                break
    return found


def _columns_of_map(
    value: Mapping[object, object], specs: Mapping[str, Column], field: str, problems: Problems
) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for name, spec in specs.items():
        spelling = next((s for s in spec.spellings if value.get(s) is not None), None)
        if spelling is None:
            continue
        try:
            found[name] = _column_of_map(value[spelling])
        except Mismatch as mismatch:
            problems.add(f"{field}.{name}", mismatch)
    return found


def _column_of_map(value: object) -> Found:
    if tags.is_array(value):
        return tags.array(value, MAX_ROWS).reshape(-1)
    if isinstance(value, list | tuple):
        return list(value)
    raise Mismatch("an array of numbers", value)


def _filled(column: Found, spec: Column) -> Array:
    if isinstance(column, np.ndarray):
        return _cast(column, spec.dtype)
    filled: list[object] = [spec.hole if item is None else item for item in column]
    if spec.dtype == np.uint8:
        filled = [int(item) if isinstance(item, bool) else item for item in filled]
    return _cast(tags.number_list(filled, MAX_ROWS), spec.dtype)


def _cast(numbers: Array, dtype: np.dtype[np.generic]) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):  # a signalling NaN is no reason for a warning
        cast = numbers.astype(dtype)
        exact = dtype.kind == "f" or np.array_equal(cast, numbers)
    if not exact:
        info = np.iinfo(dtype)  # type: ignore[type-var]
        raise Mismatch(f"integers from {info.min} to {info.max}", numbers)
    return cast
