"""What a recovery notes while it works, so that it can be repeated after a crash of its own.

The notes stand in a file of their own beside the journal, which stays as it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from types import TracebackType

from jfwriter.hdf5.faults import storage_faults
from jfwriter.journal.records import Kind, record
from jfwriter.wire.messages import CalibrationMessage, EndMessage


class Notes:
    """Stands for the journal of the run that is written again (`journal.interface`); use it in `with`."""

    def __init__(self, directory: int, name: str, *, sync: bool) -> None:
        """Append to `name` in the open `directory`. Raises StorageError."""
        self._sync = sync
        with storage_faults(f"cannot write {name}"):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(name, flags, 0o666, dir_fd=directory)
        self._name = name
        self.temporary_names: set[str] = set()
        """Files that were made so far; they have other names once they are whole."""

    def __enter__(self) -> Notes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def cut(self, n_bytes: int) -> None:
        """Take a torn tail away: what is appended behind it could not be read. Raises StorageError."""
        with storage_faults(f"cannot write {self._name}"):
            os.ftruncate(self._descriptor, n_bytes)

    def open_file(
        self,
        file_index: int,  # noqa: ARG002 as the journal of a run has it
        name: str,  # noqa: ARG002
        temporary_name: str,
        channels: Sequence[object],  # noqa: ARG002
        directory: int,  # noqa: ARG002
    ) -> None:
        self.making(temporary_name)

    def follow_file(self, file_index: int) -> bool:  # noqa: ARG002
        return True

    def making(self, temporary_name: str) -> None:
        self.temporary_names.add(temporary_name)
        self._add(Kind.TEMPORARY, {"temporary_name": temporary_name})

    def closing(self, facts: Mapping[str, object]) -> None:
        self._add(Kind.CLOSING, facts)

    def master(self, temporary_name: str, size_bytes: int) -> None:
        self._add(Kind.MASTER, {"temporary_name": temporary_name, "size_bytes": size_bytes})

    def manifest(self, content: bytes) -> None:
        self._append(Kind.MANIFEST, content)

    def recovered(self, told: Mapping[str, object]) -> None:
        """The run stands under its final names."""
        self._add(Kind.RECOVERED, told)

    def drop_file(self, file_index: int) -> None:
        """Nothing to note, as for what follows."""

    def part(self, facts: Mapping[str, object]) -> None: ...
    def calibration(self, message: CalibrationMessage) -> None: ...
    def closed(self, file_index: int) -> int:  # noqa: ARG002
        return 0

    def left(self, file_index: int) -> int:  # noqa: ARG002
        return 0

    def ends(self, end: EndMessage | None) -> None: ...
    def end(self, *, keep: bool) -> None: ...

    def _add(self, kind: Kind, facts: Mapping[str, object]) -> None:
        self._append(kind, json.dumps(facts, separators=(",", ":")).encode())

    def _append(self, kind: Kind, body: bytes) -> None:
        with storage_faults(f"cannot write {self._name}"):
            view = memoryview(record(kind, body))
            while view:
                view = view[os.write(self._descriptor, view) :]
            if self._sync:
                os.fdatasync(self._descriptor)
