"""Progress of long work: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from typing import TextIO

_WIDTH = 30


class ProgressBar:
    """Call it with (done, of how many). Draws one line on a terminal and ends it when all is done."""

    def __init__(self, label: str, stream: TextIO | None = None) -> None:
        self._label, self._stream = label, sys.stderr if stream is None else stream
        self._active = self._stream.isatty()

    def __call__(self, done: int, n_all: int) -> None:
        if not self._active or n_all < 1:
            return
        filled = _WIDTH * done // n_all
        bar = "#" * filled + "." * (_WIDTH - filled)
        self._stream.write(f"\r{self._label} [{bar}] {done}/{n_all} ")
        if done >= n_all:
            self._stream.write("\n")
        self._stream.flush()
