"""Opens journals: never through a link, and only where no living writer holds them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class InUse(Exception):
    """A living writer, or another recovery, holds the journal."""


class CannotLock(Exception):
    """The file system knows no locks: nobody can tell whether a writer holds the journal."""


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A regular file that is open for reading."""

    file: BinaryIO
    size_bytes: int


@contextlib.contextmanager
def opened(directory: int, name: str, *, lock: bool = False, force: bool = False) -> Iterator[OpenedFile]:
    """The regular file `name` of the open `directory`.

    `lock`: held while it is open; `force`: also where the file system knows no locks. Raises OSError (also
    for what is no regular file), InUse, CannotLock.
    """
    descriptor = _open(directory, name, writable=lock)
    with open(descriptor, "rb") as file:  # noqa: PTH123 a descriptor
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "is no regular file")
        if lock:
            _lock(descriptor, force=force)
        yield OpenedFile(file, status.st_size)


def is_held(directory: int, name: str) -> bool:
    """Whether a living writer holds the journal `name`."""
    try:
        with opened(directory, name, lock=True):
            return False
    except (InUse, CannotLock):
        return True
    except OSError:
        return False


def size_of(directory: int, name: str) -> int | None:
    """Size of the regular file `name`; -1 for anything else that stands there, None for nothing."""
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else -1


def _open(directory: int, name: str, *, writable: bool) -> int:
    if writable:
        with contextlib.suppress(PermissionError, OSError):  # NFS locks only what is open for writing
            return os.open(name, os.O_RDWR | _FLAGS, dir_fd=directory)
    return os.open(name, os.O_RDONLY | _FLAGS, dir_fd=directory)


def _lock(descriptor: int, *, force: bool) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InUse from None
    except OSError as error:
        if not force:
            raise CannotLock(error.strerror) from None
