"""Reads a closed file back and compares it with what was counted, before it gets its final name.

After "no space left" HDF5 may close a file without complaint whose extents count images that are not there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import h5py

from jfwriter.errors import StorageError
from jfwriter.hdf5 import hdf5_file
from jfwriter.hdf5.dataset_calls import numbers_of_rows
from jfwriter.hdf5.faults import storage_faults

REASON = "read_back"


@dataclass(frozen=True, slots=True)
class Counted:
    """What a file must hold: so many rows in each dataset, so many chunks at least in those of images."""

    n_rows: int
    datasets: Sequence[str]
    images: Sequence[str]
    least_chunks: int


def check_extents(path: str, name: str, counted: Counted) -> None:
    """The closed file at `path`, to be called `name`, holds what was counted.

    Raises StorageError: reason "read_back" where they have not, else why the file cannot be read.
    """
    found: dict[str, int] = {}
    chunks: dict[str, int] = {}
    with storage_faults(f"cannot read {name} back"), opened(path) as file:
        paths = (*counted.datasets, *counted.images)
        for dataset, n_found in zip(paths, numbers_of_rows(file, paths), strict=True):
            # h5py finds the words for what cannot be read.
            found[dataset] = n_found if n_found >= 0 else n_rows_of(file, dataset)
        for dataset in counted.images:
            chunks[dataset] = h5py.h5d.open(file.id, dataset.encode()).get_num_chunks()
    for dataset, n_found in found.items():
        if n_found != counted.n_rows:
            text = f"{name}: {dataset} reads back with {n_found} rows, not {counted.n_rows}"
            raise StorageError(REASON, text)
    for dataset, n_found in chunks.items():
        if n_found < counted.least_chunks:
            text = f"{name}: {dataset} reads back with {n_found} images, not {counted.least_chunks}"
            raise StorageError(REASON, text)


def check_master(path: str, name: str, n_images: int, *, has_images: bool) -> None:
    """`nimages` is `n_images`, and so is the length of `/entry/data/data` if the layout has it.

    Raises StorageError as `check_extents`.
    """
    n_rows = None
    with storage_faults(f"cannot read {name} back"), opened(path) as file:
        n_found = int(file["/entry/instrument/detector/detectorSpecific/nimages"][()])
        if has_images:
            n_rows = n_rows_of(file, "/entry/data/data")
    if n_found != n_images:
        raise StorageError(REASON, f"{name}: nimages reads back as {n_found}, not {n_images}")
    if n_rows is not None and n_rows != n_images:
        raise StorageError(REASON, f"{name}: /entry/data/data reads back with {n_rows} rows, not {n_images}")


@contextlib.contextmanager
def opened(path: str) -> Iterator[h5py.File]:
    """A regular file, and no link to one: others may write to the directory, and a pipe would never open."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file any more")
        # By name: HDF5 asks for the real path of what is a link, and /proc's are links.
        with hdf5_file.open_to_read(path) as file:
            if not os.path.samestat(os.fstat(file.id.get_vfd_handle()), status):
                raise OSError(errno.EINVAL, "it was exchanged")
            yield file
    finally:
        os.close(descriptor)


def n_rows_of(file: h5py.File, path: str) -> int:
    return int(h5py.h5d.open(file.id, path.encode()).shape[0])
