"""Log lines: one record one line, nothing of the wire breaks out, a reader that stops stops nobody."""

from __future__ import annotations

import io
import logging
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jfwriter.daemon import logs
from jfwriter.daemon.wire_log import BURST_LINES, MAX_REMEMBERED, WireLog


def record(message: str, *, error: BaseException | None = None) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("jfwriter.x", logging.WARNING, __file__, 1, "%s", (message,), info)


def test_a_line_has_time_and_level() -> None:
    line = logs.LineFormatter(journal=False).format(record("hello"))
    assert line.endswith(" WARNING hello")
    moment = datetime.fromisoformat(line.split(" ")[0])
    assert abs(moment - datetime.now(UTC)) < timedelta(minutes=5)


@pytest.mark.parametrize(
    ("zone", "printed"),
    [("CET-1CEST,M3.5.0,M10.5.0/3", "2026-07-01T14:30:00.125+02:00"),
     ("NST3:30", "2026-07-01T09:00:00.125-03:30"), ("UTC0", "2026-07-01T12:30:00.125+00:00")],
)  # fmt: skip
def test_the_time_of_a_line_says_its_zone(monkeypatch: pytest.MonkeyPatch, zone: str, printed: str) -> None:
    said = record("hello")
    said.created = datetime(2026, 7, 1, 12, 30, 0, 125_000, UTC).timestamp()
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        line = logs.LineFormatter(journal=False).format(said)
    time.tzset()
    assert line == f"{printed} WARNING hello"


def test_the_hour_that_comes_twice_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = []
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        for hour in (0, 1):
            said = record("hello")
            said.created = datetime(2026, 10, 25, hour, 30, tzinfo=UTC).timestamp()
            lines.append(logs.LineFormatter(journal=False).format(said).split(" ")[0])
    time.tzset()
    assert lines == ["2026-10-25T02:30:00.000+02:00", "2026-10-25T02:30:00.000+01:00"]


def test_under_journald_a_line_has_its_priority_and_no_time() -> None:
    assert logs.LineFormatter(journal=True).format(record("hello")) == "<4>hello"


def test_each_line_of_a_traceback_is_marked() -> None:
    try:
        raise ValueError("from the wire\n<0>forged\x1b")
    except ValueError as error:
        lines = logs.LineFormatter(journal=True).format(record("broken", error=error)).split("\n")
    assert lines[0] == "<4>broken"
    assert all(line.startswith("<4>| ") for line in lines[1:])
    assert lines[-1] == r"<4>| <0>forged\x1b"


def test_the_journal_is_recognized_by_its_inode(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as stream:
        status = os.fstat(stream.fileno())
        assert logs._is_journal(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        assert not logs._is_journal(stream, {"JOURNAL_STREAM": "1:2"})
        assert not logs._is_journal(stream, {})
    assert not logs._is_journal(io.StringIO(), {"JOURNAL_STREAM": "1:2"})


class StoppedStream(io.StringIO):
    """Nobody reads it until `read_again` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.read_again = threading.Event()

    def write(self, text: str) -> int:
        self.read_again.wait()
        return super().write(text)


@pytest.fixture
def stopped() -> Iterator[StoppedStream]:
    stream = StoppedStream()
    yield stream
    stream.read_again.set()


def test_a_stopped_reader_stops_nobody_and_what_is_lost_is_counted(stopped: StoppedStream) -> None:
    handler = logs.BackgroundHandler(stopped, logs.LineFormatter(journal=True))
    n_lines = logs.MAX_WAITING_LINES + 50
    for i in range(n_lines):
        handler.emit(record(f"line {i}"))
    stopped.read_again.set()
    handler.finish(timeout_s=20)
    lines = stopped.getvalue().splitlines()
    lost = [line for line in lines if "log lines were lost" in line]
    assert lines[0] == "<4>line 0"
    assert len(lines) - len(lost) + sum(int(line.split()[0]) for line in lost) == n_lines
    assert lost


def test_a_reader_that_never_comes_back_does_not_hold_the_end(stopped: StoppedStream) -> None:
    handler = logs.BackgroundHandler(stopped, logs.LineFormatter(journal=True))
    handler.emit(record("line"))
    handler.finish(timeout_s=0.05)
    assert stopped.getvalue() == ""


def test_a_closed_stream_is_no_error() -> None:
    stream = io.StringIO()
    stream.close()
    handler = logs.BackgroundHandler(stream, logs.LineFormatter(journal=True))
    handler.emit(record("line"))
    handler.finish()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wire_log(caplog: pytest.LogCaptureFixture, clock: Clock) -> WireLog:
    caplog.set_level(logging.DEBUG)
    return WireLog(logging.getLogger("test.wire"), clock)


def test_each_thing_is_said_once_per_run(wire_log: WireLog, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        wire_log.once(logging.WARNING, "a", "first")
        wire_log.once(logging.WARNING, "b", "second")
    assert caplog.messages == ["first", "second"]
    wire_log.new_run()
    wire_log.once(logging.WARNING, "a", "first")
    assert caplog.messages == ["first", "second", "first"]


def test_a_flood_of_runs_is_cut_and_counted(
    wire_log: WireLog, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    for i in range(BURST_LINES + 500):
        wire_log.new_run()
        wire_log.once(logging.WARNING, "a", f"run {i}")
    assert len(caplog.messages) == BURST_LINES
    clock.now += 1.0
    wire_log.say(logging.INFO, "later")
    assert caplog.messages[-2:] == ["500 log lines about messages were left out", "later"]


def test_inventions_of_one_kind_do_not_silence_another(
    wire_log: WireLog, caplog: pytest.LogCaptureFixture
) -> None:
    for i in range(MAX_REMEMBERED + 5):
        wire_log.once(logging.WARNING, ("unknown", f"type {i}"), "invented")
    wire_log._tokens = float(BURST_LINES)
    wire_log.once(logging.WARNING, ("bad_message", "not_a_map"), "worth knowing")
    assert "worth knowing" in caplog.messages


def test_a_sender_that_invents_reasons_fills_no_memory(wire_log: WireLog, clock: Clock) -> None:
    for i in range(5000):
        clock.now += 1.0
        wire_log.once(logging.DEBUG, ("type", i), "unknown type")
    assert len(wire_log._said) <= 1000
