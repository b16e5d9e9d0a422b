"""Runs that a crash has left below the root: told, and recovered if the settings want it. Event loop only.

The recovery is a process of its own: HDF5 has one lock in a process, and the run that is being written must
not wait for it; nor does an error of HDF5 there end the writer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from jfwriter.daemon.board import Board
from jfwriter.recovery.search import waiting

LOOK_EVERY_S = 60.0
"""A run that fails while the writer lives leaves something, too."""

_log = logging.getLogger(__name__)


class Leftovers:
    """`serve` runs until it is cancelled."""

    def __init__(
        self, roots: Sequence[Path], board: Board, *, recover: bool, command: Sequence[str] = ()
    ) -> None:
        """`roots`: the first, and the second if there is one. `command` gets them as arguments; default:
        `jfwriter recover`."""
        self._roots = roots
        self._board = board
        self._recover = recover
        self._command = command or (sys.executable, "-m", "jfwriter", "recover", "--known")

    async def serve(self) -> None:
        await self._look()
        if self._board.runs_to_recover:
            _log.warning("%s", offer(self._board.runs_to_recover))
            if self._recover:
                await self._run_recovery()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self._look()

    async def _look(self) -> None:
        """On a thread of its own, as the storage may not answer; nobody waits for that thread at the end."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[str]] = loop.create_future()

        def ask() -> None:
            found = waiting(self._roots)
            with contextlib.suppress(RuntimeError):  # the loop is closed, nobody asks any more
                loop.call_soon_threadsafe(_give, answer, found)

        threading.Thread(target=ask, name="leftovers", daemon=True).start()
        self._board.runs_to_recover = await answer

    async def _run_recovery(self) -> None:
        first, *others = map(str, self._roots)
        seconds = [text for root in others for text in ("--second-root", root)]
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                first,
                *seconds,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
        except OSError as error:
            _log.error("recovery: cannot be started: %s", error.strerror)
            return
        assert process.stdout is not None  # noqa: S101 a pipe was asked for
        try:
            async for line in process.stdout:
                _log.info("recovery: %s", line.decode(errors="replace").rstrip())
            code = await process.wait()
        except asyncio.CancelledError:
            # It can be repeated: what it has not finished has no final name.
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
            raise
        level = logging.INFO if code == 0 else logging.WARNING
        _log.log(level, "recovery: ended with exit status %d", code)
        await self._look()


def offer(paths: Sequence[str]) -> str:
    """What a person should know of unfinished runs; `paths` of their journals, relative to their root."""
    runs = "1 run that a crash has left" if len(paths) == 1 else f"{len(paths)} runs that crashes have left"
    return f"{runs} can be recovered with `jfwriter recover`: {paths[0]!a} first"


def _give(answer: asyncio.Future[list[str]], found: list[str]) -> None:
    if not answer.done():
        answer.set_result(found)
