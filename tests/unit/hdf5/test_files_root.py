"""A root that was exchanged, unmounted or mounted anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from jfwriter.errors import RunRefused, StorageError
from jfwriter.hdf5.files_root import FilesRoot
from jfwriter.hdf5.publish import PendingFile
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.session.planning import make_plan
from tests.support import messages
from tests.support.mounts import tmpfs, unmount

PLAN = make_plan(messages.start(file_prefix="a/scan"), messages.settings(), 1, 0.0)


def exchange(root: Path) -> None:
    root.rename(root.parent / "old")
    root.mkdir()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


def test_the_same_directory_is_no_problem(root: Path) -> None:
    assert FilesRoot(root).problem() == ""


def test_another_directory_in_its_place(root: Path) -> None:
    known = FilesRoot(root)
    exchange(root)
    assert "another directory" in known.problem()
    with pytest.raises(RunRefused) as caught:
        RunDirectory.open(known, PLAN)
    assert caught.value.reason == "root_gone"
    assert list(root.iterdir()) == []


def test_nothing_there(root: Path) -> None:
    known = FilesRoot(root)
    root.rmdir()
    assert known.problem() == "No such file or directory"


def test_the_guard_file_decides(root: Path) -> None:
    (root / ".mounted").touch()
    known = FilesRoot(root, ".mounted")
    assert known.problem() == ""
    (root / ".mounted").unlink()
    assert "files.root_guard" in known.problem()
    exchange(root)
    assert "files.root_guard" in known.problem()
    (root / ".mounted").touch()
    assert known.problem() == ""


@pytest.mark.parametrize("guard", ["", ".mounted"])
def test_an_unmounted_file_system(tmp_path: Path, guard: str) -> None:
    with tmpfs(tmp_path / "root", "size=1m") as root:
        (root / ".mounted").touch()
        known = FilesRoot(root, guard)
        with RunDirectory.open(known, PLAN) as directory:
            pending = PendingFile(directory, "x.h5")
            Path(pending.path).touch()
            unmount(root)
            with pytest.raises(StorageError, match="went away in mid-run") as caught:
                pending.publish(overwrite=False, sync=True)
            assert caught.value.reason == "root_gone"
            with pytest.raises(StorageError, match="went away"):
                PendingFile(directory, "y.h5")
        with pytest.raises(RunRefused, match="the root directory"):
            RunDirectory.open(known, PLAN)
        assert list(root.iterdir()) == []


def test_a_file_system_mounted_anew_in_mid_run(tmp_path: Path) -> None:
    """The guard is there again, but the open directory is not in what the path leads to."""
    with tmpfs(tmp_path / "root", "size=1m") as root:
        (root / ".mounted").touch()
        known = FilesRoot(root, ".mounted")
        with RunDirectory.open(known, PLAN) as directory:
            unmount(root)
            with tmpfs(root, "size=1m"):
                (root / ".mounted").touch()
                with pytest.raises(StorageError, match="mounted anew"):
                    PendingFile(directory, "x.h5")
                with RunDirectory.open(known, PLAN) as again:
                    PendingFile(again, "x.h5")
