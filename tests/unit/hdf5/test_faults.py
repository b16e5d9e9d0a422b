"""Errors of HDF5 and the system become plain StorageErrors with a fixed reason."""

from __future__ import annotations

import errno
import gc
import weakref

import pytest

from jfwriter.errors import StorageError
from jfwriter.hdf5.faults import storage_faults


class Handle:
    """Stands for an HDF5 object in the frame that fails."""


@pytest.mark.parametrize(
    ("error", "reason", "text"),
    [
        (OSError(errno.ENOSPC, "Can't write (file write failed)"), "no_space", "No space left on device"),
        (OSError(errno.EDQUOT, "x"), "no_space", "Disk quota exceeded"),
        (OSError(errno.EIO, "x"), "io_error", "Input/output error"),
        (OSError(errno.EFBIG, "x"), "file_too_large", "File too large"),
        (PermissionError(errno.EPERM, "x"), "no_permission", "Operation not permitted"),
        (FileNotFoundError(errno.ENOENT, "x"), "not_found", "No such file or directory"),
        (OSError(errno.EMFILE, "x"), "too_many_open_files", "Too many open files"),
        (OSError(errno.ENFILE, "x"), "too_many_open_files", "Too many open files in system"),
        (OSError("no number", "but two values"), "io_error", "[Errno no number] but two values"),
        (OSError("no number"), "io_error", "no number"),
        (
            RuntimeError("Can't flush (errno = 30, error message = '...')"),
            "read_only",
            "Read-only file system",
        ),
        (PermissionError(errno.EACCES, "x"), "no_permission", "Permission denied"),
        (FileExistsError(errno.EEXIST, "x"), "exists", "File exists"),
        (ValueError("Not a dataset\nHDF5-DIAG: ..."), "io_error", "Not a dataset"),
        (KeyError("name"), "io_error", "'name'"),
        (ValueError(), "io_error", "ValueError"),
    ],
)
def test_reason_and_text(error: Exception, reason: str, text: str) -> None:
    with pytest.raises(StorageError) as caught, storage_faults("cannot write x.h5"):
        raise error
    assert (caught.value.reason, str(caught.value)) == (reason, f"cannot write x.h5: {text}")


def test_holds_on_to_nothing_of_the_error() -> None:
    handles = []

    def failing_call() -> None:
        handle = Handle()
        handles.append(weakref.ref(handle))
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(StorageError) as caught, storage_faults("cannot write"):
        failing_call()
    gc.collect()
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert handles[0]() is None


def test_other_errors_pass() -> None:
    with pytest.raises(TypeError, match="a bug"), storage_faults("cannot write"):
        raise TypeError("a bug")
    with pytest.raises(StorageError, match="mine"), storage_faults("cannot write"):
        raise StorageError("no_space", "mine")
