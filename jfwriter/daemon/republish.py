"""Sending every message on, unchanged and in order, without ever waiting for the one who reads.

The frame that was received is sent again: ZeroMQ counts references to its bytes, nothing is copied.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass

import zmq

from jfwriter.daemon.curve import Door
from jfwriter.daemon.fatal import Fatal
from jfwriter.daemon.sockets import Socket, endpoint
from jfwriter.daemon.status import Republishing

CONTROL_TRY_S = 0.1
"""How long a start or end message is tried."""
RETRY_S = 0.005
MAX_WAITING_BYTES = 256 << 20
"""Messages that wait behind a start or end message; what does not fit is not republished."""
OVERHEAD_BYTES = 1024


@dataclass(frozen=True, slots=True)
class _Waiting:
    frame: zmq.Frame
    n_bytes: int
    until: float | None
    """Monotonic time at which a start or end is given up; None: tried once, when its turn comes."""


class Republisher:
    """Owns the bound PUSH socket; event loop only.

    An image is offered once: no receiver, or a full queue, and it is not republished. A start or end that
    cannot be sent at once is tried for `CONTROL_TRY_S`; what comes behind it waits, so that the order stays.
    """

    def __init__(self, socket: Socket, fatal: Fatal, door: Door | None = None) -> None:
        """`door` of a socket that does not let everybody in."""
        self.n_sent = 0
        self.n_lost = 0
        self.endpoint = endpoint(socket)
        self._socket = socket
        self._door = door
        self._fatal = fatal
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._flushed: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def status(self) -> Republishing:
        n_refused = 0 if self._door is None else self._door.n_refused
        return Republishing(self.endpoint, self.n_sent, self.n_lost, self._waiting_bytes, n_refused)

    def send(self, frame: zmq.Frame, n_bytes: int, *, is_control: bool) -> None:
        """Offer a message of `n_bytes`; `is_control` for start and end."""
        if self._waiting:
            self._keep(frame, n_bytes, is_control)
        elif self._sent(frame):
            self.n_sent += 1
        elif is_control:
            self._keep(frame, n_bytes, is_control)
        else:
            self.n_lost += 1

    def _sent(self, frame: zmq.Frame) -> bool:
        try:
            self._socket.send(frame, zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return False
        return True

    def _keep(self, frame: zmq.Frame, n_bytes: int, is_control: bool) -> None:
        n_bytes += OVERHEAD_BYTES
        if self._waiting_bytes + n_bytes > MAX_WAITING_BYTES:
            self.n_lost += 1
            return
        until = time.monotonic() + CONTROL_TRY_S if is_control else None
        self._waiting.append(_Waiting(frame, n_bytes, until))
        self._waiting_bytes += n_bytes
        if self._timer is None:
            self._timer = self._loop.call_later(RETRY_S, self._fatal.run, self._retry)

    def _retry(self) -> None:
        self._timer = None
        while self._waiting:
            head = self._waiting[0]
            if self._sent(head.frame):
                self.n_sent += 1
            elif head.until is not None and time.monotonic() < head.until:
                self._timer = self._loop.call_later(RETRY_S, self._fatal.run, self._retry)
                return
            else:
                self.n_lost += 1
            self._waiting.popleft()
            self._waiting_bytes -= head.n_bytes
        if self._flushed is not None and not self._flushed.done():
            self._flushed.set_result(None)

    async def flush(self) -> None:
        """Wait until nothing waits any more; bounded, because every wait is."""
        if self._waiting:
            self._flushed = self._loop.create_future()
            await self._flushed

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._waiting.clear()
        if self._door is not None:
            self._door.close()
        self._socket.close()
