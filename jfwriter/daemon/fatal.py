"""Where background work goes when it meets an error that it has no answer to: the daemon ends.

A living process with a dead part is worse than none: the service manager restarts a dead one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

from jfwriter.errors import StopDaemon

_log = logging.getLogger(__name__)


class Fatal:
    """Event loop only. `failed` is done, with a StopDaemon, as soon as some part has died."""

    def __init__(self) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()

    def fail(self, text: str) -> None:
        if not self.failed.done():
            self.failed.set_exception(StopDaemon(text))

    def run(self, function: Callable[[], None]) -> None:
        """Call `function`, as an event loop callback; an exception ends the daemon."""
        try:
            function()
        except StopDaemon as error:
            self.fail(str(error))
        except Exception as error:  # noqa: BLE001 the daemon ends with it
            _log.exception("an event loop callback failed")
            self.fail(f"{type(error).__name__}: {error}")

    def task(self, coroutine: Coroutine[object, object, None], name: str) -> None:
        """Run in the background; if it ends before `cancel_tasks`, whatever the reason, the daemon ends."""
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        if task not in self._tasks:
            return
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        _log.error("background task %s ended", task.get_name(), exc_info=error)
        self.fail(f"background task {task.get_name()} ended: {error or 'no error'}")

    async def cancel_tasks(self) -> None:
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.failed.done():
            self.failed.exception()  # looked at, so that asyncio does not complain
