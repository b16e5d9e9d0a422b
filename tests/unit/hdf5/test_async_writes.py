"""Writes that go on by themselves: what they leave in the file, and what is told of those that fail."""

from __future__ import annotations

import errno
import mmap
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jfwriter.hdf5 import async_writes
from jfwriter.hdf5.async_writes import MAX_WRITES, AsyncWrites, Write

BLOCK = 4096
MEMORY = np.frombuffer(mmap.mmap(-1, 64 * BLOCK), np.uint8)
MEMORY[:] = np.random.default_rng(2).integers(0, 256, MEMORY.size, np.uint8)

WRITES = AsyncWrites()  # as the daemon, one for all: the system has few of them


@pytest.fixture(params=[0, os.O_DIRECT], ids=["cached", "direct"])
def descriptor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT | request.param)
    yield opened
    WRITES.drain()
    os.close(opened)


def content(descriptor: int, n_bytes: int) -> bytes:
    with Path(f"/proc/self/fd/{descriptor}").open("rb") as file:
        return file.read(n_bytes)


def test_pieces_stand_one_behind_the_other(descriptor: int) -> None:
    pieces = [MEMORY[4 * BLOCK : 6 * BLOCK], MEMORY[:BLOCK], MEMORY[9 * BLOCK : 12 * BLOCK]]
    (first,) = WRITES.begin([Write(descriptor, pieces, 0)])
    (second,) = WRITES.begin([Write(descriptor, pieces[1:], 8 * BLOCK)])
    assert WRITES.wait(second) == 4 * BLOCK
    assert WRITES.wait(first) == 6 * BLOCK
    assert content(descriptor, 6 * BLOCK) == np.concatenate(pieces).tobytes()
    assert content(descriptor, 12 * BLOCK)[8 * BLOCK :] == np.concatenate(pieces[1:]).tobytes()


def test_as_many_as_there_is_room_for(descriptor: int) -> None:
    writes = [Write(descriptor, [MEMORY[i * BLOCK : (i + 1) * BLOCK]], i * BLOCK) for i in range(MAX_WRITES)]
    tickets = WRITES.begin(writes)
    assert len(tickets) == MAX_WRITES
    assert {WRITES.wait(ticket) for ticket in reversed(tickets)} == {BLOCK}
    assert content(descriptor, MAX_WRITES * BLOCK) == MEMORY[: MAX_WRITES * BLOCK].tobytes()


def test_none_is_begun_where_the_first_cannot(descriptor: int) -> None:
    good, bad = Write(descriptor, [MEMORY[:BLOCK]], 0), Write(1 << 20, [MEMORY[:BLOCK]], 0)
    assert WRITES.begin([bad]) == []
    (ticket,) = WRITES.begin([good, bad, good])
    assert WRITES.wait(ticket) == BLOCK


def test_nothing_to_write_is_nothing() -> None:
    assert WRITES.begin([]) == []


def test_after_a_drain_nothing_is_in_flight(descriptor: int) -> None:
    WRITES.begin([Write(descriptor, [MEMORY], i * MEMORY.size) for i in range(8)])
    WRITES.drain()
    assert WRITES.n_in_flight == 0
    assert content(descriptor, 8 * MEMORY.size) == 8 * MEMORY.tobytes()
    (ticket,) = WRITES.begin([Write(descriptor, [MEMORY[:BLOCK]], 0)])
    assert WRITES.wait(ticket) == BLOCK


def test_a_failure_is_a_negative_number(descriptor: int) -> None:
    (ticket,) = WRITES.begin([Write(descriptor, [MEMORY[:BLOCK]], (1 << 63) - 2 * BLOCK)])
    assert WRITES.wait(ticket) == -errno.EFBIG


def test_a_signal_interrupts_no_wait(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = async_writes.system_call
    interrupted = []

    def once(number: int, *arguments: int) -> int:
        if number == WRITES._get_events and not interrupted:
            interrupted.append(number)
            raise InterruptedError
        return real(number, *arguments)

    monkeypatch.setattr(async_writes, "system_call", once)
    (ticket,) = WRITES.begin([Write(descriptor, [MEMORY[:BLOCK]], 0)])
    assert WRITES.wait(ticket) == BLOCK
    assert interrupted


def test_a_machine_without_such_calls_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "s390x")
    with pytest.raises(OSError, match="s390x"):
        AsyncWrites()
