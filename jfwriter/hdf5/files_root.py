"""A root directory, and whether it is still the one that it was: no run goes into an empty mount point."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import NamedTuple

_log = logging.getLogger(__name__)

_OTHER = "is another directory than when the writer was started; is the file system still mounted?"


class Identity(NamedTuple):
    """What tells one directory from another that is mounted in its place."""

    file_system: int
    """`f_fsid`, which outlives that the same file system is mounted again; the device where there is none."""
    inode: int

    @classmethod
    def of(cls, place: str | Path | int) -> Identity:
        """Of a path or an open directory. Raises OSError."""
        status = os.stat(place)  # noqa: PTH116 perhaps a descriptor
        return cls(os.statvfs(place).f_fsid or status.st_dev, status.st_ino)


class FilesRoot:
    """One root directory. `guard` names a file that must stand in it; empty: none.

    With a guard file the file decides, so that a network file system may be mounted again, which gives it
    another identity. Without one the directory must be the one that it was when this object was made.
    """

    def __init__(self, path: str | Path, guard: str = "") -> None:
        """Raises OSError if the directory is not there."""
        self.path = Path(path).absolute()
        self._guard = guard
        self._identity = Identity.of(self.path)

    def problem(self) -> str:
        """Why nothing may be written below it; empty if it is the right one. Raises nothing."""
        try:
            descriptor = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            return error.strerror or str(error)
        try:
            return self.problem_of(descriptor)
        finally:
            os.close(descriptor)

    def problem_of(self, descriptor: int) -> str:
        """The same of the directory that was opened as the root."""
        try:
            now = Identity.of(descriptor)
            if self._guard:
                os.stat(self._guard, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return (
                f"the guard file {self._guard!r} (files.root_guard) is not in it: is the file system mounted?"
            )
        except OSError as error:
            return error.strerror or str(error)
        if now == self._identity:
            return ""
        if not self._guard:
            return _OTHER
        _log.warning("%s was mounted anew", self.path)
        self._identity = now
        return ""
