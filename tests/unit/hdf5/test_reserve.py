"""Room that is held back: how much, where it cannot be held, and that it is given back once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jfwriter.hdf5 import reserve
from jfwriter.hdf5.preflight import Room
from jfwriter.hdf5.reserve import LEAST_BYTES, MOST_BYTES, SHARE_OF_ROOM, SHARE_OF_RUN, Reserve


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the file system is asked to hold back."""
    found: list[int] = []
    monkeypatch.setattr(reserve, "allocate", lambda _, n_bytes: found.append(n_bytes) or True)
    return found


def n_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 a path object would hold one more


@pytest.mark.parametrize(
    ("run_bytes", "n_free_bytes", "n_bytes"),
    [
        (0, 1 << 40, LEAST_BYTES),
        (10 * LEAST_BYTES * SHARE_OF_RUN, 1 << 40, 10 * LEAST_BYTES),
        (1 << 50, 1 << 40, MOST_BYTES),
        (0, LEAST_BYTES, LEAST_BYTES // SHARE_OF_ROOM),
        (1 << 50, 0, 0),
    ],
)
def test_how_much(
    directory: int,
    asked: list[int],
    monkeypatch: pytest.MonkeyPatch,
    *,
    run_bytes: int,
    n_free_bytes: int,
    n_bytes: int,
) -> None:
    monkeypatch.setattr(Room, "of", lambda _: Room(n_free_bytes, None))
    assert Reserve(directory, run_bytes).release()
    assert asked == [n_bytes]


def test_it_is_given_back_once(directory: int, asked: list[int]) -> None:
    n_before = n_descriptors()
    held = Reserve(directory, 0)
    assert n_descriptors() == n_before + 1
    assert held.release()
    assert n_descriptors() == n_before
    other = os.open("/dev/null", os.O_RDONLY)  # gets the number that has become free
    assert not held.release()
    os.fstat(other)
    os.close(other)


def test_a_file_system_that_holds_nothing_back(directory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reserve, "allocate", lambda *_: False)
    n_before = n_descriptors()
    assert not Reserve(directory, 0).release()
    assert n_descriptors() == n_before


def test_a_file_system_without_such_files(
    directory: int, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object, **__: object) -> int:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "open", unsupported)
    assert not Reserve(directory, 0).release()
    assert asked == []


def test_a_close_that_fails_costs_nothing(
    directory: int, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Reserve(directory, 0)
    close = os.close

    def failing(descriptor: int) -> None:
        close(descriptor)
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "close", failing)
        assert held.release()
    assert not held.release()
