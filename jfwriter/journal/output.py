"""A journal that is being written: created with its lock, appended to in batches, synced, removed.

The writer thread appends; the sync thread flushes and syncs beside it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterable

from jfwriter.journal.records import Kind, Parts, record_parts

BUFFER_BYTES = 1 << 16
BUFFER_S = 0.05
"""Records are handed to the system together, one call for as many as come in this time: a call costs more
than a record. What waits is lost if the process is killed; at a low rate every image is handed over
at once."""


class Output:
    """Open for appending until `close` or `remove`. The lock tells everybody that its writer lives.

    The first error of a write ends the journal: what follows a torn record could not be read. `append` then
    does nothing any more, and `problem` says why.
    """

    def __init__(self, directory: int, name: str) -> None:
        """Create `name` in the open `directory`. Raises OSError."""
        self.name = name
        self.problem = ""
        self._directory = directory
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(name, flags, 0o666, dir_fd=directory)
        with contextlib.suppress(OSError):  # a file system without locks; then nobody can tell
            # Only somebody who tries whether it is locked can hold it, for a moment.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self._lock = threading.Lock()
        self._buffer: list[bytes] = []
        self._buffered_bytes = 0
        self._written_at = 0.0
        self._is_synced = False

    def append(self, kind: Kind, *parts: bytes | memoryview) -> None:
        """Add one record; a copy is made of its parts. Never raises."""
        self.extend(kind, (parts,))

    def extend(self, kind: Kind, bodies: Iterable[Parts]) -> None:
        """Add a record of each body; a copy is made of their parts. Never raises."""
        # The parts may be views of messages, which shall not stay in memory until it is written.
        entries = b"".join(part for body in bodies for part in record_parts(kind, *body))
        with self._lock:
            self._buffer.append(entries)
            self._buffered_bytes += len(entries)
            if self._buffered_bytes >= BUFFER_BYTES or time.monotonic() - self._written_at >= BUFFER_S:
                self._write()

    def flush(self) -> None:
        """Hand everything to the system, which keeps it when the process dies. Never raises."""
        with self._lock:
            self._write()

    def sync(self) -> None:
        """Bring everything to disk; never raises. A failed one is not repeated."""
        with self._lock:
            self._write()
            if self.problem or self._is_synced:
                return
            self._is_synced = True
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            self.problem = f"{self.name} cannot be synced: {error.strerror}"

    def close(self) -> None:
        """Write what waits and let go; the file stays."""
        with self._lock:
            if self._descriptor >= 0:
                self._write()
                descriptor, self._descriptor = self._descriptor, -1
                try:
                    os.close(descriptor)
                except OSError as error:  # the descriptor is gone all the same
                    self.problem = self.problem or f"{self.name} cannot be closed: {error.strerror}"
                self.problem = self.problem or f"{self.name} is closed"

    def remove(self) -> None:
        """Let go, and remove the file."""
        with contextlib.suppress(OSError):
            os.unlink(self.name, dir_fd=self._directory)
        self.close()

    def _write(self) -> None:
        data = self._buffer[0] if len(self._buffer) == 1 else b"".join(self._buffer)
        self._buffer.clear()
        self._buffered_bytes = 0
        self._written_at = time.monotonic()
        view = memoryview(data)
        while view and not self.problem:
            self._is_synced = False
            try:
                view = view[os.write(self._descriptor, view) :]
            except OSError as error:
                self.problem = f"{self.name} cannot be written: {error.strerror}"
