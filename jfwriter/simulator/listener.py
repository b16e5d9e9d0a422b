"""What writers say about a run: notifications to the DCU, and announcements of finished files."""

from __future__ import annotations

import json
import time
from types import TracebackType

import zmq
from zmq.utils.monitor import recv_monitor_message

from jfwriter.errors import EndpointError
from jfwriter.simulator.dcu import endpoint_of

Said = dict[str, object]

_Socket = zmq.Socket[bytes]


class Listener:
    """A socket that receives one JSON object per message. Belongs to one thread."""

    def __init__(self, kind: int) -> None:
        self._context = zmq.Context()
        self._socket: _Socket = self._context.socket(kind)
        self._socket.set_hwm(100_000)
        self._monitor: _Socket | None = None

    @classmethod
    def of_notifications(cls, address: str = "tcp://127.0.0.1:*") -> Listener:
        """Bind the PULL socket that writers notify (`writer_notification_zmq_addr`)."""
        listener = cls(zmq.PULL)
        try:
            listener._socket.bind(address)
        except zmq.ZMQError as error:
            listener.close()
            raise EndpointError(f"cannot bind {address}: {error.strerror or error}") from error
        return listener

    @classmethod
    def of_announcements(cls, address: str) -> Listener:
        """Subscribe to a writer's announcements; it need not be there yet."""
        listener = cls(zmq.SUB)
        listener._monitor = listener._socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        listener._socket.setsockopt(zmq.SUBSCRIBE, b"")
        listener._socket.setsockopt(zmq.RECONNECT_IVL, 20)
        try:
            listener._socket.connect(address)
        except zmq.ZMQError as error:
            listener.close()
            raise EndpointError(f"cannot connect to {address}: {error.strerror or error}") from error
        return listener

    @property
    def address(self) -> str:
        return endpoint_of(self._socket)

    def wait_connected(self, timeout_s: float) -> bool:
        """Wait until a subscription has met its publisher: from then on no announcement is missed."""
        if self._monitor is None or not self._monitor.poll(round(timeout_s * 1000)):
            return False
        return bool(recv_monitor_message(self._monitor)["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED)

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
        if self._monitor is not None:
            self._socket.disable_monitor()
            self._monitor.close(linger=0)
        self._socket.close(linger=0)
        self._context.term()

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()
