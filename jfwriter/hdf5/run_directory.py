"""The directory of one run: found or made below the root, held open, and never left.

A prefix names directories by text, but text can be made to mean something else by a symbolic link, also
between a check and its use. So every step is taken from the open directory before it, no step follows a
link, and files are later made through the open directory (`path`), not by name from the root.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from jfwriter.errors import RunRefused, StorageError
from jfwriter.hdf5.faults import storage_error
from jfwriter.hdf5.files_root import FilesRoot, Identity
from jfwriter.hdf5.link_walk import Walk, open_step
from jfwriter.hdf5.ownership import AS_THE_SYSTEM_DOES, Ownership
from jfwriter.hdf5.whereabouts import Whereabouts
from jfwriter.session.paths import LONGEST_TAIL, MAX_PATH_BYTES
from jfwriter.session.plan import RunPlan

ROOT_GONE = "root_gone"


class RunDirectory:
    """An open directory; `close` it, or use it in `with`. Writer thread only."""

    def __init__(
        self,
        descriptor: int,
        parts: tuple[str, ...],
        whereabouts: Whereabouts,
        root: FilesRoot | None = None,
        ownership: Ownership = AS_THE_SYSTEM_DOES,
    ) -> None:
        """`root` None: it is not looked at again."""
        self.ownership = ownership
        self.is_second = False
        """Whether it lies below the second root directory."""
        self._whereabouts = whereabouts
        self._descriptor = descriptor
        self._parts = parts
        self._root = root
        self._identity = None if root is None else Identity.of(root.path)

    @classmethod
    def open(
        cls, root: str | Path | FilesRoot, plan: RunPlan, ownership: Ownership = AS_THE_SYSTEM_DOES
    ) -> RunDirectory:
        """Find or make the directory of `plan` below `root` and see that its files can stand there.

        Raises RunRefused before anything is created: reason "path" (a part is no directory, a link leads
        out of the root or nowhere, a name is too long for the file system), "exists" (a file of the run
        stands there, `overwrite` not given), "no_permission", "not_found" (the root), "root_gone" (another
        directory stands in its place), "read_only", "io_error". Raises StorageError where making a directory
        failed.
        """
        known = root if isinstance(root, FilesRoot) else None
        path = root.path if isinstance(root, FilesRoot) else Path(root)
        with contextlib.closing(Walk(path)) as walk:
            if known is not None and (problem := known.problem_of(walk.descriptor)):
                raise RunRefused(ROOT_GONE, f"the root directory {problem}")
            try:
                walk.descend(plan.directory)
            except OSError as error:
                raise _refused(error, _shown(plan.directory)) from None
            _check_names(walk.descriptor, path, plan, walk.missing)
            _check_access(walk.descriptor, plan)
            descriptor = _make(walk, plan, ownership)
            whereabouts = Whereabouts(path, plan.directory, walk)
        try:
            directory = cls(descriptor, plan.directory, whereabouts, known, ownership)
        except OSError as error:
            os.close(descriptor)
            raise _refused(error, "(root)") from None
        try:
            directory._refuse_conflicts(plan)
        except BaseException:
            directory.close()
            raise
        return directory

    @classmethod
    def refuse_conflicts(cls, root: FilesRoot, plan: RunPlan) -> None:
        """Raises RunRefused if a file of the run stands below `root`; makes nothing. Other troubles of that
        root are none of the run's as long as it is not needed."""
        try:
            with contextlib.closing(Walk(root.path)) as walk:
                walk.descend(plan.directory)
                if walk.missing:
                    return
                whereabouts = Whereabouts(root.path, plan.directory, walk)
                directory = cls(_readable(walk), plan.directory, whereabouts, root)
            directory.is_second = True
            with directory:
                directory._refuse_conflicts(plan)
        except OSError:
            return
        except RunRefused as refusal:
            if refusal.reason == "exists":
                raise

    @classmethod
    def reopen(cls, root: FilesRoot, plan: RunPlan, ownership: Ownership) -> RunDirectory:
        """The directory of a run that was opened before, for what is added to it later; nothing is made.

        Raises RunRefused as `open`, StorageError where it is not there any more.
        """
        failure = None
        with contextlib.closing(Walk(root.path)) as walk:
            if problem := root.problem_of(walk.descriptor):
                raise RunRefused(ROOT_GONE, f"the root directory {problem}")
            try:
                walk.descend(plan.directory)
                if not walk.missing:
                    whereabouts = Whereabouts(root.path, plan.directory, walk)
                    return cls(_readable(walk), plan.directory, whereabouts, root, ownership)
                failure = StorageError("not_found", f"directory {_shown(plan.directory)} is gone")
            except OSError as error:
                failure = storage_error(error, f"directory {_shown(plan.directory)} cannot be opened")
        raise failure

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the directory; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def descriptor(self) -> int:
        """For the `dir_fd` of calls of `os`."""
        return self._descriptor

    @property
    def root_path(self) -> Path | None:
        """Path of its root directory; None if that is not known."""
        return None if self._root is None else self._root.path

    def path(self, name: str) -> str:
        """A path that leads to `name` in this very directory, for libraries that take paths only."""
        return f"/proc/self/fd/{self._descriptor}/{name}"

    def relative(self, name: str) -> str:
        """`name` as a person finds it: relative to the root, with forward slashes; in the second root
        directory, absolute."""
        return "/".join((*self._parts, name)) if not self.is_second else f"{self.absolute}{name}"

    @property
    def absolute(self) -> str:
        """The directory's path with a slash at its end; empty if its root is not known."""
        return "" if self._root is None else "/".join((str(self._root.path).rstrip("/"), *self._parts, ""))

    def exists(self, name: str) -> bool:
        """Whether anything stands at `name`, be it a link to nowhere."""
        return _mode(self._descriptor, name) is not None

    def size_of(self, name: str) -> int | None:
        """Size in bytes of the regular file `name`, None if there is none (a link is none)."""
        try:
            status = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def has_moved(self) -> bool:
        """Whether the way to this directory, as people know it, leads elsewhere by now, or nowhere."""
        return self._whereabouts.has_moved(self._descriptor)

    def check_root(self) -> None:
        """Raises StorageError (reason "root_gone") if the root is not the one that the run was begun in:
        what is made in the open directory would then stand where nobody finds it. Reason "path" if somebody
        has moved the directory out of the root."""
        self._whereabouts.check_inside(self._descriptor)
        if self._root is None:
            return
        problem = self._root.problem()
        if not problem and Identity.of(self._root.path) != self._identity:
            problem = "was mounted anew since the run was started"
        if problem:
            raise StorageError(ROOT_GONE, f"the root directory went away in mid-run: it {problem}")

    def sync(self) -> None:
        """Bring the directory's entries to disk; raises OSError. Some file systems need and know no such."""
        sync_directory(self._descriptor)

    def _refuse_conflicts(self, plan: RunPlan) -> None:
        """Final names of this run that stand there already. Other writers' data files are theirs to
        check; with an unknown number of writers only the first file of this one is known to be its own."""
        names = self._conflicting_names(plan)
        if plan.overwrite:
            names = (name for name in names if stat.S_ISDIR(_mode(self._descriptor, name) or 0))
        first = min(names, default=None)
        if first is not None:
            advice = "it is a directory" if plan.overwrite else "choose another file_prefix or send overwrite"
            raise RunRefused("exists", f"{self.relative(first)} exists already; {advice}")

    def _conflicting_names(self, plan: RunPlan) -> Iterator[str]:
        if not plan.writes_files:
            return
        if plan.write_master and self.exists(plan.master_name):
            yield plan.master_name
        if plan.manifest and self.exists(plan.manifest_name):
            yield plan.manifest_name
        if not plan.format.has_data_files:
            return
        n_files = None if plan.n_images_planned is None else plan.n_files(plan.n_images_planned)
        try:
            with os.scandir(self._descriptor) as entries:
                present = [entry.name for entry in entries]
        except OSError as error:
            raise _refused(error, _shown(plan.directory)) from None
        for name in present:
            index = data_file_index(plan, name)
            if index is not None and plan.is_own_file(index) and (n_files is None or index < n_files):
                yield name


def sync_directory(descriptor: int) -> None:
    """fsync of an open directory; raises OSError, except where the file system cannot sync directories."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise


def _make(walk: Walk, plan: RunPlan, ownership: Ownership) -> int:
    """Make what is missing; returns a readable descriptor of the last directory."""
    try:
        for part in walk.missing:
            _make_step(walk, part, ownership, sync=plan.sync)
        return _readable(walk)
    except OSError as error:
        failure = storage_error(error, f"directory {_shown(plan.directory)} cannot be made or opened")
    raise failure


def _readable(walk: Walk) -> int:
    return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=walk.descriptor)


def _make_step(walk: Walk, part: str, ownership: Ownership, *, sync: bool) -> None:
    parent = walk.descriptor
    is_new = False
    with contextlib.suppress(FileExistsError):  # another writer of the same run was faster
        os.mkdir(part, dir_fd=parent)
        is_new = True
    walk.enter(open_step(parent, part))
    if is_new:
        ownership.of_directory(walk.descriptor)
    if sync:
        with contextlib.suppress(PermissionError):  # may be entered and written, but not opened to be read
            readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
            try:
                sync_directory(readable)
            finally:
                os.close(readable)


def _check_names(descriptor: int, root: str | Path, plan: RunPlan, missing: tuple[str, ...]) -> None:
    limit = os.fstatvfs(descriptor).f_namemax
    longest = max(len(name.encode()) for name in (*missing, plan.basename + LONGEST_TAIL))
    if longest > limit:
        raise RunRefused(
            "path", f"{plan.prefix}: names would have up to {longest} bytes, the file system allows {limit}"
        )
    n_bytes = len(os.fsencode(os.path.realpath(root))) + 1 + len((plan.prefix + LONGEST_TAIL).encode())
    if n_bytes > MAX_PATH_BYTES:
        raise RunRefused("path", f"{plan.prefix}: the whole path would be longer than {MAX_PATH_BYTES} bytes")


def _check_access(descriptor: int, plan: RunPlan) -> None:
    """Nothing could be created: said now, not when the first image is there."""
    if os.access(".", os.W_OK | os.X_OK, dir_fd=descriptor):
        return
    if os.fstatvfs(descriptor).f_flag & os.ST_RDONLY:
        raise RunRefused("read_only", f"directory {_shown(plan.directory)}: the file system is read-only")
    raise RunRefused("no_permission", f"directory {_shown(plan.directory)}: no permission to write there")


def data_file_index(plan: RunPlan, name: str) -> int | None:
    """Index of the data file of the run that is called `name`; None if none is."""
    digits = name.removeprefix(f"{plan.basename}_data_").removesuffix(".h5")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18) or int(digits) == 0:
        return None
    index = int(digits) - 1
    return index if plan.data_file_name(index) == name else None


def _mode(descriptor: int, name: str) -> int | None:
    try:
        return os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None


def _refused(error: OSError, what: str) -> RunRefused:
    failure = storage_error(error, f"directory {what}")
    return RunRefused(failure.reason, str(failure))


def _shown(parts: tuple[str, ...]) -> str:
    return "/".join(parts) or "(root)"
