"""Calls of the C library: what they answer, and what becomes of them where the library is older."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from jfwriter.hdf5 import system_calls
from tests.support.mounts import tmpfs


@pytest.fixture
def old_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One that has none of the calls."""
    system_calls._function.cache_clear()
    monkeypatch.setattr(system_calls, "_library", SimpleNamespace)
    yield
    system_calls._function.cache_clear()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.usefixtures("old_library")
def test_an_older_library(folder: int) -> None:
    assert system_calls.rename_without_replacing(folder, "old", "new") == errno.ENOSYS
    assert not system_calls.allocate(folder, 1 << 20)
    system_calls.begin_writeback(folder)


def test_names_are_those_of_the_file_system(folder: int, tmp_path: Path) -> None:
    """Also names that are no UTF-8."""
    old, new = os.fsdecode(b"old\xff"), os.fsdecode(b"new\xfe")
    (tmp_path / old).touch()
    assert system_calls.rename_without_replacing(folder, old, new) == 0
    assert os.listdir(os.fsencode(tmp_path)) == [b"new\xfe"]  # noqa: PTH208 bytes are wanted
    assert system_calls.rename_without_replacing(folder, old, new) == errno.ENOENT


def test_room_that_is_held_back(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "size=1m") as small:
        path = small / "file"
        path.touch()
        descriptor = os.open(path, os.O_RDWR)
        try:
            assert not system_calls.allocate(descriptor, 2 << 20), "more than there is"
            assert not system_calls.allocate(descriptor, 0)
            assert system_calls.allocate(descriptor, 1 << 19)
            assert path.stat().st_size == 1 << 19
        finally:
            os.close(descriptor)


def test_a_function_is_looked_up_once(folder: int) -> None:
    system_calls.allocate(folder, 1)
    found = system_calls._function.cache_info().currsize, system_calls._library()
    system_calls.allocate(folder, 1)
    assert (system_calls._function.cache_info().currsize, system_calls._library()) == found
