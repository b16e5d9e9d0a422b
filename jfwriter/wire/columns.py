"""Lists of maps (spots, reflections) as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from jfwriter.wire import fields, tags
from jfwriter.wire.mismatch import Mismatch, Said

MAX_ROWS: Final = 1 << 20


class Column(NamedTuple):
    """How one column is stored; `hole` fills rows without the entry."""

    dtype: type[np.generic]
    hole: float | int
    spellings: tuple[str, ...]


Columns = dict[str, list[object] | object]


def gather(value: object, specs: Mapping[str, Column]) -> tuple[int, dict[str, object]]:
    """(rows, name -> values) of the columns that came: a list with None for holes, or an array of numbers.

    Takes an array of maps or a map of columns. Raises Mismatch when it is neither.
    """
    if isinstance(value, dict):
        return _from_map(value, specs)
    if not isinstance(value, list | tuple):
        raise Mismatch("an array of maps, or a map of columns", value)
    for i, row in enumerate(value):
        if type(row) is not dict:
            raise Mismatch("a map", row, f"[{i}]")
    found: dict[str, object] = {}
    for name, spec in specs.items():
        for spelling in spec.spellings:
            column = [row.get(spelling) for row in value]
            if any(item is not None for item in column):
                found[name] = column
                break
    return len(value), found


def _from_map(value: dict[object, object], specs: Mapping[str, Column]) -> tuple[int, dict[str, object]]:
    found: dict[str, object] = {}
    sizes = set()
    for name, spec in specs.items():
        for spelling in spec.spellings:
            column = value.get(spelling)
            if column is None:
                continue
            if tags.is_array(column):
                column = fields.at(
                    f".{spelling}", lambda v, _: tags.array(v, MAX_ROWS).reshape(-1), column, None
                )
            elif not isinstance(column, list | tuple):
                raise Mismatch("an array of numbers", column, f".{spelling}")
            found[name] = column
            sizes.add(len(column))
            break
    if len(sizes) > 1:
        raise Mismatch("columns of one length", Said(f"lengths {sorted(sizes)}"))
    return (sizes.pop() if sizes else 0), found


def fill(column: Sequence[object] | npt.NDArray[np.generic], spec: Column) -> npt.NDArray[np.generic]:
    """The column in its type. Raises Mismatch where a value is no number, or does not fit exactly."""
    if isinstance(column, np.ndarray):
        return _cast(column, spec.dtype)
    kinds = set(map(type, column))
    if type(None) in kinds:
        column = [spec.hole if item is None else item for item in column]
        kinds = set(map(type, column))
    if bool in kinds and spec.dtype is np.uint8 and kinds <= {bool, int}:
        column = [int(item) for item in column]  # type: ignore[call-overload]
    numbers = tags.number_list(column, MAX_ROWS)
    return _cast(numbers, spec.dtype)


def _cast(numbers: npt.NDArray[np.generic], dtype: type[np.generic]) -> npt.NDArray[np.generic]:
    with np.errstate(over="ignore", invalid="ignore"):
        cast = numbers.astype(dtype)
        if np.issubdtype(dtype, np.integer) and not np.array_equal(cast, numbers):
            info = np.iinfo(dtype)
            raise Mismatch(f"integers from {info.min} to {info.max}", numbers)
    return cast
