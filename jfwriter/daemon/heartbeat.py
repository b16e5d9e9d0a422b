"""The daemon's pulse: rates, event loop lag, signs of life for the service manager, the idle warning."""

from __future__ import annotations

import asyncio
import itertools
import logging

from jfwriter.daemon.memory import Allocator, collect_young
from jfwriter.daemon.parts import Parts
from jfwriter.daemon.snapshot import one_line, silence_s, stalled_s, status_of
from jfwriter.daemon.stall import StallGuard
from jfwriter.daemon.systemd import ServiceManager
from jfwriter.session.snapshot import State

TICK_S = 0.25
TICKS_PER_STATUS = 8
QUIET_S = 60.0
_log = logging.getLogger(__name__)


async def beat(parts: Parts, manager: ServiceManager, allocator: Allocator) -> None:
    """Never ends. A loop that hangs, or storage that does not answer any more, gives no sign of life."""
    clock, progress = parts.board.clock, parts.writer.progress
    idle_warning = _IdleWarning(parts)
    housekeeping = _Housekeeping(parts, allocator)
    stall_guard = StallGuard(parts)
    alive_at = expected = clock()
    for n_ticks in itertools.count():
        now = clock()
        lag_s = max(0.0, now - expected)
        parts.board.rates.sample(now, progress.total_written, progress.total_bytes, lag_s)
        idle_warning.look(now)
        housekeeping.look(now)
        stall_guard.look(now)
        if n_ticks % TICKS_PER_STATUS == 0:
            manager.status(one_line(status_of(parts)))
        if manager.watchdog_s is not None and now - alive_at >= manager.watchdog_s / 3:
            alive_at = now
            if writes(parts, now):
                manager.alive()
        expected = now + TICK_S
        await asyncio.sleep(TICK_S)


def writes(parts: Parts, now: float) -> bool:
    """Whether the writer thread lives and has not been stuck in one order for longer than the limit."""
    limit_s = parts.settings.service.storage_stall_limit_s
    return parts.writer.is_alive and stalled_s(parts.writer.progress, now) < limit_s


class _Housekeeping:
    """Gives memory back once when no message came for `QUIET_S`: a stall may have needed a lot of it. Between
    runs it has garbage found before there is so much that looking for it holds up a run."""

    def __init__(self, parts: Parts, allocator: Allocator) -> None:
        self._board, self._session = parts.board, parts.session
        self._allocator = allocator
        self._done_for = parts.board.last_message_at

    def look(self, now: float) -> None:
        if self._session.state is State.IDLE and not self._board.unfinished:
            collect_young()
        last = self._board.last_message_at
        if last > self._done_for and now - last > QUIET_S and not self._board.unfinished:
            self._done_for = last
            self._allocator.give_back()


class _IdleWarning:
    """Says once per silence that an open run gets no messages; the run stays open."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._said = False

    def look(self, now: float) -> None:
        silent_s = silence_s(self._parts, now)
        if silent_s <= self._parts.settings.service.idle_warning_s:
            self._said = False
        elif not self._said:
            self._said = True
            _log.warning(
                "a run is open and no message came for %.0f s; it stays open until its end, the next start "
                "or POST /cancel",
                silent_s,
            )
