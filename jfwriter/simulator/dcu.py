"""The sockets of a DCU: they bind, push, and share a run out between several writers by file number."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

import zmq

from jfwriter.errors import EndpointError


def endpoint_of(socket: zmq.Socket[bytes]) -> str:
    """The address that a socket got when it was bound."""
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    return endpoint.decode().rstrip("\0") if isinstance(endpoint, bytes) else str(endpoint)


class Dcu:
    """PUSH sockets, one per writer. Belongs to one thread.

    `lossy` False waits for a slow writer and fails after `stall_timeout_s` without progress, so that
    nothing is lost; True drops images that do not fit below the watermark, as detectors do.
    Memory: `watermark` messages per socket. Raises EndpointError if an address cannot be bound.
    """

    def __init__(
        self,
        addresses: Sequence[str] = ("tcp://127.0.0.1:*",),
        *,
        watermark: int = 100,
        lossy: bool = False,
        start_timeout_s: float = 5.0,
        stall_timeout_s: float = 60.0,
        curve_secret: str = "",
    ) -> None:
        """`curve_secret`: secret CURVE key (Z85); then only writers that know the public one are served."""
        self._lossy = lossy
        self._curve_secret = curve_secret
        self._start_timeout_s, self._stall_timeout_s = start_timeout_s, stall_timeout_s
        self._context = zmq.Context()
        self._sockets: list[zmq.Socket[bytes]] = []
        try:
            for address in addresses:
                self._sockets.append(self._bind(address, watermark))
        except BaseException:
            self.abort()
            raise
        self.addresses = tuple(endpoint_of(socket) for socket in self._sockets)

    def __enter__(self) -> Dcu:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    @property
    def n_sockets(self) -> int:
        return len(self._sockets)

    def socket_of(self, image_id: int, images_per_file: int) -> int:
        """Which socket takes an image: the files of a run go round all sockets."""
        return 0 if images_per_file == 0 else image_id // images_per_file % len(self._sockets)

    def send_starts(self, messages: Sequence[bytes]) -> None:
        """One start message per socket. Raises EndpointError if no writer takes one in time."""
        for socket, address, message in zip(self._sockets, self.addresses, messages, strict=True):
            if not self._send(socket, message, self._start_timeout_s):
                raise EndpointError(
                    f"no writer at {address} took the start message within {self._start_timeout_s:g} s; "
                    f"start one with: jfwriter run {address.replace('0.0.0.0', '127.0.0.1')}"  # noqa: S104
                )

    def send(self, message: bytes, socket_number: int = 0) -> bool:
        """Send calibration or an image. False: dropped (lossy). Raises EndpointError on a stall."""
        socket = self._sockets[socket_number]
        if self._lossy:
            return self._send(socket, message, 0)
        if not self._send(socket, message, self._stall_timeout_s):
            address = self.addresses[socket_number]
            raise EndpointError(f"the writer at {address} took nothing for {self._stall_timeout_s:g} s")
        return True

    def send_ends(self, messages: Sequence[bytes]) -> bool:
        """One end message per socket, each with the time limit of the start; False if one was not taken."""
        taken = [
            self._send(socket, message, self._start_timeout_s)
            for socket, message in zip(self._sockets, messages, strict=True)
        ]
        return all(taken)

    def close(self, linger_s: float = 60.0) -> bool:
        """Wait until everything has left; False if `linger_s` passed before. The sockets are gone then."""
        began = time.monotonic()
        for socket in self._sockets:
            socket.close(linger=round(linger_s * 1000))
        self._context.term()
        return time.monotonic() - began < linger_s

    def abort(self) -> None:
        """Close at once; what was not sent is lost."""
        for socket in self._sockets:
            socket.close(linger=0)
        self._context.term()

    def _bind(self, address: str, watermark: int) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = self._context.socket(zmq.PUSH)
        socket.linger = 0
        socket.set_hwm(watermark)
        if self._curve_secret:
            socket.curve_server = 1
            socket.curve_secretkey = self._curve_secret.encode()
        try:
            socket.bind(address)
        except zmq.ZMQError as error:
            socket.close()
            raise EndpointError(f"cannot bind {address}: {error.strerror or error}") from error
        return socket

    @staticmethod
    def _send(socket: zmq.Socket[bytes], message: bytes, timeout_s: float) -> bool:
        """False if nobody took the message in time. The bytes are handed over without a copy."""
        socket.sndtimeo = round(timeout_s * 1000)
        try:
            socket.send(message, copy=False)
        except zmq.Again:
            return False
        return True
