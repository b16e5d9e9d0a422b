"""Storage that does not answer: after a time the runs that wait for it are given up, and nobody else waits.

The writer thread cannot be taken out of a system call, and HDF5 cannot be used beside it. So while it is
stuck, starts are refused; messages are received, republished and thrown away. When it comes back it finds its
run given up, lets go of its files, and the next start is taken.
"""

from __future__ import annotations

import logging

from jfwriter.daemon.parts import Parts
from jfwriter.daemon.snapshot import stalled_s
from jfwriter.session.orders import DropReason, OpenRun, WriteImage

NO_ANSWER = "no_answer"
_log = logging.getLogger(__name__)


class StallGuard:
    """Event loop only; `look` is called with every tick."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._limit_s = parts.settings.service.storage_give_up_s
        self._text = ""
        """Why runs were given up; empty while the storage answers."""

    def look(self, now: float) -> None:
        progress = self._parts.writer.progress
        if not self._text and stalled_s(progress, now) >= self._limit_s:
            self._give_up(stalled_s(progress, now))
        elif self._text and progress.current is None:
            _log.warning("the storage answers again; runs are taken")
            self._text = self._parts.session.obstacle = ""
        if self._text:
            self._tell_of_runs_that_are_over()

    def _give_up(self, stall_s: float) -> None:
        text = f"the storage has not answered for {stall_s:.0f} s (service.storage_give_up_s)"
        dropped = self._parts.writer.give_up(text)
        if dropped is None:
            return
        parts, session = self._parts, self._parts.session
        _log.error("%s; what waits for it is given up, and starts are refused until it answers", text)
        self._text = session.obstacle = text
        held = session.snapshot().serial
        if held is not None:
            session.run_failed(held, NO_ANSWER, text)
        serial = parts.writer.progress.serial
        for order in dropped:
            if isinstance(order, OpenRun):
                serial = order.plan.serial
            elif isinstance(order, WriteImage):
                session.image_skipped(serial)
                parts.board.images_dropped[DropReason.RUN_FAILED] += 1
        parts.puller.resume()

    def _tell_of_runs_that_are_over(self) -> None:
        """Whoever waits for the end of a run is told now: nobody knows when the writer thread will."""
        held = self._parts.session.snapshot().serial
        for serial, plan in tuple(self._parts.board.unfinished.items()):
            if serial != held:
                text = f"{NO_ANSWER}: {self._text}; what was written is not known"
                self._parts.aftermath.not_finalized(plan, text, NO_ANSWER)
