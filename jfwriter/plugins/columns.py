"""Tables of per-image columns: one dataset per column, described by a line of a table in a plugin's module.

A column's dataset appears in a file when the start message promises it or an image of the file carries it.
Single values wait until there are `BLOCK_ROWS` rows of them and are then stored column by column: one NumPy
call for a block costs as much as storing three values one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter, is_not
from typing import cast

import h5py
import numpy as np

from jfwriter.hdf5.faults import storage_faults
from jfwriter.hdf5.plugin import FileRows, Pixels, StoredDataset
from jfwriter.hdf5.plugin_set import BLOCK_ROWS
from jfwriter.hdf5.rows import Attributes, RowDataset, RowStorage, finish_rows, spanned
from jfwriter.nexus import fields
from jfwriter.nexus.groups import Groups
from jfwriter.plugins.values import Convert, Unfit, fitting_block, floating, integer, plain_block
from jfwriter.session.plan import RunPlan
from jfwriter.wire.cells import Array, CellBlock, CellColumn
from jfwriter.wire.messages import ImageMessage

DETECTOR_IN_DATA_FILE = "detector/"
DETECTOR_IN_SINGLE_FILE = "instrument/detector/detectorSpecific/"

NX_CLASSES = {"instrument": "NXinstrument", "instrument/detector": "NXdetector"}
"""Classes of groups below `/entry` that are no NXcollection."""


@dataclass(frozen=True, slots=True)
class Column:
    """One dataset `[n, *row_shape]`.

    `path` is relative to `/entry` of a data file. `source` names an attribute of the row's source (the image
    message), or computes the value from it; None is "no value". `promised`: stored in every file, whether or
    not an image carries it. `convert` makes the value to store (default: by `dtype`). `attributes` are asked
    for when the file is finished.
    """

    path: str
    dtype: str
    sentinel: object
    source: str | Callable[[ImageMessage], object]
    units: str | None = None
    row_shape: tuple[int, ...] = ()
    promised: bool = False
    convert: Convert | None = None
    of_cells: Callable[[CellBlock], CellColumn | None] | None = None
    """The values of many plain images, if they are not just those of a field. Where it gives None, or what
    the dataset cannot hold as it is, each value is looked at."""
    attributes: Callable[[], Mapping[str, fields.AttributeValue]] | None = None

    def stored(self, plan: RunPlan) -> StoredDataset:
        units: dict[str, fields.AttributeValue] = {} if self.units is None else {"units": self.units}
        sentinel = None if self.dtype.startswith("S") else self.sentinel
        return StoredDataset(
            absolute_path(self.path, plan), np.dtype(self.dtype), self.row_shape, sentinel, units
        )

    def column_of(self, cells: CellBlock) -> CellColumn | None:
        """The values of many plain images; None: each has to be looked at."""
        if self.of_cells is not None:
            return self.of_cells(cells)
        return cells.column(self.source) if isinstance(self.source, str) else None

    def converter(self) -> Convert:
        if self.convert is not None:
            return self.convert
        return floating(self.dtype) if self.dtype.startswith("f") else integer(self.dtype)


Values = Sequence[object]
"""Of one image, one for each column; None: it does not carry it."""


class ColumnPlugin:
    """Stores columns whose values stand in the image message."""

    needs_pixels = False
    takes_cells = True

    def __init__(self, name: str, plan: RunPlan, columns: Sequence[Column]) -> None:
        self.name = name
        self._plan = plan
        self._columns = columns
        self._values = reader_of(columns)

    def row(self, image: ImageMessage, pixels: Pixels | None) -> object:
        del pixels
        values = self._values(image)
        return values if carries_any(values) else None

    def open_file(self, entry: h5py.Group, capacity: int) -> FileRows:
        return ColumnRows(entry, self._columns, self._plan, capacity)

    def configured(self) -> tuple[StoredDataset, ...]:
        return tuple(column.stored(self._plan) for column in self._columns if column.promised)


class ColumnRows:
    """The columns of a table in one file. Writer thread only."""

    image_groups: Mapping[int, str] = {}

    def __init__(self, entry: h5py.Group, columns: Sequence[Column], plan: RunPlan, capacity: int) -> None:
        self.problems: Counter[str] = Counter()
        self._groups = groups_below(entry)
        self._columns = columns
        self._plan = plan
        self._storage = row_storage(plan, capacity)
        self._converters = [column.converter() for column in columns]
        self._dtypes = [np.dtype(column.dtype) for column in columns]
        self._arrays = [number for number, column in enumerate(columns) if column.row_shape]
        self._waiting: dict[int, Values] = {}
        """By row: the values that are not arrays."""
        self._read = reader_of(columns)
        self._datasets: dict[int, RowDataset] = {}
        for number, column in enumerate(columns):
            if column.promised:
                self._open(number)

    def append(self, index: int, row: object) -> None:
        values = cast("Values", row)
        if self._arrays:
            values = self._without_arrays(index, values)
        self._waiting[index] = values
        if len(self._waiting) >= BLOCK_ROWS:
            self._store_waiting()

    def append_cells(self, indices: Sequence[int], cells: CellBlock) -> None:
        # What waits goes first: the order decides, e.g. on the denominator of times.
        self._store_waiting()
        read: list[Values] | None = None
        for number, column in enumerate(self._columns):
            found = column.column_of(cells)
            if found is not None:
                self._store_cells(number, indices, found)
                continue
            if read is None:
                read = [self._read(cells.image(row)) for row in range(len(cells))]
            self._put_each(number, indices, [values[number] for values in read])

    def put_columns(self, indices: Sequence[int], columns: Sequence[CellColumn]) -> None:
        """Store the values of many rows, a column of them for each of the table."""
        self._store_waiting()
        for number, column in enumerate(columns):
            self._store_cells(number, indices, column)

    def finish(self, n_rows: int) -> tuple[StoredDataset, ...]:
        self._store_waiting()
        rows: list[tuple[RowDataset, Attributes | None]] = []
        for number in sorted(self._datasets):
            attributes = self._columns[number].attributes
            rows.append((self._datasets[number], attributes() if attributes is not None else None))
        stored = finish_rows(rows, n_rows)
        self._datasets.clear()
        return stored

    def _store_waiting(self) -> None:
        if not self._waiting:
            return
        # Taken first: values that a converter cannot bear must not come again when the file is finished.
        waiting, self._waiting = self._waiting, {}
        indices = spanned(list(waiting))
        for number, values in enumerate(zip(*waiting.values(), strict=True)):
            if carries_any(values):
                self._store_column(number, indices, values)

    def _without_arrays(self, index: int, values: Values) -> Values:
        """Store what is an array: it may be a view into the received message, and must not outlive the
        order."""
        rest = list(values)
        for number in self._arrays:
            value, rest[number] = rest[number], None
            if value is not None:
                self._put(number, index, value)
        return rest

    def _store_cells(self, number: int, indices: Sequence[int], column: CellColumn) -> None:
        values, came, n_came = column
        if not n_came:
            return
        if n_came < len(indices):
            rows = np.flatnonzero(came)
            indices, values = spanned([indices[row] for row in rows.tolist()]), values[rows]
        block = fitting_block(values, self._dtypes[number])
        if block is None:
            self._put_each(number, indices, column_values(values))
            return
        (self._datasets.get(number) or self._open(number)).put_each(indices, block)

    def _put_each(self, number: int, indices: Sequence[int], values: Values) -> None:
        for index, value in zip(indices, values, strict=True):
            if value is not None:
                self._put(number, index, value)

    def _store_column(self, number: int, indices: Sequence[int], values: Values) -> None:
        block = None
        if self._columns[number].convert is None:
            block = plain_block(values, self._dtypes[number])
        if block is not None:
            (self._datasets.get(number) or self._open(number)).put_each(indices, block)
            return
        self._put_each(number, indices, values)

    def _put(self, number: int, index: int, value: object) -> None:
        try:
            cell = self._converters[number](value)
        except Unfit as unfit:
            self.problems[absolute_path(self._columns[number].path, self._plan)] += 1
            cell = unfit.kept
            if cell is None:
                return
        (self._datasets.get(number) or self._open(number)).put(index, cell)  # type: ignore[arg-type]

    def _open(self, number: int) -> RowDataset:
        dataset = open_rows(self._groups, self._columns[number].stored(self._plan), self._storage)
        self._datasets[number] = dataset
        return dataset


def column_values(cells: Array) -> Values:
    """As the image message has them: words are text there."""
    return [word.decode() for word in cells.tolist()] if cells.dtype.kind == "S" else cells.tolist()


def reader_of(columns: Sequence[Column]) -> Callable[[object], Sequence[object]]:
    """A function from the source of a row to the values of all columns."""
    names = [column.source if isinstance(column.source, str) else "__class__" for column in columns]
    by_name = attrgetter(*names) if len(names) > 1 else _single(names[0])
    computed = [
        (number, column.source) for number, column in enumerate(columns) if not isinstance(column.source, str)
    ]

    def read(source: object) -> Sequence[object]:
        values = by_name(source)
        if not computed:
            return cast("Sequence[object]", values)
        values = list(values)
        for number, compute in computed:
            values[number] = compute(source)  # type: ignore[arg-type]
        return values

    return read


def _single(name: str) -> Callable[[object], Sequence[object]]:
    getter = attrgetter(name)
    return lambda source: (getter(source),)


def carries_any(values: Values) -> bool:
    """Whether one of the values is there. Never asks an array whether it equals None."""
    return any(map(is_not, values, repeat(None)))


def row_storage(plan: RunPlan, capacity: int) -> RowStorage:
    return RowStorage(capacity, contiguous=not plan.is_integrated)


def absolute_path(path: str, plan: RunPlan) -> str:
    """Path of a dataset; the single file of the integrated layout has another group for the detector's."""
    if plan.is_integrated and path.startswith(DETECTOR_IN_DATA_FILE):
        path = DETECTOR_IN_SINGLE_FILE + path.removeprefix(DETECTOR_IN_DATA_FILE)
    return f"/entry/{path}"


def groups_below(entry: h5py.Group) -> Groups:
    """The groups of a data file, for `open_rows`."""
    return Groups(entry, NX_CLASSES)


def open_rows(
    groups: Groups, stored: StoredDataset, storage: RowStorage, chunk_rows: int | None = None
) -> RowDataset:
    """Rows of `stored`; the groups above it are made. Raises StorageError."""
    with storage_faults(f"cannot create the group of {stored.path}"):
        parent = groups.at(stored.path.removeprefix("/entry/").rpartition("/")[0])
    return RowDataset(parent, stored, storage, chunk_rows)
