"""Turns what h5py and the operating system raise into the project's StorageError, as plain data.

An h5py exception holds HDF5 objects in its traceback; carried to another thread it would touch the library
there. So nothing of it survives but its text and its error number.
"""

from __future__ import annotations

import errno
import os
import re
from types import TracebackType

from jfwriter.errors import StorageError

STORAGE_FAULTS = (OSError, RuntimeError, ValueError, KeyError)
"""What h5py raises when a call into HDF5 fails: the class depends on HDF5's minor error number, so that a
full disk can come as any of these."""

_REASONS = {
    errno.ENOSPC: "no_space",
    errno.EDQUOT: "no_space",
    errno.EFBIG: "file_too_large",
    errno.EROFS: "read_only",
    errno.EACCES: "no_permission",
    errno.EPERM: "no_permission",
    errno.ENOENT: "not_found",
    errno.EEXIST: "exists",
    errno.EMFILE: "too_many_open_files",
    errno.ENFILE: "too_many_open_files",
}

_ERRNO = re.compile(r"errno = (\d+)")


class storage_faults:  # noqa: N801 used like a function, in `with`
    """Raise StorageError saying `what` failed and why; only for calls into HDF5 and the file system.

    Its `reason` is one of the words no_space, file_too_large, read_only, no_permission, not_found, exists,
    too_many_open_files, and io_error for everything else.
    """

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None or not isinstance(error, STORAGE_FAULTS):
            return
        failure = storage_error(error, self._what)
        # This frame becomes part of the new error's traceback.
        del error, traceback
        try:
            raise failure
        finally:
            # Python has just put the h5py exception there, and with it its traceback.
            failure.__context__ = None


def storage_error(error: BaseException, what: str) -> StorageError:
    """`error` as a StorageError that holds no reference to it. Raise it outside the `except` block."""
    number = error_number(error)
    detail = os.strerror(number) if number else describe(error)
    return StorageError(_REASONS.get(number, "io_error"), f"{what}: {detail}")


def error_number(error: BaseException) -> int:
    """The system's errno, 0 if there is none. Where HDF5 reports it only in its text, it is read there."""
    number = getattr(error, "errno", None)
    if isinstance(number, int):
        return number
    found = _ERRNO.search(str(error))
    return int(found[1]) if found else 0


def describe(error: BaseException) -> str:
    """The first line of an error's text, without the object."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
