"""Receiving: PULL sockets that connect to the senders and are read as fast as the byte budget allows.

Plain sockets, not zmq.asyncio: a cancelled `recv` there can lose a message, and one future per message
costs more than the message. The socket's file descriptor is edge-triggered: it says that something
happened, and then everything must be read until there is no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable

import zmq
from zmq.utils.monitor import parse_monitor_message

from jfwriter.daemon.budget import ByteBudget
from jfwriter.daemon.curve import FAILED_HANDSHAKES
from jfwriter.daemon.fatal import Fatal
from jfwriter.daemon.sockets import Context, Socket, descriptor
from jfwriter.daemon.status import Input
from jfwriter.errors import EndpointError
from jfwriter.socket_settings import InputSettings

SLICE_S = 0.005
"""Longest time of reading before the event loop may do something else."""
CONNECT_TIMEOUT_MS = 2000
MONITORED = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED | FAILED_HANDSHAKES
)
REVIVE_S = 0.5
"""ZeroMQ connects again by itself and says so at once, except after an error of protocol."""

Deliver = Callable[[zmq.Frame], None]
_log = logging.getLogger(__name__)


class Source:
    """One sender: a connected PULL socket, and a monitor that tells whether the sender is there."""

    def __init__(
        self,
        context: Context,
        address: str,
        settings: InputSettings,
        max_message_bytes: int,
        guard: Callable[[Socket], None] | None = None,
    ) -> None:
        """`guard` prepares the socket for a sender that must show a key. Raises EndpointError."""
        self.address = address
        self.n_connected = 0
        self.n_multipart = 0
        self.n_broken = 0
        self.n_failed_handshakes = 0
        self._has_failed_handshake = False
        """Since the last good one."""
        self.is_given_up = False
        """Whether ZeroMQ has not said yet that it tries to connect again."""
        self._inside_multipart = False
        self.socket = context.socket(zmq.PULL)
        self.socket.linger = 0
        self.socket.rcvhwm = settings.watermark_messages
        self.socket.maxmsgsize = max_message_bytes
        self.socket.connect_timeout = CONNECT_TIMEOUT_MS
        self.socket.ipv6 = "[" in address
        if settings.receive_buffer_bytes:
            self.socket.rcvbuf = settings.receive_buffer_bytes
        # A sender that lost its power sends no FIN: without keep-alive the dead connection stays for ever.
        self.socket.tcp_keepalive = 1
        self.socket.tcp_keepalive_idle = 10
        self.socket.tcp_keepalive_intvl = 5
        self.socket.tcp_keepalive_cnt = 3
        if guard is not None:
            guard(self.socket)
        self.monitor = self.socket.get_monitor_socket(MONITORED)
        try:
            self.socket.connect(address)
        except zmq.ZMQError as error:
            self.close()
            raise EndpointError(
                f"input address {address!r}: {zmq.strerror(error.errno or 0)}; expected tcp://host:port or ipc://path"
            ) from error

    def status(self) -> Input:
        return Input(
            self.address, self.n_connected > 0, self.n_multipart, self.n_broken, self.n_failed_handshakes
        )

    def receive(self) -> zmq.Frame | None:
        """The next message, None if there is none. Raises nothing.

        A message of several parts is none of the stream's: its parts are read and counted as one.
        """
        while True:
            try:
                frame = self.socket.recv(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return None
            if not (frame.more or self._inside_multipart):
                return frame
            self.n_multipart += not self._inside_multipart
            self._inside_multipart = frame.more

    def read_monitor(self) -> None:
        """Note who connected and who went."""
        while self.monitor.poll(0):
            event = parse_monitor_message(self.monitor.recv_multipart(zmq.NOBLOCK))["event"]
            self.is_given_up = event == zmq.EVENT_DISCONNECTED
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.n_connected += 1
                self._has_failed_handshake = False
                _log.info("connected to %s", self.address)
            elif event == zmq.EVENT_DISCONNECTED and self.n_connected:
                self.n_connected -= 1
                _log.warning("lost the connection to %s; trying again", self.address)
            elif event & FAILED_HANDSHAKES:
                self._on_failed_handshake()

    def _on_failed_handshake(self) -> None:
        """Tried again and again, and said once."""
        self.n_failed_handshakes += 1
        if not self._has_failed_handshake:
            self._has_failed_handshake = True
            _log.warning(
                "%s: no connection, the keys do not fit or one side alone uses CURVE "
                "(input.curve_server_keys); trying again",
                self.address,
            )

    def revive(self) -> bool:
        """Connect again if ZeroMQ does not. False: messages that came before must be read first.

        After a message over the size limit, or bytes that are none of ZeroMQ's protocol, libzmq drops the
        connection and makes no new one: without this the writer would be deaf from then on.
        """
        if not self.is_given_up:
            return True
        if self.socket.poll(0):
            return False
        self.is_given_up = False
        if not self._has_failed_handshake:
            self.n_broken += 1
            _log.warning(
                "%s sent a message over limits.max_message_bytes, or broke the protocol; connecting again",
                self.address,
            )
        with contextlib.suppress(zmq.ZMQError):
            self.socket.disconnect(self.address)
        self.socket.connect(self.address)
        return True

    def close(self) -> None:
        self.socket.disable_monitor()
        self.monitor.close(0)
        self.socket.close(0)


class Puller:
    """Reads all sources in turn and delivers each message; event loop only.

    `deliver` is called for each single-part message. When the budget is full, nothing is read any more: the
    watermarks of the sockets fill up, and then the sender feels it. `resume` goes on.
    """

    def __init__(self, sources: list[Source], deliver: Deliver, budget: ByteBudget, fatal: Fatal) -> None:
        self.sources = sources
        self.n_pauses = 0
        self._deliver = deliver
        self._budget = budget
        self._fatal = fatal
        self._loop = asyncio.get_running_loop()
        self._readable: deque[Source] = deque()
        self._scheduled: asyncio.Handle | None = None
        self._paused = True
        self._left: int | None = None
        self._empty: asyncio.Future[None] | None = None

    @property
    def paused(self) -> bool:
        return self._paused

    def start(self) -> None:
        for source in self.sources:
            self._loop.add_reader(descriptor(source.monitor), self._on_connection, source)
            self._on_connection(source)
        self.resume()

    def resume(self) -> None:
        """Read on after a pause; whatever happened in between is looked at once."""
        if not self._paused:
            return
        self._paused = False
        for source in self.sources:
            self._loop.add_reader(descriptor(source.socket), self._on_readable, source)
        self._read_soon()

    def _on_connection(self, source: Source) -> None:
        source.read_monitor()
        if source.is_given_up:
            self._loop.call_later(REVIVE_S, self._revive, source)

    def _revive(self, source: Source) -> None:
        if not source.socket.closed and not source.revive():
            self._loop.call_later(REVIVE_S, self._revive, source)

    def _pause(self) -> None:
        self._paused = True
        self.n_pauses += 1
        # The descriptors must not be watched now: they stay readable, and the loop would spin on them.
        for source in self.sources:
            self._loop.remove_reader(descriptor(source.socket))

    def _on_readable(self, source: Source) -> None:
        """Something happened: read now, one turn of the event loop earlier than `_read_soon` would."""
        if source not in self._readable:
            self._readable.append(source)
        if self._scheduled is None:
            self._fatal.run(self._slice)

    def _read_soon(self) -> None:
        """Look at all sources in the next turn of the event loop."""
        self._readable.extend(source for source in self.sources if source not in self._readable)
        if self._scheduled is None:
            self._scheduled = self._loop.call_soon(self._fatal.run, self._slice)

    def _slice(self) -> None:
        """Read one message of each readable source in turn, until all are empty or the time is up."""
        self._scheduled = None
        readable, budget, deliver, clock = self._readable, self._budget, self._deliver, time.monotonic
        stop_at = clock() + SLICE_S
        while readable and self._left != 0:
            if budget.full and budget.wait_for_room():
                self._pause()
                return
            frame = readable[0].receive()
            if frame is None:
                readable.popleft()
                continue
            readable.rotate(-1)
            deliver(frame)
            if self._left is not None:
                self._left -= 1
            if clock() > stop_at:
                break
        if readable and self._left != 0:
            self._scheduled = self._loop.call_soon(self._fatal.run, self._slice)
        elif self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    async def read_rest(self, max_messages: int) -> None:
        """Read what has arrived, but at most `max_messages`: a sender may go on sending."""
        self._left = max_messages
        self._empty = self._loop.create_future()
        if not self._paused:
            self._read_soon()
        await self._empty

    def close(self) -> None:
        """May be called twice."""
        if self._scheduled is not None:
            self._scheduled.cancel()
        if not self._paused:
            self._pause()
        for source in self.sources:
            if not source.socket.closed:
                self._loop.remove_reader(descriptor(source.monitor))
                source.close()
