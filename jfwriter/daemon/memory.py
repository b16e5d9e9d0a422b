"""How the process treats memory that messages leave behind: kept during runs, given back in silence.

ZeroMQ allocates each received message anew. By default glibc gives a freed message back to the system and
takes a new one from it, and the first touch of each page costs more than copying it.
"""

from __future__ import annotations

import ctypes
import gc

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_NEVER_TRIM_BYTES = (1 << 31) - 1
_LARGEST_MMAP_THRESHOLD_BYTES = 32 << 20
"""glibc takes no larger one: messages over it go back to the system at once."""


COLLECT_AFTER = 50_000
"""Containers by which their number may grow before Python looks for unreachable cycles among them."""


def spare_what_stays() -> None:
    """Keep Python's collector away from all that exists now, and let it run rarely.

    To be called when everything is loaded. By default it walks over the libraries' objects again and again:
    a fifth of the time that decoding takes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 10, 10)


YOUNG_OBJECTS = 5_000
"""Containers that may gather between runs: the connection of every HTTP request leaves some in a circle, 1 kB
in all. A look at so many takes a millisecond."""


def collect_young() -> None:
    """Find the unreachable cycles among what came since the last look, if it is much. To be called while no
    run is open."""
    if gc.get_count()[0] >= YOUNG_OBJECTS:
        gc.collect(1)


class Allocator:
    """The C library's; does nothing where it is not glibc."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None)
        self._mallopt = getattr(libc, "mallopt", None)
        self._malloc_trim = getattr(libc, "malloc_trim", None)

    def keep_freed_memory(self) -> None:
        """Use freed messages for new ones. To be called before there is a second thread.

        One arena: a message is allocated on ZeroMQ's thread and freed on the writer thread, and the heaps
        of further arenas are returned to the system as soon as they are empty.
        """
        if self._mallopt is not None:
            self._mallopt(_M_ARENA_MAX, 1)
            self._mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD_BYTES)
            self._mallopt(_M_TRIM_THRESHOLD, _NEVER_TRIM_BYTES)

    def give_back(self) -> None:
        """Return what is free to the system; takes some 0.1 s per GB."""
        if self._malloc_trim is not None:
            self._malloc_trim(0)
