"""What a file from anywhere may have its reader do. Everything that reads a run asks here first.

HDF5 follows what a file says: a link or a virtual data set into any other file, values that lie in a file of
another kind (external storage: `/etc/passwd` as pixels), virtual data sets that lead to each other until the
stack is used up, sizes that no memory holds.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import h5py

from jfwriter.reader.nodes import find

MAX_ELEMENT_BYTES = 1 << 20
"""One value: a text of fixed length can be declared with gigabytes."""
MAX_CHUNK_BYTES = 1 << 30
"""What is unpacked at once."""
MAX_IMAGE_BYTES = 2 << 30
MAX_SOURCES = 100_000
"""Files that one virtual data set is made of."""
MAX_VALUES_BYTES = 1 << 30
"""What is read in one go besides images."""
SAFE_FILTERS = frozenset({h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32})
"""HDF5's own. A bitshuffle chunk of 12 bytes ends the process that has it unpacked."""


class Unsafe(ValueError):
    """Something that is not opened or read; the text says why."""


def open_file(path: Path) -> h5py.File:
    """Open a regular file to be read. Raises Unsafe (a pipe or device keeps whoever opens it), OSError."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise Unsafe(f"{path.name}: is no regular file")
    return h5py.File(path, "r", locking="best-effort")


def beside(path: Path, name: str, *, follow: bool = False) -> Path:
    """The file `name` that the file at `path` refers to, if it is in the same directory.

    A link in that directory is followed if it stays there. `follow`: wherever it is. Raises Unsafe, OSError.
    """
    found = path.parent / name
    if not follow:
        inside = bool(name) and name == Path(name).name and name not in {".", ".."}
        if not inside or os.path.realpath(found.parent) != os.path.realpath(found.resolve().parent):
            raise Unsafe(f"data file {name!r} lies outside the directory of the master: not opened")
    return found


def open_beside(path: Path, name: str, *, follow: bool = False) -> h5py.File:
    """`open_file` of `beside`. Raises Unsafe, OSError."""
    return open_file(beside(path, name, follow=follow))


def check(dataset: h5py.Dataset, row: int | None = None, *, follow: bool = False) -> None:
    """Raises Unsafe, or what h5py raises, unless `dataset` can be read: all of it, or its row alone."""
    if dataset.external:
        raise Unsafe(f"{dataset.name}: its values lie in files of another kind: not read")
    if dataset.dtype.itemsize > MAX_ELEMENT_BYTES:
        raise Unsafe(f"{dataset.name}: values of {dataset.dtype.itemsize} bytes are not read")
    if dataset.chunks is not None and _n_bytes(dataset, dataset.chunks) > MAX_CHUNK_BYTES:
        raise Unsafe(f"{dataset.name}: chunks {dataset.chunks} of {dataset.dtype} are not unpacked")
    if row is not None and _n_bytes(dataset, dataset.shape[1:]) > MAX_IMAGE_BYTES:
        raise Unsafe(f"{dataset.name}: images {dataset.shape[1:]} of {dataset.dtype} are not read")
    if dataset.is_virtual:
        _check_sources(dataset, row, follow=follow)


def check_values(dataset: h5py.Dataset) -> None:
    """Raises Unsafe, or what h5py raises, unless all of `dataset`, which holds no images, can be read in one
    go: its values stand in this file, plainly or packed by a filter that does no harm."""
    if dataset.is_virtual:
        raise Unsafe(f"{dataset.name}: a virtual data set: not read")
    check(dataset)
    creation = dataset.id.get_create_plist()
    filters = {creation.get_filter(number)[0] for number in range(creation.get_nfilters())}
    if not filters <= SAFE_FILTERS:
        raise Unsafe(f"{dataset.name}: packed by filters {sorted(filters)}: not unpacked")
    if _n_bytes(dataset, dataset.shape) > MAX_VALUES_BYTES:
        raise Unsafe(f"{dataset.name}: {dataset.shape} values of {dataset.dtype} are not read")


def _n_bytes(dataset: h5py.Dataset, shape: tuple[int, ...]) -> int:
    n_bytes = int(dataset.dtype.itemsize)
    for length in shape:
        n_bytes *= int(length)
    return n_bytes


def _check_sources(dataset: h5py.Dataset, row: int | None, *, follow: bool) -> None:
    sources = dataset.virtual_sources()
    if len(sources) > MAX_SOURCES:
        raise Unsafe(f"{dataset.name}: made of {len(sources)} files: not read")
    seen: set[tuple[str, str]] = set()
    for source in sources:
        if row is not None and not _holds(source.vspace, row):
            continue
        wanted = source.file_name, source.dset_name
        if wanted not in seen:
            seen.add(wanted)
            _check_source(dataset, *wanted, follow=follow)


def _holds(vspace: h5py.h5s.SpaceID, row: int) -> bool:
    first, last = vspace.get_select_bounds()
    return bool(int(first[0]) <= row <= int(last[0]))


def _check_source(dataset: h5py.Dataset, file_name: str, name: str, *, follow: bool) -> None:
    if file_name == ".":
        _check_plain(dataset.file, name)
        return
    path = beside(Path(dataset.file.filename), file_name.replace("%%", "%"), follow=follow)
    if path.exists():  # else HDF5 gives fill values
        with open_file(path) as file:
            _check_plain(file, name)


def _check_plain(file: h5py.File, name: str) -> None:
    """A virtual data set of virtual ones may lead back to itself."""
    source = find(file, name)
    if source is None:
        return
    if not isinstance(source, h5py.Dataset) or source.is_virtual:
        raise Unsafe(f"{file.filename}: {name} is no plain data set: not read")
    check(source)
