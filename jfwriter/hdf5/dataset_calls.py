"""Several datasets made, filled and closed in one call, while the interpreter belongs to other threads.

h5py lets go of the interpreter in creating, writing and closing, four times for each dataset, and then waits
for it, up to the switch interval of 0.5 ms, while the event loop has messages to decode: ten times as long as
the dataset takes. So HDF5's functions are called by a kernel (`H5Dcreate2`, `H5Dwrite`, `H5Acreate2`,
`H5Awrite`, `H5Aclose`, `H5Dclose`).
"""

from __future__ import annotations

import errno
import functools
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

import h5py
import numpy as np
import numpy.typing as npt
from h5py._objects import phil

from jfwriter.hdf5.hdf5_file import library
from jfwriter.hdf5.native import (
    address_of,
    code_of,
    identifier_of_1,
    identifier_of_3,
    identifier_of_6,
    identifier_of_7,
    status_of_1,
    status_of_3,
    status_of_6,
)
from jfwriter.jit import kernel
from jfwriter.nexus import fields

MAX_DIMENSIONS = 32
"""As many as a dataset of HDF5 may have."""


class NewDataset(NamedTuple):
    """A dataset to be made below `group`. `data`: all of it, of extent `shape`; None: nothing is written."""

    group: h5py.h5g.GroupID
    name: str
    type_id: h5py.h5t.TypeID
    creation: h5py.h5p.PropDCID
    shape: tuple[int, ...]
    data: npt.NDArray[np.generic] | None
    attributes: Sequence[tuple[str, fields.AttributeValue]]


def make_datasets(new: Sequence[NewDataset]) -> tuple[int, int]:
    """Make as many as can be made, in order: (how many were, identifier of the next one).

    The identifier is 0 if that does not exist; else it is open, and what is in it is not known.
    Writer thread only.
    """
    names = _Names()
    kept: list[object] = []
    datasets = np.zeros((len(new), 10), np.int64)
    attributes: list[tuple[int, ...]] = []
    for row, item in zip(datasets, new, strict=True):
        first = len(attributes)
        for key, value in item.attributes:
            parts = fields.attribute_parts(value)
            kept.append(parts)
            attributes.append((names.add(key), *(part.id for part in parts[:3]), address_of(parts.data)))
        space, links = fields.space(item.shape), fields.links(item.name)
        memory_type = item.type_id if item.data is None else fields.memory_type(item.data.dtype)
        kept += (space, memory_type)
        row[:] = (
            item.group.id,
            names.add(item.name),
            item.type_id.id,
            space.id,
            0 if links is None else links.id,
            item.creation.id,
            memory_type.id,
            address_of(item.data) if item.data is not None and item.data.size else 0,
            first,
            len(attributes),
        )
    table = np.array(attributes, np.int64).reshape(-1, 5)
    text = names.text()
    datasets[:, 1] += address_of(text)
    table[:, 0] += address_of(text)
    begun = np.zeros(1, np.int64)
    with phil:
        n_made = _make(_codes(), datasets, table, begun)
    del kept
    return n_made, int(begun[0])


def begin_again(new: NewDataset, identifier: int) -> h5py.h5d.DatasetID:
    """The dataset that `make_datasets` has failed at. Raises what h5py finds to say."""
    if identifier:
        return h5py.h5d.DatasetID(identifier)
    return fields.new_dataset(h5py.Group(new.group), new.name, new.type_id, new.shape, new.creation)


def fail_again(dataset: h5py.h5d.DatasetID, new: NewDataset) -> NoReturn:
    """Raises what h5py finds to say of writing `new` into its `dataset`; OSError if that goes well.

    Nothing may come of it then: of a chunk whose writing failed HDF5 keeps a place that no index knows.
    """
    if new.data is not None:
        fields.fill(dataset, new.data)
    fields.attributes(h5py.Dataset(dataset), **dict(new.attributes))
    raise OSError(errno.EIO, "it failed, and then did not")


def numbers_of_rows(file: h5py.File, paths: Sequence[str]) -> list[int]:
    """First extent of each of the datasets `paths`; -1 for one that cannot be opened or has none."""
    names = _Names()
    places = np.array([names.add(path) for path in paths], np.int64)
    text = names.text()
    extent = np.zeros(MAX_DIMENSIONS, np.int64)
    found = np.full(len(paths), -1, np.int64)
    with phil:
        _measure(_codes(), file.id.id, places + address_of(text), extent, found)
    return [int(n_rows) for n_rows in found]


class _Names:
    """Texts that end with a NUL, one behind the other."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, name: str) -> int:
        """Where it begins."""
        place = len(self._bytes)
        self._bytes += name.encode() + b"\0"
        return place

    def text(self) -> npt.NDArray[np.uint8]:
        return np.frombuffer(self._bytes, np.uint8)


@functools.cache
def _codes() -> npt.NDArray[np.int64]:
    """Addresses of the functions, in the order in which the kernels count them."""
    hdf5 = library()
    functions = (
        hdf5.H5Dcreate2,
        hdf5.H5Dwrite,
        hdf5.H5Dclose,
        hdf5.H5Acreate2,
        hdf5.H5Awrite,
        hdf5.H5Aclose,
        hdf5.H5Dopen2,
        hdf5.H5Dget_space,
        hdf5.H5Sget_simple_extent_dims,
        hdf5.H5Sclose,
    )
    return np.array([code_of(function) for function in functions], np.int64)


@kernel("int64(int64[::1], int64[:, ::1], int64[:, ::1], int64[::1])")
def _make(
    codes: npt.NDArray[np.int64],
    datasets: npt.NDArray[np.int64],
    attributes: npt.NDArray[np.int64],
    begun: npt.NDArray[np.int64],
) -> int:
    """Datasets made. datasets: [d, 10], attributes: [a, 5]; begun: [1], receives the open one that failed."""
    for n_made in range(len(datasets)):
        d = datasets[n_made]
        dataset = identifier_of_7(codes[0], (d[0], d[1], d[2], d[3], d[4], d[5], 0))
        if dataset < 0:
            return n_made
        begun[0] = dataset
        if d[7] != 0 and status_of_6(codes[1], (dataset, d[6], 0, 0, 0, d[7])) < 0:
            return n_made
        for i in range(d[8], d[9]):
            a = attributes[i]
            attribute = identifier_of_6(codes[3], (dataset, a[0], a[1], a[2], 0, 0))
            if attribute < 0:
                return n_made
            is_written = status_of_3(codes[4], (attribute, a[3], a[4])) >= 0
            if status_of_1(codes[5], (attribute,)) < 0 or not is_written:
                return n_made
        # As h5py: what a dataset fails with while it is let go, closing the file tells again.
        status_of_1(codes[2], (dataset,))
        begun[0] = 0
    return len(datasets)


@kernel("void(int64[::1], int64, int64[::1], int64[::1], int64[::1])")
def _measure(
    codes: npt.NDArray[np.int64],
    file: int,
    names: npt.NDArray[np.int64],
    extent: npt.NDArray[np.int64],
    found: npt.NDArray[np.int64],
) -> None:
    """names: [d], addresses; extent: [MAX_DIMENSIONS], is used for each; found: [d], receives rows."""
    for i in range(len(names)):
        dataset = identifier_of_3(codes[6], (file, names[i], 0))
        if dataset < 0:
            continue
        space = identifier_of_1(codes[7], (dataset,))
        if space >= 0:
            if status_of_3(codes[8], (space, extent.ctypes.data, 0)) > 0:
                found[i] = extent[0]
            status_of_1(codes[9], (space,))
        status_of_1(codes[2], (dataset,))
