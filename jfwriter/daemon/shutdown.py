"""The two ways to an end: in good order, and at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable

from jfwriter.daemon.parts import Parts

ABORT_S = 5.0
"""How long the writer thread may take to let go of its files when it has to end at once."""
_log = logging.getLogger(__name__)


class Signals:
    """The first SIGTERM, SIGINT or SIGHUP asks for an end in good order, the second for one at once.

    With `on_hangup` SIGHUP calls that instead.
    """

    def __init__(self, on_hangup: Callable[[], None] | None = None) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # A process started by nohup keeps ignoring SIGHUP.
            if number is signal.SIGHUP and on_hangup is not None:
                loop.add_signal_handler(number, on_hangup)
            elif signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._on_signal, number)

    def ignore(self) -> None:
        """The end is reached: a late signal must not change the exit status to that of a killed process, as
        it would once the event loop has given its handlers back."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)

    def _on_signal(self, number: signal.Signals) -> None:
        if self.first.is_set():
            _log.warning("%s again: leaving at once", number.name)
            self.second.set()
        else:
            _log.info("%s: bringing to disk what was received", number.name)
            self.first.set()


async def drain(parts: Parts) -> None:
    """Take what has been received, finish the open run, and wait for the disk.

    ZeroMQ holds at most one watermark of messages per socket; so many are still read. What the sender sends
    later is not taken from it.
    """
    watermark = parts.settings.input.watermark_messages
    await parts.puller.read_rest(len(parts.puller.sources) * watermark)
    parts.puller.close()
    parts.pipeline.put(parts.session.stop(), 0, parts.board.clock())
    parts.writer.stop()
    await parts.aftermath.writer_ended.wait()


async def abort(parts: Parts) -> None:
    """Drop what waits and let go of the open files as they are; tell of every run that is not finalized.

    Raises nothing.
    """
    parts.puller.close()
    try:
        parts.pipeline.put(parts.session.stop(), 0, parts.board.clock())
    except Exception:  # noqa: BLE001 perhaps the bug that ends the daemon; its files must be let go
        _log.exception("the open run could not be closed")
    if parts.analysis is not None:
        parts.analysis.abort()
    parts.writer.abort()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(parts.aftermath.writer_ended.wait(), ABORT_S)
    for plan in tuple(parts.board.unfinished.values()):
        parts.aftermath.not_finalized(plan)


async def close(parts: Parts) -> None:
    """Send the last news and close the sockets; bounded, because every wait in it is."""
    parts.aftermath.give_up_waiting()
    if parts.analysis is not None:
        parts.analysis.stop()
        await asyncio.to_thread(parts.analysis.join, ABORT_S)
    if parts.republisher is not None:
        await parts.republisher.flush()
        parts.republisher.close()
    await parts.notifier.close()
    if parts.announcer is not None:
        parts.announcer.close()
    if parts.gatekeeper is not None:
        await parts.gatekeeper.close()
    await parts.fatal.cancel_tasks()
