"""Bound sockets: their addresses, and ports that somebody else has."""

from __future__ import annotations

import pytest
import zmq

from jfwriter.daemon.sockets import Context, bound_socket, endpoint, tcp_address
from jfwriter.errors import EndpointError


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        ("0.0.0.0", 5500, "tcp://0.0.0.0:5500"),
        ("127.0.0.1", 0, "tcp://127.0.0.1:*"),
        ("::1", 5500, "tcp://[::1]:5500"),
    ],
)
def test_addresses(host: str, port: int, address: str) -> None:
    assert tcp_address(host, port) == address


def test_a_free_port_is_found_and_named(context: Context) -> None:
    with bound_socket(
        context, zmq.PUSH, tcp_address("127.0.0.1", 0), watermark_messages=7, use="x"
    ) as socket:
        assert socket.sndhwm == 7
        assert int(endpoint(socket).rpartition(":")[2]) > 0


def test_a_port_that_is_taken_is_named(context: Context) -> None:
    with bound_socket(context, zmq.PUSH, "tcp://127.0.0.1:*", watermark_messages=1, use="x") as first:
        address = endpoint(first)
        with pytest.raises(
            EndpointError, match=f"republishing: cannot bind {address}: Address already in use"
        ):
            bound_socket(context, zmq.PUB, address, watermark_messages=1, use="republishing")


def test_a_host_that_is_not_here_is_named(context: Context) -> None:
    with pytest.raises(EndpointError, match=r"cannot bind tcp://203\.0\.113\.1:5500"):
        bound_socket(context, zmq.PUB, "tcp://203.0.113.1:5500", watermark_messages=1, use="x")
