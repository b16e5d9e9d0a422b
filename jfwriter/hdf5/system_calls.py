"""System calls that Python does not offer, from the C library.

The library is looked up once: each `ctypes.CDLL` makes classes of its own, which the garbage collector has to
find.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from typing import Any

_RENAME_NOREPLACE = 1
_SYNC_FILE_RANGE_WRITE = 2


def rename_without_replacing(descriptor: int, old: str, new: str) -> int:
    """renameat2(RENAME_NOREPLACE) inside an open directory; 0 or the error number (ENOSYS: no such call)."""
    call = _function("renameat2", ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    if call is None:
        return errno.ENOSYS
    failed = call(descriptor, os.fsencode(old), descriptor, os.fsencode(new), _RENAME_NOREPLACE)
    return ctypes.get_errno() if failed else 0


def allocate(descriptor: int, n_bytes: int) -> bool:
    """Whether the file system holds back the room for an open file.

    Not `posix_fallocate`: where the file system cannot (NFS), that one writes each block.
    """
    call = _function("fallocate64", ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return call is not None and call(descriptor, 0, 0, n_bytes) == 0


def begin_writeback(descriptor: int) -> None:
    """Have what was written of an open file go to the disk (sync_file_range), where there is such a call.

    Waits for nothing. The sync of the file tells of errors.
    """
    call = _function("sync_file_range", ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    if call is not None:
        call(descriptor, 0, 0, _SYNC_FILE_RANGE_WRITE)


def system_call(number: int, *arguments: int) -> int:
    """A call that the C library has no function for. Raises OSError."""
    call = _library().syscall
    call.restype = ctypes.c_long
    result: int = call(ctypes.c_long(number), *(ctypes.c_long(argument) for argument in arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


@functools.cache
def _function(name: str, *arguments: Any) -> Any:
    """A function of the C library that returns an int; None where it is older than the call."""
    found = getattr(_library(), name, None)
    if found is not None:
        found.argtypes = arguments
        found.restype = ctypes.c_int
    return found


@functools.cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
