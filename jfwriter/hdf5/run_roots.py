"""The directories of one run: below the first root, and below the second once needed. Writer thread only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from jfwriter.errors import FailRun, StorageError
from jfwriter.hdf5.losses import base_name
from jfwriter.hdf5.reserve import Reserve
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.hdf5.storage import OF_THE_RUN, Storage
from jfwriter.session.orders import ClosedFile
from jfwriter.session.plan import RunPlan


class RunRoots:
    """Open until `close`."""

    def __init__(self, storage: Storage | None, plan: RunPlan, first: RunDirectory) -> None:
        """`storage` None: there is no second root directory."""
        self.storage = storage
        self.first = first
        """Where the run is begun: below the second root, where the first cannot be used."""
        self.second: RunDirectory | None = None
        """Where it goes on after a failure."""
        self._plan = plan
        self._reserve: Reserve | None = None

    @classmethod
    def open(cls, storage: Storage, plan: RunPlan) -> RunRoots:
        """Find or make the directory of a new run, and hold some room back.

        Raises RunRefused naming the file, StorageError where a directory cannot be made.
        """
        roots = cls(storage, plan, storage.open_directory(plan))
        roots._reserve = Reserve(roots.first.descriptor, storage.expected_bytes(plan))
        return roots

    def release_reserve(self) -> bool:
        """Give back the room that was held back; whether there was any."""
        return self._reserve is not None and self._reserve.release()

    def after(self, failure: StorageError) -> RunDirectory | None:
        """The second directory, to go on in; None if there is none, or the run has gone there before."""
        storage = self.storage
        is_used = self.second is not None or self.first.is_second
        if storage is None or storage.second is None or is_used or failure.reason in OF_THE_RUN:
            return None
        self.release_reserve()
        try:
            self.second = storage.open_second(self._plan)
        except FailRun as error:
            storage.note(self._plan, f"the second root directory cannot be used: {error}")
            return None
        storage.note(self._plan, f"{failure}; the run goes on in the second root directory")
        return self.second

    def size_of(self, file: ClosedFile) -> int | None:
        """Size in bytes of a published file, None if it does not stand where it was published."""
        in_second = file.filename.startswith("/")
        directory = (self.second or self.first) if in_second else self.first
        return directory.size_of(base_name(file))

    def places(self) -> list[Callable[[], AbstractContextManager[RunDirectory]]]:
        """Where a file of the run may be made, the first choice first; they stay open."""
        roots = [directory for directory in (self.first, self.second) if directory is not None]
        return [partial(_as_it_is, directory) for directory in roots]

    def has_moved(self) -> bool:
        """Whether the way to one of its directories leads elsewhere by now."""
        return any(directory is not None and directory.has_moved() for directory in (self.first, self.second))

    def close(self) -> None:
        self.release_reserve()
        for directory in (self.first, self.second):
            if directory is not None:
                directory.close()


def _as_it_is(directory: RunDirectory) -> AbstractContextManager[RunDirectory]:
    return contextlib.nullcontext(directory)
