"""A per-image dataset of one file whose rows arrive one by one, in any order. Writer thread only.

Rows are collected in NumPy blocks and never written to HDF5 one at a time. As long as all blocks fit in
memory there is no dataset at all: `finish` writes it at once, with its final extent. A dataset that does not
fit is written block by block, the least recently used first, into a chunked dataset that grows.

Memory of one dataset: at most `n_resident` blocks of `block_bytes`, where

    block_rows  = 4096 for a vector, else min(256, 1 MiB // row_bytes), at least 1,
                  and no more than the planned rows of the file; whole chunks if these are smaller
    block_bytes = block_rows * row_bytes
    n_resident  = 1 MiB // block_bytes, but 2 at least and 8 at most

that is <= 256 KiB for a vector of 8-byte numbers, <= 2 MiB for wider rows, or two rows if a row alone is
larger than 1 MiB. A data file holds the sum over its datasets.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NoReturn, TypeAlias

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.compression.filters import filter_for
from jfwriter.hdf5.dataset_calls import NewDataset, begin_again, fail_again, make_datasets
from jfwriter.hdf5.faults import storage_faults
from jfwriter.hdf5.plugin import StoredDataset
from jfwriter.nexus import fields
from jfwriter.payload import Codec

VECTOR_CHUNK_ROWS = 4096
ARRAY_CHUNK_ROWS = 256
BLOCK_BYTES = 1 << 20
RESIDENT_BYTES = 1 << 20
MIN_RESIDENT, MAX_RESIDENT = 2, 8

TOGETHER_BYTES = 4 << 20
"""Datasets are written together until they have so many bytes: rows in several blocks are copied for that."""

Block = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class RowStorage:
    """How the per-image datasets of a file are stored.

    `capacity` planned rows, 0 if unknown. `contiguous`: vectors of known length are stored without chunks
    (data files); otherwise in chunks of 4096 rows (the single file of the integrated layout).
    """

    capacity: int
    contiguous: bool


Attributes: TypeAlias = Mapping[str, fields.AttributeValue]


class RowDataset:
    """Dataset `(n, *row_shape)` below `parent`; a row that was never put holds the sentinel.

    `chunk_rows` sets the rows of one chunk of a multi-dimensional dataset (default: 256, less when rows are
    large). Rows with more than one element are compressed (bslz4), vectors are not.

    `put` and `finish` raise StorageError when HDF5 cannot write.
    """

    def __init__(
        self, parent: h5py.Group, stored: StoredDataset, storage: RowStorage, chunk_rows: int | None = None
    ) -> None:
        self._parent = parent
        self._stored = stored
        self._storage = storage
        self.row_bytes = stored.dtype.itemsize * math.prod(stored.row_shape)
        self._sentinel = np.zeros((), stored.dtype)
        if stored.sentinel is not None:
            self._sentinel[()] = stored.sentinel
        block_rows = _block_rows(self.row_bytes, bool(stored.row_shape), storage.capacity)
        self._chunk_rows = chunk_rows or _block_rows(self.row_bytes, bool(stored.row_shape), 0)
        # A chunk in two blocks would be packed, read and unpacked, and packed again.
        self._block_rows = max(block_rows - block_rows % self._chunk_rows, min(block_rows, self._chunk_rows))
        block_bytes = self._block_rows * self.row_bytes
        self._n_resident = min(MAX_RESIDENT, max(MIN_RESIDENT, RESIDENT_BYTES // max(1, block_bytes)))
        self._blocks: dict[int, Block] = {}
        """By block number, the most recently used last."""
        self._rows: Block = np.empty((0, *stored.row_shape), stored.dtype)
        self._first = self._stop = 0
        self._dataset: h5py.h5d.DatasetID | None = None
        self._extent = 0
        self._is_made = False
        """All of it is in the file, and nobody holds it open."""

    @property
    def resident_bytes(self) -> int:
        """Memory of the blocks held now."""
        return sum(block.nbytes for block in self._blocks.values())

    def put(self, index: int, value: npt.ArrayLike) -> None:
        """Store the row of image `index`; a later value replaces an earlier one."""
        if not self._first <= index < self._stop:
            self._select(index // self._block_rows)
        self._rows[index - self._first] = value

    def put_each(self, indices: Sequence[int], values: Block) -> None:
        """Store `values[i]` as the row of image `indices[i]`, each; of equal indices the last counts.

        `indices` from `spanned`: rows that follow one another are stored at once.
        """
        if isinstance(indices, range):
            for rows, part in self._parts(indices, values):
                rows[:] = part
            return
        for index, value in zip(indices, values, strict=True):
            self.put(index, value)

    def put_first(self, index: int, values: Block) -> None:
        """Store `values` as the first elements of row `index`, of a dataset whose rows are vectors."""
        if not self._first <= index < self._stop:
            self._select(index // self._block_rows)
        self._rows[index - self._first, : len(values)] = values

    def put_first_each(self, indices: Sequence[int], values: Block) -> None:
        """`put_first` of `values[i]` and image `indices[i]`, each; `indices` as for `put_each`."""
        n_values = values.shape[1]
        if isinstance(indices, range):
            for rows, part in self._parts(indices, values):
                rows[:, :n_values] = part
            return
        for index, value in zip(indices, values, strict=True):
            self.put_first(index, value)

    def row(self, index: int) -> Block:
        """Row `index` of a dataset whose rows are arrays, to be changed in place before the next call."""
        if not self._first <= index < self._stop:
            self._select(index // self._block_rows)
        row: Block = self._rows[index - self._first]
        return row

    def finish(self, n_rows: int, attributes: Attributes | None = None) -> StoredDataset:
        """Write what is in memory; the dataset then has exactly `n_rows` rows. Says what was stored.

        `attributes` come on top of those given at first.
        """
        (stored,) = finish_rows([(self, attributes)], n_rows)
        return stored

    def add_attributes(self, attributes: Attributes | None) -> None:
        """For the dataset, as soon as it is written."""
        if attributes:
            merged = {**self._stored.attributes, **attributes}
            self._stored = replace(self._stored, attributes=merged)

    def is_new(self, n_rows: int) -> bool:
        """Whether there is no dataset yet, and all of its rows are in memory."""
        return not self._is_made and self._dataset is None and n_rows <= self._n_resident * self._block_rows

    def new_dataset(self, n_rows: int) -> NewDataset:
        """The dataset as it is to be, of `n_rows` rows."""
        stored = self._stored
        creation = fields.contiguous()
        if stored.row_shape or not self._storage.contiguous:
            chunk_rows = min(self._chunk_rows, max(1, n_rows))
            creation = _creation((chunk_rows, *stored.row_shape), stored.dtype)
        kind, attributes = fields.file_type(stored.dtype), tuple(stored.attributes.items())
        data = self._assemble(n_rows)
        return NewDataset(self._parent.id, self._name, kind, creation, data.shape, data, attributes)

    def was_made(self) -> StoredDataset:
        """All of it is in the file."""
        self._is_made = True
        return self._forget()

    def write_again(self, new: NewDataset, identifier: int) -> NoReturn:
        """Find the words for what `make_datasets` could not do. Raises StorageError."""
        with storage_faults(f"cannot write {self._stored.path}"):
            dataset = begin_again(new, identifier)
            self._dataset = dataset  # letting go of a dataset whose write failed fails again
            fail_again(dataset, new)

    def write_rest(self, n_rows: int) -> StoredDataset:
        """`finish` of a dataset that is there already. Raises StorageError."""
        with storage_faults(f"cannot write {self._stored.path}"):
            dataset = self._write_rest(n_rows)
            fields.attributes(h5py.Dataset(dataset), **self._stored.attributes)
        return self._forget()

    def _forget(self) -> StoredDataset:
        self._blocks.clear()
        self._rows = self._rows[:0]
        self._first = self._stop = 0
        return self._stored

    def _parts(self, indices: range, values: Block) -> Iterator[tuple[Block, Block]]:
        """The rows of `indices`, and what of `values` is theirs, one block after the other."""
        first, stop = indices.start, indices.stop
        while first < stop:
            if not self._first <= first < self._stop:
                self._select(first // self._block_rows)
            end = min(stop, self._stop)
            at = first - indices.start
            yield self._rows[first - self._first : end - self._first], values[at : at + end - first]
            first = end

    def _select(self, number: int) -> None:
        """Make block `number` the current one, as the most recently used."""
        block = self._blocks.pop(number, None)
        if block is None:
            if len(self._blocks) >= self._n_resident:
                self._evict(next(iter(self._blocks)))
            block = self._load(number)
        self._blocks[number] = block
        self._rows = block
        self._first = number * self._block_rows
        self._stop = self._first + self._block_rows

    def _evict(self, number: int) -> None:
        with storage_faults(f"cannot write {self._stored.path}"):
            self._flush(number, self._blocks[number])
        del self._blocks[number]

    def _load(self, number: int) -> Block:
        block = np.full((self._block_rows, *self._stored.row_shape), self._sentinel, self._stored.dtype)
        first = number * self._block_rows
        n_stored = min(self._block_rows, self._extent - first)
        if self._dataset is not None and n_stored > 0:
            with storage_faults(f"cannot read {self._stored.path} back"):
                memory, file = self._selection(first, n_stored)
                self._dataset.read(memory, file, block[:n_stored])
        return block

    def _flush(self, number: int, block: Block) -> None:
        dataset = self._dataset or self._create_growing()
        first = number * self._block_rows
        if first + len(block) > self._extent:
            self._resize(dataset, first + len(block))
        memory, file = self._selection(first, len(block))
        dataset.write(memory, file, block)

    def _assemble(self, n_rows: int) -> Block:
        if len(self._blocks) == 1 and 0 in self._blocks and n_rows <= self._block_rows:
            return self._blocks[0][:n_rows]
        data = np.full((n_rows, *self._stored.row_shape), self._sentinel, self._stored.dtype)
        for number, block in self._blocks.items():
            first = number * self._block_rows
            part = data[first : first + self._block_rows]
            part[:] = block[: len(part)]
        return data

    def _write_rest(self, n_rows: int) -> h5py.h5d.DatasetID:
        for number, block in self._blocks.items():
            n_wanted = min(len(block), n_rows - number * self._block_rows)
            if n_wanted > 0:
                self._flush(number, block[:n_wanted])
        if self._is_made:
            self._dataset = h5py.h5d.open(self._parent.id, self._name.encode())
        dataset = self._dataset or self._create_growing()
        self._resize(dataset, n_rows)
        return dataset

    @property
    def _name(self) -> str:
        return self._stored.path.rpartition("/")[2]

    def _create_growing(self) -> h5py.h5d.DatasetID:
        creation = _creation((self._chunk_rows, *self._stored.row_shape), self._stored.dtype)
        if self._stored.dtype.kind != "S":
            creation = creation.copy()
            creation.set_fill_value(self._sentinel)
        # Whole blocks are written, so a chunk cache (1 MiB for each dataset) would only hold copies.
        access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
        access.set_chunk_cache(1, 0, 1.0)
        space = h5py.h5s.create_simple(
            (0, *self._stored.row_shape), (h5py.h5s.UNLIMITED, *self._stored.row_shape)
        )
        kind = fields.file_type(self._stored.dtype)
        self._dataset = h5py.h5d.create(
            self._parent.id, self._name.encode(), kind, space, creation, None, access
        )
        return self._dataset

    def _resize(self, dataset: h5py.h5d.DatasetID, n_rows: int) -> None:
        dataset.set_extent((n_rows, *self._stored.row_shape))
        self._extent = n_rows

    def _selection(self, first: int, n_rows: int) -> tuple[h5py.h5s.SpaceID, h5py.h5s.SpaceID]:
        """Memory and file selection of rows [first, first + n_rows)."""
        assert self._dataset is not None  # noqa: S101 callers made it
        count = (n_rows, *self._stored.row_shape)
        file = self._dataset.get_space()
        file.select_hyperslab((first, *(0 for _ in self._stored.row_shape)), count)
        return h5py.h5s.create_simple(count), file


def spanned(indices: list[int]) -> Sequence[int]:
    """The same, as a range if each is one more than the one before."""
    first = indices[0] if indices else 0
    span = range(first, first + len(indices))
    return span if indices == list(span) else indices


def finish_rows(
    datasets: Iterable[tuple[RowDataset, Attributes | None]], n_rows: int
) -> tuple[StoredDataset, ...]:
    """`RowDataset.finish` of several, together. Raises StorageError."""
    stored: list[StoredDataset] = []
    waiting: list[tuple[RowDataset, NewDataset]] = []
    for dataset, attributes in datasets:
        dataset.add_attributes(attributes)
        if not dataset.is_new(n_rows):
            stored += (*_make(waiting), dataset.write_rest(n_rows))
            waiting = []
            continue
        waiting.append((dataset, dataset.new_dataset(n_rows)))
        if sum(new.data.nbytes for _, new in waiting if new.data is not None) >= TOGETHER_BYTES:
            stored += _make(waiting)
            waiting = []
    return (*stored, *_make(waiting))


def _make(new: Sequence[tuple[RowDataset, NewDataset]]) -> list[StoredDataset]:
    n_made, begun = make_datasets([description for _, description in new])
    stored = [dataset.was_made() for dataset, _ in new[:n_made]]
    if n_made < len(new):
        dataset, description = new[n_made]
        dataset.write_again(description, begun)
    return stored


@lru_cache(maxsize=fields.N_KEPT)
def _creation(chunk: tuple[int, ...], dtype: np.dtype[np.generic]) -> h5py.h5p.PropDCID:
    """Of a dataset in such chunks, packed if its rows are arrays. Kept: nobody may change it."""
    creation = fields.new_creation()
    creation.set_chunk(chunk)
    if len(chunk) > 1:
        filter_ = filter_for(Codec.BSLZ4, dtype)
        assert filter_ is not None  # noqa: S101 bslz4 has a filter
        creation.set_filter(filter_.filter_id, 0, filter_.options)
    return creation


def _block_rows(row_bytes: int, is_array: bool, capacity: int) -> int:
    rows = min(ARRAY_CHUNK_ROWS, max(1, BLOCK_BYTES // max(1, row_bytes))) if is_array else VECTOR_CHUNK_ROWS
    return min(rows, capacity) if capacity else rows
