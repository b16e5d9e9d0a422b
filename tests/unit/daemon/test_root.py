"""The root directory: what is wrong with it, at the start and later."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from jfwriter.daemon import root as root_module
from jfwriter.daemon.root import Root
from jfwriter.errors import StorageUnavailable


async def test_a_sound_root(tmp_path: Path) -> None:
    assert await Root(str(tmp_path)).problem() == ""


def test_a_relative_root_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Root(".").path == tmp_path


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match=r"root directory .*/none: is not there") as caught:
        Root(str(tmp_path / "none"))
    assert caught.value.exit_code == 74


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnavailable, match="no directory"):
        Root(str(tmp_path / "file"))


def test_a_root_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(StorageUnavailable, match="cannot be written to"):
        Root(str(tmp_path))


async def test_a_full_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Root(str(tmp_path))
    real = os.statvfs(tmp_path)
    full = os.statvfs_result([*real[:4], 0, *real[5:]])
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    assert await root.problem() == "no space left"


async def test_a_root_that_went_away_or_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / "root"
    path.mkdir()
    root = Root(str(path))
    path.rename(tmp_path / "old")
    assert "is not there" in await root.problem()
    path.mkdir()
    assert "another directory" in await root.problem()


async def test_a_file_system_that_does_not_answer_costs_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Root(str(tmp_path))
    answers = threading.Event()
    monkeypatch.setattr(root, "_problem_now", lambda: "" if answers.wait(20) else "late")
    monkeypatch.setattr(root_module, "ANSWER_S", 0.05)
    for _ in range(3):
        assert "has not answered" in await root.problem()
    assert sum(thread.name == "root" for thread in threading.enumerate()) == 1
    answers.set()
    monkeypatch.setattr(root_module, "ANSWER_S", 20.0)
    assert await root.problem() == ""


def test_people_see_names_relative_to_the_root(tmp_path: Path) -> None:
    root = Root(str(tmp_path))
    assert root.public(f"{tmp_path}/a/b.h5: gone") == "a/b.h5: gone"
    assert root.public(f"cannot list {tmp_path}") == "cannot list the root directory"
