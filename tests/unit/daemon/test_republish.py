"""Sending on: the same bytes in the same order, and never waiting for anybody."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import zmq

from jfwriter.daemon import republish
from jfwriter.daemon.fatal import Fatal
from jfwriter.daemon.republish import CONTROL_TRY_S, Republisher
from jfwriter.daemon.sockets import Context, Socket, bound_socket
from tests.support.eventually import eventually


@pytest.fixture
def push(context: Context) -> Iterator[Socket]:
    socket = bound_socket(context, zmq.PUSH, "tcp://127.0.0.1:*", watermark_messages=10, use="test")
    with socket:
        yield socket


@pytest.fixture
def pull(context: Context) -> Iterator[Socket]:
    with context.socket(zmq.PULL) as socket:
        socket.linger = 0
        socket.rcvhwm = 10
        socket.rcvtimeo = 20_000
        yield socket


def send(republisher: Republisher, message: bytes, *, is_control: bool = False) -> None:
    republisher.send(zmq.Frame(message), len(message), is_control=is_control)


async def test_bytes_and_order_stay(push: Socket, pull: Socket, fatal: Fatal) -> None:
    republisher = Republisher(push, fatal)
    pull.connect(republisher.endpoint)
    messages = [b"start", *(bytes([i]) * 100_000 for i in range(20)), b"end"]
    for message in messages:
        await eventually(lambda: push.poll(0, zmq.POLLOUT))
        send(republisher, message, is_control=len(message) < 10)
        assert pull.recv() == message
    assert (republisher.n_sent, republisher.n_lost) == (22, 0)


async def test_the_received_frame_itself_is_sent(
    context: Context, push: Socket, pull: Socket, fatal: Fatal
) -> None:
    with context.socket(zmq.PAIR) as left, context.socket(zmq.PAIR) as right:
        left.bind("inproc://frames")
        right.connect("inproc://frames")
        left.send(b"x" * 1_000_000)
        frame = right.recv(copy=False)
    republisher = Republisher(push, fatal)
    pull.connect(republisher.endpoint)
    await eventually(lambda: push.poll(0, zmq.POLLOUT))
    view = memoryview(frame.buffer)
    republisher.send(frame, len(frame), is_control=False)
    assert pull.recv() == b"x" * 1_000_000
    assert bytes(view) == b"x" * 1_000_000


async def test_without_a_consumer_images_are_counted_at_once(push: Socket, fatal: Fatal) -> None:
    republisher = Republisher(push, fatal)
    for _ in range(1000):
        send(republisher, b"image")
    assert (republisher.n_sent, republisher.n_lost) == (0, 1000)
    assert republisher.status().waiting_bytes == 0


async def test_start_and_end_are_tried_for_a_tenth_of_a_second(push: Socket, fatal: Fatal) -> None:
    republisher = Republisher(push, fatal)
    before = time.monotonic()
    send(republisher, b"start", is_control=True)
    for _ in range(10):
        send(republisher, b"image")
    send(republisher, b"end", is_control=True)
    assert time.monotonic() - before < CONTROL_TRY_S
    assert republisher.n_lost == 0
    assert republisher.status().waiting_bytes > 0
    await republisher.flush()
    assert time.monotonic() - before >= CONTROL_TRY_S
    assert (republisher.n_sent, republisher.n_lost) == (0, 12)
    assert republisher.status().waiting_bytes == 0


async def test_a_consumer_that_comes_in_time_gets_all_in_order(
    push: Socket, pull: Socket, fatal: Fatal
) -> None:
    republisher = Republisher(push, fatal)
    send(republisher, b"start", is_control=True)
    messages = [str(i).encode() for i in range(5)]
    for message in messages:
        send(republisher, message)
    pull.connect(republisher.endpoint)
    await republisher.flush()
    received = [pull.recv() for _ in range(republisher.n_sent)]
    assert received == [b"start", *messages]


async def test_a_slow_consumer_costs_only_its_own_images(push: Socket, pull: Socket, fatal: Fatal) -> None:
    republisher = Republisher(push, fatal)
    pull.connect(republisher.endpoint)
    await eventually(lambda: push.poll(0, zmq.POLLOUT))
    n_messages = 300
    for i in range(n_messages):
        send(republisher, i.to_bytes(4, "big") * 25_000)
    assert republisher.n_lost > 0
    assert republisher.n_sent + republisher.n_lost == n_messages
    received = [int.from_bytes(pull.recv()[:4], "big") for _ in range(republisher.n_sent)]
    assert received == sorted(set(received))


async def test_what_waits_is_bounded_in_bytes(
    push: Socket, fatal: Fatal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(republish, "MAX_WAITING_BYTES", 10_000)
    republisher = Republisher(push, fatal)
    send(republisher, b"start", is_control=True)
    for _ in range(100):
        send(republisher, bytes(2000), is_control=True)
    assert republisher.status().waiting_bytes <= 10_000
    await republisher.flush()
    assert (republisher.n_sent, republisher.n_lost) == (0, 101)


async def test_closing_while_something_waits(push: Socket, fatal: Fatal) -> None:
    republisher = Republisher(push, fatal)
    send(republisher, b"start", is_control=True)
    republisher.close()
    assert push.closed
