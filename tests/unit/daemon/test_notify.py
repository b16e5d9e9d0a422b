"""Notifying the sender: addresses that it may name, and one that nobody answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.daemon import notify
from jfwriter.daemon.notify import MAX_AT_ONCE, RunNotifier, is_valid_address, notification
from jfwriter.daemon.results import result_of_report
from jfwriter.daemon.sockets import Context, Socket, endpoint
from jfwriter.daemon.status import LastRun
from jfwriter.session.orders import Outcome, RunReport
from jfwriter.session.planning import make_plan
from tests.support import messages
from tests.support.eventually import eventually


def result(outcome: Outcome = Outcome.COMPLETE, **fields: Any) -> LastRun:
    plan = make_plan(messages.start(**fields), messages.settings(), 1, 0.0)
    return result_of_report(RunReport(plan, outcome, (), n_images=10, n_written=9, missing=()), 0.0)


@pytest.fixture
def pull(context: Context) -> Iterator[Socket]:
    with context.socket(zmq.PULL) as socket:
        socket.linger = 0
        socket.rcvtimeo = 20_000
        yield socket


@pytest.mark.parametrize(
    "address",
    [
        "tcp://dcu:5400",
        "tcp://10.0.0.1:1",
        "tcp://dcu-1.psi.ch:65535",
        "tcp://[fe80::1]:5400",
        "ipc:///run/x.sock",
        "ipc://@abstract",
    ],
)
def test_addresses_that_are_taken(address: str) -> None:
    assert is_valid_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "", "tcp://", "tcp://dcu", "tcp://dcu:0", "tcp://dcu:65536", "tcp://*:5400", "tcp://dcu:5400 ",
        "tcp://dcu:5400\n", "tcp://eth0;dcu:5400", "tcp://-x:5400", "inproc://x", "pgm://x:1", "http://x:80",
        "ipc://", "ipc://a\0b", "ipc://a b", "ipc://*", "ipc://" + "x" * 200, "tcp://dcu:５４００",
    ],
)  # fmt: skip
def test_addresses_that_are_not(address: str) -> None:
    assert not is_valid_address(address)


@given(st.text())
def test_any_text_is_judged(address: str) -> None:
    assert is_valid_address(address) in {True, False}


@pytest.mark.parametrize(
    ("outcome", "ok"),
    [
        (Outcome.COMPLETE, True),
        (Outcome.INCOMPLETE, False),
        (Outcome.CANCELLED, False),
        (Outcome.FAILED, False),
    ],
)
def test_the_message(outcome: Outcome, *, ok: bool) -> None:
    assert json.loads(notification(result(outcome, socket_number=3, run_name="r", run_number=8))) == {
        "socket_number": 3,
        "run_name": "r",
        "run_number": 8,
        "ok": ok,
        "processed_images": 9,
    }


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
async def test_the_sender_gets_one_message(pull: Socket, tmp_path: Path, transport: str) -> None:
    pull.bind("tcp://127.0.0.1:*" if transport == "tcp" else f"ipc://{tmp_path}/n")
    notifier = RunNotifier()
    start = messages.start(writer_notification_zmq_addr=endpoint(pull))
    notifier.run_finished(result(), start)
    await notifier.close()
    assert json.loads(pull.recv())["ok"] is True
    assert (notifier.status().sent, notifier.status().failed) == (1, 0)


async def test_a_sender_that_wants_nothing_gets_nothing() -> None:
    notifier = RunNotifier()
    notifier.run_finished(result(), messages.start())
    await notifier.close()
    assert (notifier.n_sent, notifier.n_failed) == (0, 0)


async def test_nobody_there_is_counted_and_waits_for_nobody(
    unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "TRY_S", 0.1)
    notifier = RunNotifier()
    start = messages.start(writer_notification_zmq_addr=f"tcp://127.0.0.1:{unused_tcp_port}")
    for _ in range(MAX_AT_ONCE + 5):
        notifier.run_finished(result(), start)
    assert notifier.n_failed == 5
    await eventually(lambda: notifier.n_failed == MAX_AT_ONCE + 5)
    await notifier.close()
    assert notifier.n_sent == 0


async def test_an_address_that_may_not_be_named_is_counted() -> None:
    notifier = RunNotifier()
    notifier.run_finished(result(), messages.start(writer_notification_zmq_addr="inproc://x"))
    assert notifier.n_failed == 1
    await notifier.close()
