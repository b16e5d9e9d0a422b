"""A journal that is written: what is handed to the system when, and what an error of the storage leaves."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jfwriter.journal.output import BUFFER_BYTES, BUFFER_S, Output
from jfwriter.journal.records import Kind, Reader, record

NAME = "run.journal"


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def output(directory: int) -> Iterator[Output]:
    made = Output(directory, NAME)
    yield made
    made.close()


def bodies(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        return [found.body for found in Reader(file, path.stat().st_size)]


def n_open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def syncs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []
    monkeypatch.setattr(os, "fdatasync", calls.append)
    return calls


def test_what_stands_there_is_not_written_to(directory: int, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"of another writer")
    with pytest.raises(FileExistsError):
        Output(directory, NAME)
    assert (tmp_path / NAME).read_bytes() == b"of another writer"


def test_a_file_system_without_locks(directory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    made = Output(directory, NAME)
    made.append(Kind.RUN, b"one")
    made.close()
    assert bodies(tmp_path / NAME) == [b"one"]


def test_records_are_handed_over_by_time_and_by_size(
    output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, now_s = tmp_path / NAME, 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    output.append(Kind.IMAGE, b"0")
    assert bodies(path) == [b"0"]
    output.append(Kind.IMAGE, b"1")
    assert bodies(path) == [b"0"]
    now_s += 2 * BUFFER_S
    output.append(Kind.IMAGE, b"2")
    assert bodies(path) == [b"0", b"1", b"2"]
    n_records = BUFFER_BYTES // len(record(Kind.IMAGE, bytes(100))) + 1
    for _ in range(n_records - 1):
        output.append(Kind.IMAGE, bytes(100))
    assert len(bodies(path)) == 3
    output.append(Kind.IMAGE, bytes(100))
    assert len(bodies(path)) == 3 + n_records


def test_what_is_on_the_disk_is_not_synced_again(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = syncs(monkeypatch)
    output.append(Kind.IMAGE, b"0")
    output.sync()
    output.sync()
    assert len(calls) == 1
    output.append(Kind.IMAGE, b"1")
    output.sync()
    assert len(calls) == 2


def test_a_sync_that_fails_ends_the_journal(
    output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def fdatasync(descriptor: int) -> None:
        calls.append(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    output.append(Kind.IMAGE, b"0")
    output.sync()
    assert output.problem == f"{NAME} cannot be synced: {os.strerror(errno.EIO)}"
    output.append(Kind.IMAGE, b"1")
    output.sync()
    assert len(calls) == 1
    output.close()
    assert bodies(tmp_path / NAME) == [b"0"]


def test_a_system_that_takes_a_part(output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:5]))
    output.append(Kind.IMAGE, b"0123456789")
    output.flush()
    assert bodies(tmp_path / NAME) == [b"0123456789"]


def test_a_full_disk_ends_the_journal_where_it_is(
    output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output.append(Kind.IMAGE, b"0")
    output.flush()
    real, calls = os.write, 0

    def write(descriptor: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            return real(descriptor, data[:5])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", write)
    output.append(Kind.IMAGE, b"1")
    output.flush()
    monkeypatch.setattr(os, "write", real)
    output.append(Kind.IMAGE, b"2")
    output.close()
    assert "cannot be written" in output.problem
    assert (tmp_path / NAME).read_bytes() == record(Kind.IMAGE, b"0") + record(Kind.IMAGE, b"1")[:5]


def test_closing_writes_what_waits_and_only_once(directory: int, tmp_path: Path) -> None:
    before = n_open()
    made = Output(directory, NAME)
    made.append(Kind.IMAGE, b"0")
    made.append(Kind.IMAGE, b"1")
    made.close()
    assert n_open() == before
    assert made.problem == f"{NAME} is closed"
    made.append(Kind.IMAGE, b"2")
    made.flush()
    made.close()
    assert made.problem == f"{NAME} is closed"
    assert bodies(tmp_path / NAME) == [b"0", b"1"]


def test_an_error_of_the_close_is_told(directory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Output(directory, NAME)
    real = os.close

    def close(descriptor: int) -> None:
        real(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "close", close)
    made.close()
    monkeypatch.undo()
    assert "cannot be closed" in made.problem


def test_a_journal_that_is_gone_already_may_be_removed(directory: int, tmp_path: Path) -> None:
    made = Output(directory, NAME)
    (tmp_path / NAME).unlink()
    made.remove()
    assert made.problem == f"{NAME} is closed"
