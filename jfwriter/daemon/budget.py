"""How many bytes of received messages wait for the disk, counted without a lock."""

from __future__ import annotations

from collections.abc import Callable

MESSAGE_OVERHEAD_BYTES = 4096
"""Charged on top of each message: its decoded fields, its orders and its place in the queue."""


class ByteBudget:
    """Charged on the event loop, freed on the writer thread; each side only adds to its own counters.

    When it is full the loop stops receiving and asks to be woken (`wait_for_room`); the writer thread then
    calls `on_room` once, as soon as an eighth of the budget is free again. A message larger than the whole
    budget is still taken when nothing else waits.
    """

    def __init__(self, capacity_bytes: int, on_room: Callable[[], None]) -> None:
        self.capacity_bytes = capacity_bytes
        self._low_bytes = capacity_bytes - capacity_bytes // 8
        self._on_room = on_room
        self._charged_bytes = 0
        self._freed_bytes = 0
        self._waiting = False

    def give_back(self, n_bytes: int) -> None:
        """Event loop only: take back a charge; whoever waits for room has to look for himself."""
        self._charged_bytes -= n_bytes

    @property
    def used_bytes(self) -> int:
        return self._charged_bytes - self._freed_bytes

    @property
    def full(self) -> bool:
        return self._charged_bytes - self._freed_bytes >= self.capacity_bytes

    def charge(self, n_bytes: int) -> None:
        """Event loop only."""
        self._charged_bytes += n_bytes

    def free(self, n_bytes: int) -> None:
        """Writer thread only."""
        self._freed_bytes += n_bytes
        if self._waiting and self._charged_bytes - self._freed_bytes <= self._low_bytes:
            self._waiting = False
            self._on_room()

    def wait_for_room(self) -> bool:
        """Event loop only: True if `on_room` will be called, False if there is room by now.

        The flag is raised before the counters are read, and `free` does it the other way round, so that one
        of the two sides always sees the other.
        """
        self._waiting = True
        if self._charged_bytes - self._freed_bytes <= self._low_bytes:
            self._waiting = False
            return False
        return True
