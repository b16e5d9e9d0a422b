"""Sees files of a directory tree grow, write by write (inotify(7)): when each image reached its file."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import threading
import time
from pathlib import Path

_IN_MODIFY, _IN_NONBLOCK = 0x2, 0o4000
_EVENT = struct.Struct("iIII")


class Growth(threading.Thread):
    """Notes (monotonic time in s, file name, size in bytes) at each write below `directory`, until `stop`."""

    def __init__(self, directory: Path) -> None:
        super().__init__(daemon=True)
        self._directory, self._done = directory, threading.Event()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._file = self._libc.inotify_init1(_IN_NONBLOCK)
        watch = self._libc.inotify_add_watch(self._file, os.fsencode(directory), _IN_MODIFY)
        if self._file < 0 or watch < 0:
            raise OSError(ctypes.get_errno(), f"{directory} cannot be watched")
        self.seen: list[tuple[float, str, int]] = []

    def run(self) -> None:
        while not self._done.is_set():
            if not select.select([self._file], [], [], 0.1)[0]:
                continue
            events, now = os.read(self._file, 1 << 16), time.monotonic()
            for name in _names(events):
                try:
                    size = (self._directory / name).stat().st_size
                except FileNotFoundError:
                    continue
                self.seen.append((now, name, size))

    def stop(self) -> list[tuple[float, str, int]]:
        self._done.set()
        self.join()
        os.close(self._file)
        return self.seen


def _names(events: bytes) -> set[str]:
    names, offset = set(), 0
    while offset < len(events):
        *_, length = _EVENT.unpack_from(events, offset)
        offset += _EVENT.size
        names.add(events[offset : offset + length].rstrip(b"\0").decode())
        offset += length
    return names
