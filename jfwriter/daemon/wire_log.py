"""Log lines that a message can cause: each thing once per run, and never more than a few in a second."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable

BURST_LINES = 100
LINES_PER_S = 5.0
MAX_REMEMBERED = 100
"""Of each kind of thing, where the last part of the key comes from the sender."""


class WireLog:
    """Keeps a hostile or broken sender from filling the log; the counters show what the log leaves out."""

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._said: dict[tuple[Hashable, ...], set[Hashable]] = {}
        """First parts of the key -> last parts."""
        self._tokens = float(BURST_LINES)
        self._refilled_at = clock()
        self._n_suppressed = 0

    def new_run(self) -> None:
        """Everything may be said once again."""
        self._said.clear()

    def once(
        self, level: int, key: tuple[Hashable, ...], text: str, exception: BaseException | None = None
    ) -> None:
        """Log `text` unless something was already logged under `key` in this run.

        Only the last part of `key` may come from the sender.
        """
        said = self._said.setdefault(key[:-1], set())
        if key[-1] in said or len(said) >= MAX_REMEMBERED:
            return
        said.add(key[-1])
        self.say(level, text, exception)

    def say(self, level: int, text: str, exception: BaseException | None = None) -> None:
        """Log `text`, and the traceback of `exception`, unless too much was logged just now."""
        now = self._clock()
        self._tokens = min(BURST_LINES, self._tokens + (now - self._refilled_at) * LINES_PER_S)
        self._refilled_at = now
        if self._tokens < 1:
            self._n_suppressed += 1
            return
        self._tokens -= 1
        if self._n_suppressed:
            self._logger.warning("%d log lines about messages were left out", self._n_suppressed)
            self._n_suppressed = 0
        self._logger.log(level, "%s", text, exc_info=exception)
