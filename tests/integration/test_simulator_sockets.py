"""The simulated DCU over real sockets, received with plain ZeroMQ."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import zmq

from jfwriter.errors import EndpointError
from jfwriter.simulator import Dcu, SendPlan, SimulatedRun, send_run
from jfwriter.simulator.listener import Listener
from tests.support.daemon import DEADLINE_S, wait_for
from tests.support.plain_cbor import load
from tests.support.simulated import small_options


class Receiver(threading.Thread):
    """Pulls messages until `n_ends` end messages have come."""

    def __init__(self, context: zmq.Context[Any], address: str, n_ends: int = 1) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []
        self._socket = context.socket(zmq.PULL)
        self._socket.connect(address)
        self._n_ends = n_ends

    def run(self) -> None:
        with self._socket:
            while self._n_ends and self._socket.poll(round(DEADLINE_S * 1000)):
                self.messages.append(load(self._socket.recv()))
                self._n_ends -= self.messages[-1]["type"] == "end"

    @property
    def image_ids(self) -> list[int]:
        return [message["image_id"] for message in self.messages if message["type"] == "image"]

    @property
    def kinds(self) -> list[str]:
        return [message["type"] for message in self.messages]


@contextmanager
def receivers(*addresses: str, n_ends: int = 1) -> Iterator[list[Receiver]]:
    with zmq.Context() as context:
        running = [Receiver(context, address, n_ends) for address in addresses]
        for receiver in running:
            receiver.start()
        try:
            yield running
        finally:
            for receiver in running:
                receiver.join()


@pytest.fixture(scope="module")
def run() -> SimulatedRun:
    return SimulatedRun(small_options(n_images=20, n_distinct=2, images_per_file=4))


def test_a_run_arrives_whole_and_in_order(run: SimulatedRun) -> None:
    with Dcu() as dcu, receivers(dcu.addresses[0]) as (receiver,):
        report = send_run(dcu, run)
    assert receiver.kinds == ["start", *["calibration"] * 3, *["image"] * 20, "end"]
    assert receiver.image_ids == list(range(20))
    assert (report.n_images, report.n_lost, report.n_left_out, report.end_taken) == (20, 0, 0, True)
    assert report.n_bytes == sum(len(run.image(i)) for i in range(20))
    assert "socket_number" not in json.loads(receiver.messages[0]["user_data"])


def test_several_sockets_share_the_files_out(run: SimulatedRun) -> None:
    with Dcu(["tcp://127.0.0.1:*"] * 3) as dcu, receivers(*dcu.addresses) as found:
        send_run(dcu, run)
    assert [receiver.image_ids for receiver in found] == [
        [0, 1, 2, 3, 12, 13, 14, 15],
        [4, 5, 6, 7, 16, 17, 18, 19],
        [8, 9, 10, 11],
    ]
    assert [receiver.kinds.count("calibration") for receiver in found] == [3, 0, 0]
    for number, receiver in enumerate(found):
        assert receiver.kinds[0] == "start"
        assert receiver.kinds[-1] == "end"
        user = json.loads(receiver.messages[0]["user_data"])
        assert (user["socket_number"], user["write_master_file"]) == (number, number == 0)
        assert receiver.messages[-1]["max_image_number"] == 20


def test_images_can_be_left_out_and_shuffled_and_the_end_withheld(run: SimulatedRun) -> None:
    plan = SendPlan(shuffle_seed=1, leave_out={3, 19})
    with Dcu() as dcu, receivers(dcu.addresses[0]) as (receiver,):
        report = send_run(dcu, run, plan)
    assert sorted(receiver.image_ids) == [i for i in range(20) if i not in {3, 19}]
    assert receiver.image_ids != sorted(receiver.image_ids)
    assert (report.n_images, report.n_left_out) == (18, 2)
    assert receiver.messages[-1]["max_image_number"] == 19
    with Dcu() as dcu, receivers(dcu.addresses[0]) as (receiver,):
        send_run(dcu, run, SendPlan(send_end=False))
        send_run(dcu, run, SendPlan())
    assert receiver.kinds.count("start") == 2
    assert receiver.kinds.count("end") == 1


def test_the_rate_is_kept(run: SimulatedRun) -> None:
    with Dcu() as dcu, receivers(dcu.addresses[0]):
        report = send_run(dcu, run, SendPlan(rate_hz=100))
    assert report.duration_s >= 0.19


def test_nobody_takes_the_start(run: SimulatedRun) -> None:
    dcu = Dcu(start_timeout_s=0.1)
    with pytest.raises(EndpointError, match="no writer"), dcu:
        send_run(dcu, run)


def test_a_stalled_writer_stops_the_sending_or_loses_images(run: SimulatedRun) -> None:
    """A writer that connects and never reads; the watermarks on both sides are small."""
    with zmq.Context() as context, context.socket(zmq.PULL) as reader:
        reader.set_hwm(1)
        reader.rcvbuf = 4096
        lossy = Dcu(watermark=1, lossy=True, start_timeout_s=0.2)
        reader.connect(lossy.addresses[0])
        report = send_run(lossy, SimulatedRun(small_options(n_images=400, n_distinct=1)))
        assert report.n_lost > 0
        assert report.n_images + report.n_lost == 400
        lossy.abort()
    with zmq.Context() as context, context.socket(zmq.PULL) as reader:
        reader.set_hwm(1)
        reader.rcvbuf = 4096
        waiting = Dcu(watermark=1, stall_timeout_s=0.2)
        reader.connect(waiting.addresses[0])
        with pytest.raises(EndpointError, match="took nothing"), waiting:
            send_run(waiting, SimulatedRun(small_options(n_images=400, n_distinct=1)))


def test_an_interrupted_run_is_cancelled(run: SimulatedRun) -> None:
    def interrupt(_done: int, _of: int) -> None:
        raise KeyboardInterrupt

    with Dcu() as dcu, receivers(dcu.addresses[0]) as (receiver,):
        with pytest.raises(KeyboardInterrupt):
            send_run(dcu, run, SendPlan(rate_hz=20), interrupt)
        wait_for(lambda: not receiver.is_alive())
    assert receiver.messages[-1]["cancelled"] is True
    assert receiver.messages[-1]["images_sent_to_write"] == len(receiver.image_ids)
    assert len(receiver.image_ids) < 20


def test_closing_waits_until_everything_has_left(run: SimulatedRun) -> None:
    with zmq.Context() as context, context.socket(zmq.PULL) as reader:
        dcu = Dcu(watermark=1000)
        reader.connect(dcu.addresses[0])
        send_run(dcu, run)
        assert dcu.close(DEADLINE_S)
        assert sum(1 for _ in iter(lambda: reader.poll(2000) and reader.recv(), 0)) == 25


def test_closing_gives_up_in_time(run: SimulatedRun) -> None:
    with zmq.Context() as context, context.socket(zmq.PULL) as reader:
        reader.set_hwm(1)
        reader.rcvbuf = 4096
        dcu = Dcu(watermark=1000)
        reader.connect(dcu.addresses[0])
        many = SimulatedRun(small_options(n_images=500, n_distinct=1))
        dcu.send_starts([many.start()])
        for i in range(500):
            dcu.send(many.image(i))
        began = time.monotonic()
        assert not dcu.close(0.2)
        assert time.monotonic() - began < 10


def test_an_address_in_use_is_an_error_with_its_name() -> None:
    with Dcu() as dcu:
        with pytest.raises(EndpointError, match=dcu.addresses[0]):
            Dcu([dcu.addresses[0]])
        with pytest.raises(EndpointError, match="nonsense"):
            Dcu(["nonsense"])


def test_listeners_pass_over_what_is_no_json_object() -> None:
    with (
        Listener.of_notifications() as listener,
        zmq.Context() as context,
        context.socket(zmq.PUSH) as writer,
    ):
        writer.connect(listener.address)
        for message in (b"\xff\xfe", b"[1]", b"{", b'{"ok": true}'):
            writer.send(message)
        assert listener.receive(DEADLINE_S) == {"ok": True}
        assert listener.receive(0.01) is None
        assert not listener.wait_connected(0.01)
        with pytest.raises(EndpointError, match="cannot bind"):
            Listener.of_notifications(listener.address)


def test_a_subscription_is_there_before_the_first_announcement() -> None:
    with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
        port = publisher.bind_to_random_port("tcp://127.0.0.1")
        with Listener.of_announcements(f"tcp://127.0.0.1:{port}") as listener:
            assert listener.wait_connected(DEADLINE_S)
            # A PUB socket takes subscriptions in when it sends.
            wait_for(lambda: publisher.send(b'{"n": 1}') is None and listener.receive(0.05) is not None)
    with pytest.raises(EndpointError, match="cannot connect"):
        Listener.of_announcements("nonsense")
