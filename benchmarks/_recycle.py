"""Keeps the memory of the page cache in use, so that a run meets no memory that is new to the machine.

A virtual machine gives memory that is not used back to its host; getting it again costs ten times as much as
copying into it, and a run of several GB would be measured by that.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

INTERVAL_S = 0.05


class Recycling(threading.Thread):
    """Takes the files named `*.h5` in `directory` out of the page cache once they are there, until `stop`.

    They must be synced: pages that wait for the disk stay.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(daemon=True)
        self._directory, self._done = directory, threading.Event()
        self.seen: set[str] = set()

    def run(self) -> None:
        while not self._done.wait(INTERVAL_S):
            self._look()

    def stop(self) -> None:
        self._done.set()
        self.join()

    def _look(self) -> None:
        for path in self._directory.glob("*.h5"):
            if path.name not in self.seen:
                self.seen.add(path.name)
                _let_go(path)


def _let_go(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
