"""Turns what h5py and the operating system raise into the project's StorageError, as plain data.

An h5py exception holds HDF5 objects in its traceback; carried to another thread it would touch the library
there. So nothing of it survives but its text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jfwriter.errors import StorageError

STORAGE_FAULTS = (OSError, RuntimeError, ValueError, KeyError)
"""What h5py raises when a call into HDF5 fails: the class depends on HDF5's minor error number, so that a
full disk can come as any of these."""


@contextmanager
def storage_faults(what: str) -> Iterator[None]:
    """Raise StorageError (reason "storage") saying `what` failed and why; only for calls into HDF5."""
    try:
        yield
    except STORAGE_FAULTS as error:
        text = f"{what}: {describe(error)}"
    else:
        return
    raise StorageError("storage", text)


def describe(error: BaseException) -> str:
    """The first line of an error's text, without the object."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
