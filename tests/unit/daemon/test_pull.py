"""Receiving over real sockets: nothing lost, nobody starved, and a full budget stops it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
import zmq

from jfwriter.daemon.budget import ByteBudget
from jfwriter.daemon.fatal import Fatal
from jfwriter.daemon.pull import REVIVE_S, Puller, Source
from jfwriter.daemon.sockets import Context, Socket, endpoint
from jfwriter.errors import EndpointError
from jfwriter.socket_settings import InputSettings
from tests.support.eventually import eventually

MAX_MESSAGE_BYTES = 1 << 20


Sender = Callable[..., Socket]


@pytest.fixture
def sender(context: Context) -> Iterator[Sender]:
    """Makes bound PUSH sockets."""
    with contextlib.ExitStack() as stack:

        def make(address: str = "tcp://127.0.0.1:*") -> Socket:
            socket = stack.enter_context(context.socket(zmq.PUSH))
            socket.linger = 0
            socket.sndhwm = 100_000
            socket.sndtimeo = 20_000
            socket.bind(address)
            return socket

        yield make


class Receiver:
    """A puller on `addresses` that keeps what it is given and charges its size."""

    def __init__(
        self,
        context: Context,
        fatal: Fatal,
        *addresses: str,
        budget_bytes: int = 1 << 30,
        watermark: int = 100,
    ) -> None:
        settings = InputSettings(watermark_messages=watermark)
        self.received: list[bytes] = []
        self.budget = ByteBudget(budget_bytes, self.on_room)
        sources = [Source(context, address, settings, MAX_MESSAGE_BYTES) for address in addresses]
        self.puller = Puller(sources, self.deliver, self.budget, fatal)
        self.on_message: Callable[[bytes], None] = lambda _: None

    def on_room(self) -> None:
        self.puller.resume()

    def deliver(self, frame: zmq.Frame) -> None:
        message = bytes(frame.buffer)
        self.received.append(message)
        self.budget.charge(len(message))
        self.on_message(message)


Receivers = Callable[..., Receiver]


@pytest_asyncio.fixture
async def receivers(context: Context) -> AsyncIterator[Receivers]:
    """Makes receivers, started unless told otherwise."""
    made: list[Receiver] = []

    def make(fatal: Fatal, *addresses: str, start: bool = True, **options: int) -> Receiver:
        made.append(Receiver(context, fatal, *addresses, **options))
        if start:
            made[-1].puller.start()
        return made[-1]

    yield make
    for receiver in made:
        receiver.puller.close()
        receiver.puller.close()


async def test_every_message_of_two_senders_arrives_in_order(
    sender: Sender, fatal: Fatal, receivers: Receivers
) -> None:
    senders = [sender(), sender()]
    receiver = receivers(fatal, *map(endpoint, senders))
    n_each = 3000
    for i in range(n_each):
        for name, socket in zip("ab", senders, strict=True):
            socket.send(f"{name}{i}".encode())
    await eventually(lambda: len(receiver.received) == 2 * n_each)
    for name in "ab":
        own = [message for message in receiver.received if message.startswith(name.encode())]
        assert own == [f"{name}{i}".encode() for i in range(n_each)]


async def test_senders_take_turns(
    sender: Sender, fatal: Fatal, receivers: Receivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    senders = [sender(), sender()]
    receiver = receivers(fatal, *map(endpoint, senders), watermark=1000, start=False)
    for name, socket, source in zip("ab", senders, receiver.puller.sources, strict=True):
        for i in range(500):
            socket.send(f"{name}{i}".encode())
        # ZeroMQ does not say how many messages wait: both queues are filled here before the first turn.
        queue = await _all_of(source, 500)
        monkeypatch.setattr(source, "receive", lambda queue=queue: queue.popleft() if queue else None)
    receiver.puller.start()
    await eventually(lambda: len(receiver.received) == 1000)
    turns = [message[:1] for message in receiver.received]
    assert turns == [turns[0], turns[1]] * 500
    assert turns[0] != turns[1]


async def _all_of(source: Source, n: int) -> deque[zmq.Frame]:
    queue: deque[zmq.Frame] = deque()

    def read() -> bool:
        while (frame := source.receive()) is not None:
            queue.append(frame)
        return len(queue) == n

    await eventually(read)
    return queue


async def test_messages_of_several_parts_are_refused_and_counted(
    sender: Sender, fatal: Fatal, receivers: Receivers
) -> None:
    push = sender()
    receiver = receivers(fatal, endpoint(push))
    push.send(b"one")
    push.send_multipart([b"x"] * 1000)
    push.send_multipart([b"", b""])
    push.send(b"two")
    await eventually(lambda: len(receiver.received) == 2)
    assert receiver.received == [b"one", b"two"]
    assert receiver.puller.sources[0].status().multipart_messages == 2


async def test_a_full_budget_stops_the_reading_until_there_is_room(
    sender: Sender, fatal: Fatal, receivers: Receivers
) -> None:
    push = sender()
    receiver = receivers(fatal, endpoint(push), budget_bytes=10_000)
    puller = receiver.puller
    n_messages = 300
    for i in range(n_messages):
        push.send(i.to_bytes(1000, "little"))
    n_freed = 0
    while len(receiver.received) < n_messages:
        n_due = min(n_messages, n_freed + 10)
        await eventually(lambda n=n_due: len(receiver.received) >= n)  # type: ignore[misc]
        assert len(receiver.received) <= n_freed + 10
        receiver.budget.free(1000 * (len(receiver.received) - n_freed))
        n_freed = len(receiver.received)
    assert puller.n_pauses > 5
    assert receiver.received == [i.to_bytes(1000, "little") for i in range(n_messages)]
    assert receiver.budget.used_bytes == 0


async def test_nothing_is_read_and_nothing_spins_during_a_pause(
    sender: Sender, fatal: Fatal, receivers: Receivers
) -> None:
    push = sender()
    receiver = receivers(fatal, endpoint(push), budget_bytes=1000)
    for _ in range(50):
        push.send(bytes(1000))
    await eventually(lambda: receiver.puller.paused)
    used_s = time.process_time()
    await asyncio.sleep(0.3)
    assert time.process_time() - used_s < 0.15
    assert len(receiver.received) == 1


async def test_the_loop_stays_responsive_in_a_flood(
    sender: Sender, fatal: Fatal, receivers: Receivers
) -> None:
    push = sender()
    receiver = receivers(fatal, endpoint(push), watermark=5000, start=False)
    n_messages = 2000
    for _ in range(n_messages):
        push.send(b"x")

    def slow(_: bytes) -> None:
        end = time.perf_counter() + 0.0005
        while time.perf_counter() < end:
            pass

    receiver.on_message = slow
    n_others = 0

    def other() -> None:
        nonlocal n_others
        n_others += 1
        if len(receiver.received) < n_messages:
            asyncio.get_running_loop().call_later(0.001, other)

    receiver.puller.start()
    other()
    await eventually(lambda: len(receiver.received) == n_messages)
    assert n_others > 20


async def test_an_oversized_message_is_refused_and_the_next_one_comes(
    sender: Sender, fatal: Fatal, receivers: Receivers
) -> None:
    push = sender()
    receiver = receivers(fatal, endpoint(push))
    push.send(b"before")
    await eventually(lambda: receiver.received == [b"before"])
    push.send(bytes(MAX_MESSAGE_BYTES + 1))

    def after_came() -> bool:
        with contextlib.suppress(zmq.Again):  # nobody is connected for a moment
            push.send(b"after", zmq.NOBLOCK)
        return b"after" in receiver.received

    await eventually(after_came)
    assert max(map(len, receiver.received)) == len(b"before")
    assert receiver.puller.sources[0].status().broken_connections == 1
    assert receiver.puller.sources[0].status().connected


async def test_what_came_before_an_oversized_message_is_not_lost(
    sender: Sender, fatal: Fatal, receivers: Receivers
) -> None:
    push = sender()
    receiver = receivers(fatal, endpoint(push), budget_bytes=1000)
    push.send(bytes(1000))
    await eventually(lambda: receiver.puller.paused)
    before = [str(i).encode() for i in range(20)]
    for message in before:
        push.send(message)
    push.send(bytes(MAX_MESSAGE_BYTES + 1))
    source = receiver.puller.sources[0]
    await eventually(lambda: source.is_given_up)
    await asyncio.sleep(2.5 * REVIVE_S)
    assert source.n_broken == 0
    receiver.budget.free(1000)
    await eventually(lambda: source.n_broken == 1)
    assert receiver.received[1:] == before


async def test_a_sender_that_comes_back_is_heard_again(
    sender: Sender, fatal: Fatal, receivers: Receivers
) -> None:
    push = sender()
    address = endpoint(push)
    receiver = receivers(fatal, address)
    source = receiver.puller.sources[0]
    push.send(b"one")
    await eventually(lambda: receiver.received == [b"one"] and source.status().connected)
    push.close(linger=0)
    await eventually(lambda: not source.status().connected)
    push = sender(address)
    push.send(b"two")
    await eventually(lambda: receiver.received == [b"one", b"two"])
    assert source.status().connected


async def test_the_writer_may_be_there_first(
    sender: Sender, fatal: Fatal, receivers: Receivers, unused_tcp_port: int
) -> None:
    address = f"tcp://127.0.0.1:{unused_tcp_port}"
    receiver = receivers(fatal, address)
    assert not receiver.puller.sources[0].status().connected
    push = sender(address)
    push.send(b"one")
    await eventually(lambda: receiver.received == [b"one"])


async def test_the_rest_is_what_had_arrived_and_no_more(
    sender: Sender, fatal: Fatal, receivers: Receivers
) -> None:
    push = sender()
    receiver = receivers(fatal, endpoint(push), watermark=1000)
    for _ in range(30):
        push.send(b"x")
    await eventually(lambda: receiver.received)

    def another(_: bytes) -> None:
        push.send(b"more")

    receiver.on_message = another
    n_before = len(receiver.received)
    await receiver.puller.read_rest(100)
    assert len(receiver.received) - n_before <= 100


async def test_the_rest_waits_for_the_disk(sender: Sender, fatal: Fatal, receivers: Receivers) -> None:
    push = sender()
    receiver = receivers(fatal, endpoint(push), budget_bytes=1000)
    for _ in range(3):
        push.send(bytes(1000))
    await eventually(lambda: receiver.puller.paused)
    await eventually(lambda: receiver.puller.sources[0].socket.poll(0))
    rest = asyncio.create_task(receiver.puller.read_rest(100))
    await asyncio.sleep(0)
    assert not rest.done()
    for n_messages in (2, 3):
        receiver.budget.free(1000)
        await eventually(lambda n=n_messages: len(receiver.received) == n)  # type: ignore[misc]
    receiver.budget.free(1000)
    await rest


@pytest.mark.parametrize("address", ["tcp://", "tcp://host", "tcp://host:port", "ftp://a:1", "nonsense"])
async def test_an_impossible_address_is_named(context: Context, address: str) -> None:
    with pytest.raises(EndpointError, match="input address"):
        Source(context, address, InputSettings(), MAX_MESSAGE_BYTES)


async def test_an_error_in_the_delivery_ends_the_daemon(sender: Sender, receivers: Receivers) -> None:
    fatal = Fatal()
    push = sender()
    receiver = receivers(fatal, endpoint(push))

    def fail(_: bytes) -> None:
        raise LookupError("a bug")

    receiver.on_message = fail
    push.send(b"x")
    await eventually(fatal.failed.done)
    assert "a bug" in str(fatal.failed.exception())
