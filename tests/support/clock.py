"""A clock that the test turns."""

from __future__ import annotations

import time


class Clock:
    """Begins at the present second of the monotonic clock, which threads beside it read: a time of its own
    would be before or after theirs, as long as the machine has been up."""

    def __init__(self) -> None:
        self.now = float(int(time.monotonic()))

    def __call__(self) -> float:
        return self.now
