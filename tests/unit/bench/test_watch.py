"""A process is looked at from outside: who writes, how much, and what that thread does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jfwriter.bench import usage
from jfwriter.bench.watch import Watch, Watched
from tests.support.daemon import wait_for

WRITES = """
import os, sys, threading
stop = threading.Event()
def work():
    file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
    while not stop.is_set():
        os.pwrite(file, bytes(100_000), 0)
        os.fsync(file)
thread = threading.Thread(target=work)
thread.start()
print("ready", flush=True)
sys.stdin.read()
stop.set()
thread.join()
"""


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES, str(tmp_path / "file")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.stdin.close()
    process.wait(30)
    process.stdout.close()


def watched(process: subprocess.Popen[str], n_points: int, queued: list[int]) -> Watched:
    with Watch(process.pid, lambda: queued.pop() if queued else 0, 10) as watch:
        wait_for(lambda: watch.n_points >= n_points)
    return watch.result()


def test_a_process_that_writes(writing: subprocess.Popen[str]) -> None:
    seen = watched(writing, 6, [5, 100])
    written = [point.written_bytes for point in seen.points]
    assert written == sorted(written)
    assert written[-1] > 100_000
    assert sum(seen.writer.values()) == pytest.approx(1)
    # It does nothing but write, sync and what Python needs for that.
    assert seen.writer["waiting"] < 0.9
    assert seen.peak_resident_bytes > 1_000_000
    assert 0 < seen.backlog < 1
    assert seen.busiest_other_name


def test_a_process_that_is_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert usage.threads(process.pid) == {}
    assert usage.cpu_s(process.pid) == 0
    assert usage.doing(process.pid, process.pid) == "waiting"
    with Watch(process.pid) as watch:
        wait_for(lambda: watch.n_points >= 1)
    seen = watch.result()
    assert (seen.cpu_s, seen.busiest_other_name) == (0, "")


def test_waiting_for_a_direct_write_is_writing() -> None:
    """One that never ends."""
    script = """
from jfwriter.hdf5.async_writes import AsyncWrites
writes = AsyncWrites()
writes.n_in_flight = 1
print("ready", flush=True)
writes.drain()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            wait_for(lambda: usage.doing(process.pid, process.pid) == "writing")
        finally:
            process.kill()
