"""What all ZeroMQ sockets of the daemon have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import zmq

from jfwriter.errors import EndpointError

Context = zmq.Context[zmq.Socket[bytes]]
Socket = zmq.Socket[bytes]

LINGER_MS = 1000
"""How long a closing socket tries to send what is queued."""


def tcp_address(host: str, port: int) -> str:
    """ZeroMQ address to bind; port 0 takes a free one."""
    name = f"[{host}]" if ":" in host else host
    return f"tcp://{name}:{port or '*'}"


def bound_socket(
    context: Context,
    kind: zmq.SocketType,
    address: str,
    *,
    watermark_messages: int,
    use: str,
    guard: Callable[[Socket], None] | None = None,
) -> Socket:
    """A sending socket that is bound to `address`. `use` names its purpose in the error; `guard` prepares it.

    Raises EndpointError when the port is taken or the host is none of this machine.
    """
    socket = context.socket(kind)
    socket.linger = LINGER_MS
    socket.sndhwm = watermark_messages
    socket.ipv6 = "[" in address
    if guard is not None:
        guard(socket)
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        socket.close(0)
        raise EndpointError(
            f"{use}: cannot bind {address}: {zmq.strerror(error.errno or 0)}; "
            "choose another port, or stop the program that holds it"
        ) from error
    return socket


def endpoint(socket: Socket) -> str:
    """The address that a bound socket really has."""
    return socket.getsockopt_string(zmq.LAST_ENDPOINT)


def descriptor(socket: Socket) -> int:
    """The file descriptor that tells of news, edge-triggered: after that everything must be read."""
    return cast("int", socket.getsockopt(zmq.FD))
