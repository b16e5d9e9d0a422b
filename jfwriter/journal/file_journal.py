"""The journal of one data file: which images lie where in it, and what has reached the disk."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
from collections.abc import Mapping, Sequence

from jfwriter.journal.output import Output
from jfwriter.journal.records import Kind, Parts
from jfwriter.journal.sync_count import SyncCount

SUFFIX = ".journal"
"""Follows the temporary name of the data file."""


class FileJournal:
    """The writer thread enters images and ends it; `sync` belongs to the sync thread.

    It stands there before the data file does, so that no data file stands without it. It opens the data file
    a second time, because HDF5's own descriptor must not be touched beside HDF5. Of this descriptor `fsync`
    reports every error since the file was made.
    """

    def __init__(
        self, directory: int, temporary_name: str, header: Mapping[str, object], count: SyncCount
    ) -> None:
        """For the data file that will stand under `temporary_name` in the open `directory`; `follow` it then.

        Raises OSError.
        """
        self.failure: OSError | None = None
        """Why the data file could not be synced: what was written to it may be lost."""
        self._data = -1
        self._temporary_name = temporary_name
        self._directory = os.dup(directory)
        try:
            self._output = Output(self._directory, temporary_name + SUFFIX)
        except BaseException:
            os.close(self._directory)
            raise
        self._count = count
        self._n_entered = 0
        self._n_synced = 0
        self._n_known = 0
        """Of the images that are entered first, so many were counted as synced where they were before."""
        self._n_counted = 0
        self._n_forgotten = 0
        """Of the images that were entered last, so many are stored anew elsewhere."""
        self._counts = True
        self._counting = threading.Lock()
        """Held for no longer than a sum takes."""
        self._syncing = threading.Lock()
        self._is_over = False
        self._is_named_on_disk = False
        self._output.append(Kind.FILE, json.dumps(header).encode())
        self._output.flush()

    def follow(self) -> None:
        """The data file was made: images can be entered. Raises OSError."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        self._data = os.open(self._temporary_name, flags, dir_fd=self._directory)

    @property
    def problem(self) -> str:
        """Why images are not entered any more; empty while they are."""
        return self._output.problem

    def enter(self, images: Sequence[Parts]) -> None:
        """Images are in the data file; the bodies of their records. Look at `failure` before."""
        self._output.extend(Kind.IMAGE, images)
        self._n_entered += len(images)

    def knows(self, n_images: int) -> None:
        """So many of the images that come were counted as synced in another file: they are not again."""
        with self._counting:
            self._n_known = n_images

    def forget(self) -> None:
        """One more of the images that were entered last is not there: it does not count as synced."""
        with self._counting:
            self._n_forgotten += 1
            n_too_many = self._n_counted - max(self._n_entered - self._n_forgotten - self._n_known, 0)
            if self._counts and n_too_many > 0:
                self._n_counted -= n_too_many
                self._count.add(-n_too_many)

    def flush(self) -> None:
        """Hand what was entered to the system."""
        self._output.flush()

    def check(self) -> None:
        """Raises OSError if a sync of the data file has failed."""
        if self.failure is not None:
            raise OSError(self.failure.errno, self.failure.strerror)

    def sync(self) -> None:
        """Bring the images entered so far to the disk: their pixels first. Sync thread; never raises."""
        with self._syncing:
            if not self._is_over and not self.problem and self.failure is None:
                self._sync()
        if self._is_over:
            self._let_go()

    def settle(self) -> None:
        """Bring the closed data file to the disk. Raises OSError if that fails, or has failed before."""
        with self._syncing:
            self.check()
            os.fsync(self._data)

    def remove(self, *, on_disk: bool) -> None:
        """The data file stands under its final name, or holds no image. `on_disk`: it is synced."""
        with self._syncing:
            self._is_over = True
            if on_disk:
                self._acknowledge(self._n_entered)
        with contextlib.suppress(OSError):
            os.unlink(self._output.name, dir_fd=self._directory)
        self.keep()

    def left(self) -> int:
        """The run cannot go on with the data file: no more of it is counted. How many images were."""
        with self._counting:
            self._counts = False
            return self._n_known + self._n_counted

    def keep(self) -> None:
        """Let go; the journal stays, as raw material for a recovery. A sync that hangs is not waited for."""
        self._output.flush()
        self._is_over = True
        self._let_go()

    def _sync(self) -> None:
        n_images = self._n_entered
        if n_images == self._n_synced:
            return
        try:
            os.fdatasync(self._data)
            if not self._is_named_on_disk:
                _sync_directory(self._directory)
        except OSError as error:
            self.failure = OSError(error.errno, error.strerror)
            return
        self._is_named_on_disk = True
        # The note is on the disk together with the records that it is about, or not at all.
        self._output.append(Kind.SYNCED, json.dumps({"n_images": n_images}).encode())
        self._output.sync()
        if not self.problem:
            self._acknowledge(n_images)

    def _acknowledge(self, n_images: int) -> None:
        self._n_synced = n_images
        with self._counting:
            if self._counts:
                n_there = min(n_images, self._n_entered - self._n_forgotten)
                n_new = max(n_there - self._n_known - self._n_counted, 0)
                self._n_counted += n_new
                self._count.add(n_new)

    def _let_go(self) -> None:
        """Close what is open, unless a sync is in progress: then it does so at its end."""
        if not self._syncing.acquire(blocking=False):
            return
        try:
            # Nothing was written through these two: an error of the storage has been told by the sync or by
            # HDF5, and the descriptors are gone whatever close says.
            for descriptor in (self._data, self._directory):
                if descriptor >= 0:
                    with contextlib.suppress(OSError):
                        os.close(descriptor)
            self._data = self._directory = -1
            self._output.close()
        finally:
            self._syncing.release()


def _sync_directory(descriptor: int) -> None:
    """Not every file system can sync directories."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
