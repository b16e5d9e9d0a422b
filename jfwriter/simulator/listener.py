"""What writers say about a run: notifications to the DCU, and announcements of finished files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from types import TracebackType

import zmq

from jfwriter.errors import EndpointError
from jfwriter.simulator.dcu import endpoint_of

Said = dict[str, object]


class Listener:
    """A socket that receives one JSON object per message. Belongs to one thread."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], socket: zmq.Socket[bytes]) -> None:
        self._context, self._socket = context, socket

    @classmethod
    def of_notifications(cls, address: str = "tcp://127.0.0.1:*") -> Listener:
        """Bind the PULL socket that writers notify (`writer_notification_zmq_addr`)."""
        return cls._open(zmq.PULL, lambda socket: socket.bind(address), address)

    @classmethod
    def of_announcements(cls, address: str) -> Listener:
        """Subscribe to a writer's announcements; reconnects until the writer is there."""

        def connect(socket: zmq.Socket[bytes]) -> None:
            socket.setsockopt(zmq.SUBSCRIBE, b"")
            socket.setsockopt(zmq.RECONNECT_IVL, 20)
            socket.connect(address)

        return cls._open(zmq.SUB, connect, address)

    @property
    def address(self) -> str:
        return endpoint_of(self._socket)

    def receive(self, timeout_s: float) -> Said | None:
        """The next message, None if none comes in time. What is not a JSON object is passed over."""
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            if not self._socket.poll(max(1, round(left_s * 1000))):
                return None
            try:
                said = json.loads(self._socket.recv())
            except ValueError:
                continue
            if isinstance(said, dict):
                return said
        return None

    def close(self) -> None:
        self._socket.close(linger=0)
        self._context.term()

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    @classmethod
    def _open(cls, kind: int, attach: Callable[[zmq.Socket[bytes]], object], address: str) -> Listener:
        context = zmq.Context()
        socket = context.socket(kind)
        try:
            attach(socket)
        except zmq.ZMQError as error:
            socket.close(linger=0)
            context.term()
            raise EndpointError(f"cannot use {address}: {error.strerror or error}") from error
        return cls(context, socket)
