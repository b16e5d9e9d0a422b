"""From a temporary name to the final one: synced first, never over another file, then the directory synced.

No fsync is tried twice: after a failed one the kernel may have dropped the pages, and a second that
succeeds proves nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat

from jfwriter.errors import StorageError
from jfwriter.hdf5.faults import storage_error, storage_faults
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.hdf5.system_calls import rename_without_replacing as _renameat2

_NOT_SUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM})


class PendingFile:
    """A file of the run that stands under `temporary_name` until `publish`. Writer thread only."""

    def __init__(self, directory: RunDirectory, name: str) -> None:
        """Choose a temporary name for the final `name`; creates nothing. Raises StorageError, reason
        "root_gone", if the root is not what it was at the start of the run."""
        directory.check_root()
        self.name = name
        self.temporary_name = f"{name}.{secrets.token_hex(8)}.tmp"
        self._directory = directory

    @property
    def directory(self) -> RunDirectory:
        return self._directory

    def size_bytes(self) -> int:
        """Size of the closed file. Raises StorageError."""
        with storage_faults(f"cannot look at {self.name}"):
            status = os.stat(self.temporary_name, dir_fd=self._directory.descriptor, follow_symlinks=False)
            return status.st_size

    @property
    def path(self) -> str:
        """Where to create the file, exclusively (h5py mode "x")."""
        return self._directory.path(self.temporary_name)

    def publish(self, *, overwrite: bool, sync: bool) -> int:
        """Give the closed file its final name; returns its size in bytes.

        Raises StorageError: reason "exists" if the name is taken (by a file, a directory or a link),
        "root_gone" if nobody would find it there, else the system's reason. The file then stays under its
        temporary name, which the error tells; only if the directory cannot be synced it stands under the
        final one.
        """
        self._directory.check_root()
        here = self._directory.descriptor
        renamed = False
        try:
            size_bytes = self._settle(sync=sync)
            if overwrite:
                os.replace(self.temporary_name, self.name, src_dir_fd=here, dst_dir_fd=here)
            else:
                rename_without_replacing(here, self.temporary_name, self.name)
            renamed = True
            if sync:
                self._directory.sync()
        except OSError as error:
            failure = self._failure(error, renamed=renamed)
        else:
            return size_bytes
        raise failure

    def discard(self) -> None:
        """Remove the temporary file if there is one."""
        with contextlib.suppress(OSError):
            os.unlink(self.temporary_name, dir_fd=self._directory.descriptor)

    def _settle(self, *, sync: bool) -> int:
        """Bring the file's bytes to disk; returns how many."""
        descriptor = os.open(
            self.temporary_name,
            os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
            dir_fd=self._directory.descriptor,
        )
        try:
            self._directory.ownership.of_file(descriptor)
            if sync:
                os.fsync(descriptor)
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def _failure(self, error: OSError, *, renamed: bool) -> StorageError:
        kept = f"its content stays in {self._directory.relative(self.temporary_name)}"
        final = self._directory.relative(self.name)
        if renamed:
            return storage_error(error, f"{final} stands under its name but may not outlive a crash")
        if error.errno in {errno.EEXIST, errno.EISDIR, errno.ENOTEMPTY}:
            return StorageError("exists", f"{final} has appeared since the run was started; {kept}")
        return storage_error(error, f"{final} cannot be published ({kept})")


def rename_without_replacing(descriptor: int, old: str, new: str) -> None:
    """Rename inside the open directory, in one step that fails with FileExistsError if `new` is taken.

    renameat2(RENAME_NOREPLACE), or link and unlink on file systems without it (NFS). Raises OSError.
    """
    number = _renameat2(descriptor, old, new)
    if number in _NOT_SUPPORTED:
        _link_and_unlink(descriptor, old, new)
    elif number:
        raise OSError(number, os.strerror(number))


def _link_and_unlink(descriptor: int, old: str, new: str) -> None:
    try:
        os.link(old, new, src_dir_fd=descriptor, dst_dir_fd=descriptor, follow_symlinks=False)
    except FileExistsError:
        # NFS repeats a request whose answer was lost, and then finds its own link.
        if not _same_file(descriptor, old, new):
            raise
    # The file stands under its final name; a second name that cannot be removed does no harm.
    with contextlib.suppress(OSError):
        os.unlink(old, dir_fd=descriptor)


def _same_file(descriptor: int, old: str, new: str) -> bool:
    def lstat(name: str) -> os.stat_result:
        return os.stat(name, dir_fd=descriptor, follow_symlinks=False)

    one, other = lstat(old), lstat(new)
    return stat.S_ISREG(one.st_mode) and (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
