"""Telling the sender that its run is finalized, at the address that its start message names."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import threading

import zmq

from jfwriter.daemon.jsontext import dumps
from jfwriter.daemon.sockets import LINGER_MS, Context, Socket
from jfwriter.daemon.status import LastRun, Notifications
from jfwriter.session.orders import Outcome
from jfwriter.wire.messages import StartMessage

TRY_S = 1.0
RETRY_S = 0.02
MAX_AT_ONCE = 16
"""Notifications under way; more come only from a sender that starts runs as fast as it can."""

_TCP = re.compile(r"tcp://([A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5})")
_IPC = re.compile(r"ipc://(@?[A-Za-z0-9._/+-]{1,100})")
_log = logging.getLogger(__name__)


def is_valid_address(address: str) -> bool:
    """Whether a start message may name `address`: tcp://host:port or ipc://path, and nothing else."""
    if match := _TCP.fullmatch(address):
        return 0 < int(match[2]) <= 65535
    return _IPC.fullmatch(address) is not None


def notification(result: LastRun) -> bytes:
    """The message. `ok`: every image that was expected is in the files."""
    return dumps({
        "socket_number": result.socket_number if result.socket_number is not None else 0,
        "run_name": result.run_name,
        "run_number": result.run_number,
        "ok": result.outcome == Outcome.COMPLETE,
        "processed_images": result.images_written,
    })  # fmt: skip


class RunNotifier:
    """One short-lived PUSH socket per report, in a ZeroMQ context of its own.

    The address comes from the wire, and ZeroMQ looks up host names in its I/O thread: in the common context
    a name that nobody knows would stop the receiving for as long as the look-up takes.
    """

    def __init__(self) -> None:
        self.n_sent = 0
        self.n_failed = 0
        self._context: Context | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def status(self) -> Notifications:
        return Notifications(self.n_sent, self.n_failed)

    def run_finished(self, result: LastRun, start: StartMessage) -> None:
        """Start to notify the sender if it wants that; never waits."""
        address = start.writer_notification_zmq_addr
        if not address:
            return
        if not is_valid_address(address):
            self._failed(address, "not a tcp:// or ipc:// address")
        elif len(self._tasks) >= MAX_AT_ONCE:
            self._failed(address, f"{MAX_AT_ONCE} notifications are still under way")
        else:
            task = asyncio.create_task(self._send(address, notification(result)), name="notify")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, address: str, message: bytes) -> None:
        if self._context is None:
            self._context = zmq.Context()
        socket = self._context.socket(zmq.PUSH)
        socket.linger = LINGER_MS
        # Without this, a message to nobody counts as sent and is thrown away later.
        socket.immediate = True
        socket.ipv6 = "[" in address
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + TRY_S
        try:
            socket.connect(address)
            while not _sent(socket, message):
                if loop.time() > give_up_at:
                    self._failed(address, f"nobody there for {TRY_S} s")
                    return
                await asyncio.sleep(RETRY_S)
        except zmq.ZMQError as error:
            self._failed(address, zmq.strerror(error.errno or 0))
            return
        finally:
            socket.close()
        self.n_sent += 1

    def _failed(self, address: str, why: str) -> None:
        self.n_failed += 1
        _log.warning("the sender was not notified at %s: %s", address, why)

    async def close(self) -> None:
        """Wait for what is under way, for at most `TRY_S` and the linger time of the sockets."""
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        if self._context is None:
            return
        # A host name that is being looked up keeps the context alive; the process does not wait for that.
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        threading.Thread(target=_end, args=(self._context, loop, ended), name="notify", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), 2 * LINGER_MS / 1000)


def _end(context: Context, loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    context.term()
    with contextlib.suppress(RuntimeError):  # the loop is closed, nobody waits any more
        loop.call_soon_threadsafe(ended.set)


def _sent(socket: Socket, message: bytes) -> bool:
    try:
        socket.send(message, zmq.NOBLOCK)
    except zmq.Again:
        return False
    return True
