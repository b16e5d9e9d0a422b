"""Reads a closed file back and compares it with what was counted, before it gets its final name.

After "no space left" HDF5 may close a file without complaint whose extents count images that are not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import h5py

from jfwriter.errors import StorageError
from jfwriter.hdf5.faults import storage_faults

REASON = "read_back"
MAX_OPENED = 16
"""Data files that are opened through a master that is checked."""


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
    with storage_faults(f"cannot read {name} back"), h5py.File(path, "r", locking="best-effort") as file:
        for dataset in (*counted.datasets, *counted.images):
            found[dataset] = _n_rows(file, dataset)
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
    with storage_faults(f"cannot read {name} back"), h5py.File(path, "r", locking="best-effort") as file:
        n_found = int(file["/entry/instrument/detector/detectorSpecific/nimages"][()])
        if has_images:
            n_rows = _n_rows(file, "/entry/data/data")
    if n_found != n_images:
        raise StorageError(REASON, f"{name}: nimages reads back as {n_found}, not {n_images}")
    if n_rows is not None and n_rows != n_images:
        raise StorageError(REASON, f"{name}: /entry/data/data reads back with {n_rows} rows, not {n_images}")


def check_links(path: str, name: str, files: Mapping[str, int], n_files: int) -> None:
    """The master at `path`, to be called `name`, finds its images in the published data files.

    `files`: base name -> rows of those of this writer; `n_files` that the run has in all. Every link or
    virtual source must name a file of the run; some of them (`_some`) are opened as a reader of the master
    would open them. Raises StorageError as `check_extents`.
    """
    named: list[str] = []
    found: dict[str, int] = {}
    with storage_faults(f"cannot read {name} back"), h5py.File(path, "r", locking="best-effort") as file:
        data = file["/entry/data"]
        if "data" in data:
            named = [source.file_name.replace("%%", "%") for source in data["data"].virtual_sources()]
        else:
            named = [data.get(link, getlink=True).filename for link in data]
        for number, data_file in _some(named):
            if data_file in files and "data" not in data:
                found[data_file] = int(data[f"data_{number + 1:06d}"].shape[0])
            elif data_file in files:
                beside = f"{path.rpartition('/')[0]}/{data_file}"
                with h5py.File(beside, "r", locking="best-effort") as source:
                    found[data_file] = _n_rows(source, "/entry/data/data")
    if len(set(named)) != n_files or not set(files) <= set(named):
        lacking = ", ".join(sorted(set(files) - set(named))[:3])
        text = f"{name}: refers to {len(set(named))} data files of {n_files}" + f", not to {lacking}" * bool(
            lacking
        )
        raise StorageError(REASON, text)
    for data_file, n_rows in found.items():
        if n_rows != files[data_file]:
            text = f"{name}: finds {n_rows} images in {data_file}, which has {files[data_file]}"
            raise StorageError(REASON, text)


def _some(names: Sequence[str]) -> list[tuple[int, str]]:
    """The first, the last and some between: opening thousands of files once more would take seconds."""
    step = max(1, len(names) // MAX_OPENED)
    chosen = sorted({*range(0, len(names), step), len(names) - 1}) if names else []
    return [(number, names[number]) for number in chosen]


def _n_rows(file: h5py.File, path: str) -> int:
    return int(h5py.h5d.open(file.id, path.encode()).shape[0])
