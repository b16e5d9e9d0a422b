"""New HDF5 files, of which a full disk costs the file and not the process.

Letting go of a dataset writes what HDF5 holds back of its raw data, in the chunk cache or in the sieve
buffer. Where there is no room for that, HDF5 2.0 frees the dataset all the same, keeps what it could not
write, and crashes when the file is flushed or closed. So nothing is held back: each write goes to the system
at once and fails itself. Nearly all datasets are written in one piece, for which a cache is of no use.
"""

from __future__ import annotations

from typing import Final

import h5py

from jfwriter.hdf5 import hdf5_file
from jfwriter.hdf5.file_driver import Driver
from jfwriter.hdf5.file_versions import Libver

_BOUNDS: Final = {
    "earliest": h5py.h5f.LIBVER_EARLIEST,
    "v108": h5py.h5f.LIBVER_V18,
    "v110": h5py.h5f.LIBVER_V110,
}


def new_file(path: str, libver: Libver, driver: Driver | None = None) -> h5py.File:
    """Create `path`, never a file that is there already. Raises OSError. `driver`: None is HDF5's own.

    Locks, where the file system has them, keep other HDF5 programs from writing into it. Nothing in the file
    carries the time of its making.
    """
    low, high = libver
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(_BOUNDS[low], _BOUNDS[high])
    access.set_file_locking(True, True)
    access.set_sieve_buf_size(0)
    n_elements, n_slots, _, preemption = access.get_cache()
    access.set_cache(n_elements, n_slots, 0, preemption)
    if driver is not None:
        driver.use(access)
    creation = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    creation.set_obj_track_times(False)
    return hdf5_file.create(path, creation, access)
