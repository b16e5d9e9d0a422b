"""What a person or a script can ask of the daemon, whatever the protocol."""

from __future__ import annotations

from jfwriter.daemon.parts import Parts
from jfwriter.daemon.snapshot import STALL_WARNING_S, stalled_s, status_of
from jfwriter.daemon.status import Health, LastRun, Status
from jfwriter.session.snapshot import State


class Control:
    """Event loop only."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.http_refused = parts.board.http_refused

    def status(self) -> Status:
        return status_of(self._parts)

    async def health(self) -> Health:
        """Whether a run that started now could be written."""
        parts = self._parts
        problems = []
        if parts.board.stopping:
            problems.append("the writer is being stopped")
        if not parts.writer.is_alive:
            problems.append("the writer thread has died")
        stall_s = stalled_s(parts.writer.progress, parts.board.clock())
        if stall_s > STALL_WARNING_S:
            problems.append(f"the storage has not answered for {stall_s:.0f} s")
        failure = parts.session.snapshot().failure
        if failure:
            problems.append(f"the run cannot be written: {failure}")
        root_problem = await parts.root.problem()
        if root_problem:
            problems.append(f"the root directory: {root_problem}")
        return Health(healthy=not problems, problems=problems)

    async def cancel(self) -> LastRun | None:
        """Close the run with what it holds; its result once that is done. None: there is no run.

        Raises asyncio.CancelledError when the daemon ends before the run is finalized.
        """
        parts = self._parts
        session = parts.session.snapshot()
        if session.state is State.IDLE:
            return None
        orders = parts.session.cancel()
        if session.serial is None:
            return parts.board.last_run
        finished = parts.aftermath.when_finished(session.serial)
        parts.pipeline.put(orders, 0, parts.board.clock())
        return await finished
