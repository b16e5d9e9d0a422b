"""Creating and opening HDF5 files without keeping the interpreter meanwhile.

h5py lets other threads run while HDF5 reads, writes and closes, but not while it creates or opens a file
(measured with 3.16). On storage that does not answer, the whole process would stand still in that one call,
with its event loop. So HDF5's functions are called directly, as ctypes lets go of the interpreter.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from typing import Any

import h5py
from h5py._objects import phil


def create(path: str, creation: h5py.h5p.PropFCID, access: h5py.h5p.PropFAID) -> h5py.File:
    """A new file at `path`. Raises OSError, FileExistsError if anything stands there."""
    with phil:
        found = _call("H5Fcreate", path, h5py.h5f.ACC_EXCL, creation.id, access.id)
        if found is None:
            code = ctypes.get_errno() or errno.EIO
            raise OSError(code, os.strerror(code), path)
        return h5py.File(found)


def open_to_read(path: str) -> h5py.File:
    """Raises OSError."""
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    access.set_file_locking(True, True)
    with phil:
        found = _call("H5Fopen", path, h5py.h5f.ACC_RDONLY, access.id)
        # The storage has just answered: h5py finds the words for what is wrong.
        return h5py.File(found or h5py.h5f.open(os.fsencode(path), h5py.h5f.ACC_RDONLY, access))


def _call(name: str, path: str, flags: int, *properties: int) -> h5py.h5f.FileID | None:
    """None if it failed. Call it with h5py's own lock, so that no other thread is in HDF5."""
    function = getattr(library(), name)
    function.argtypes = (ctypes.c_char_p, ctypes.c_uint, *(ctypes.c_int64 for _ in properties))
    function.restype = ctypes.c_int64
    ctypes.set_errno(0)
    number = function(os.fsencode(path), flags, *properties)
    return None if number < 0 else h5py.h5f.FileID(number)


@functools.cache
def library() -> Any:
    """HDF5 as h5py has loaded it: a library's symbols are looked up in those that it needs, too."""
    return ctypes.CDLL(h5py.h5f.__file__, use_errno=True)
