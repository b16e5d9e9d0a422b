"""How many images of a run are known to be on the disk: plain numbers that everybody may read."""

from __future__ import annotations

import threading


class SyncCount:
    """The writer thread and the sync thread add."""

    def __init__(self) -> None:
        self.n_images = 0
        self.problem = ""
        """Why the journal of the run was given up; empty while it is kept."""
        self._lock = threading.Lock()

    def add(self, n_images: int) -> None:
        with self._lock:
            self.n_images += n_images
