"""When a run changes to its second directory, and what is let go of at its end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jfwriter.errors import StorageError
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.hdf5.run_roots import RunRoots
from jfwriter.hdf5.storage import Storage
from jfwriter.session.orders import ClosedFile
from jfwriter.session.plan import RunPlan
from jfwriter.session.planning import make_plan
from jfwriter.settings import Settings
from tests.support import messages

FULL = StorageError("no_space", "cannot write: No space left on device")


class Stage:
    """A run, and the storage it is written to."""

    def __init__(self, folder: Path, *, has_second: bool = True, **start: object) -> None:
        self.first, self.second = folder / "first", folder / "second"
        self.first.mkdir()
        files = {"root_dir": str(self.first), "preflight": "off"}
        if has_second:
            self.second.mkdir()
            files["second_root_dir"] = str(self.second)
        self.settings: Settings = messages.settings(files=dict(files))
        self.storage = Storage(self.settings.files)
        self.plan: RunPlan = make_plan(
            messages.start(**({"file_prefix": "a/scan1"} | start)), self.settings, 1, 0.0
        )

    def open(self) -> RunRoots:
        return RunRoots.open(self.storage, self.plan)

    @property
    def notices(self) -> tuple[str, ...]:
        return self.storage.notices_of(self.plan.serial)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture
def roots(stage: Stage) -> Iterator[RunRoots]:
    with closing(stage.open()) as roots:
        yield roots


def n_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 a path object would hold one more


def test_it_changes_once(stage: Stage, roots: RunRoots) -> None:
    second = roots.after(FULL)
    assert second is not None
    assert second.absolute == f"{stage.second}/a/"
    assert stage.notices == (f"{FULL}; the run goes on in the second root directory",)
    assert roots.after(FULL) is None
    assert roots.second is second
    assert len(stage.notices) == 1


def test_a_run_begun_in_the_second_has_no_other(stage: Stage) -> None:
    stage.first.rename(stage.first.parent / "old")
    stage.first.mkdir()
    with closing(stage.open()) as roots:
        assert roots.first.is_second
        assert roots.after(FULL) is None
        assert roots.second is None


@pytest.mark.parametrize("reason", ["exists", "path"])
def test_a_fault_of_the_run_itself_would_meet_it_there_too(
    stage: Stage, roots: RunRoots, reason: str
) -> None:
    assert roots.after(StorageError(reason, "scan1 exists already")) is None
    assert list(stage.second.iterdir()) == []
    assert stage.notices == ()


def test_without_a_second_root_nothing_is_said_of_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path, has_second=False)
    with closing(stage.open()) as roots:
        assert roots.after(FULL) is None
        assert stage.notices == ()
        assert roots.release_reserve(), "it is for closing the open files"


def test_a_run_that_is_recovered_stays_where_it_is(stage: Stage) -> None:
    with closing(stage.open()) as roots:
        directory = RunDirectory.reopen(stage.storage.first, stage.plan, stage.storage.ownership)
        with closing(RunRoots(None, stage.plan, directory)) as recovered:
            assert recovered.after(FULL) is None
        assert roots.second is None


def test_a_second_root_that_went_away_meanwhile(stage: Stage, roots: RunRoots) -> None:
    stage.second.rename(stage.second.parent / "old")
    stage.second.mkdir()
    assert roots.after(FULL) is None
    assert list(stage.second.iterdir()) == []
    (notice,) = stage.notices
    assert notice.startswith("the second root directory cannot be used: ")
    assert "another directory" in notice


def test_a_second_directory_that_was_moved_is_told(stage: Stage, roots: RunRoots) -> None:
    assert roots.after(FULL) is not None
    assert not roots.has_moved()
    (stage.second / "a").rename(stage.second / "b")
    assert roots.has_moved()


def test_a_file_is_looked_for_where_it_was_published(stage: Stage, roots: RunRoots) -> None:
    def size_of(name: str) -> int | None:
        return roots.size_of(ClosedFile(name, 0, 1, 1, 1))

    roots.after(FULL)
    (stage.first / "a" / "one.h5").write_bytes(b"1")
    (stage.second / "a" / "two.h5").write_bytes(b"22")
    assert size_of("a/one.h5") == 1
    assert size_of(f"{stage.second}/a/two.h5") == 2
    assert size_of("a/two.h5") is None
    assert size_of(f"{stage.second}/a/one.h5") is None


def test_nothing_is_held_afterwards(stage: Stage) -> None:
    """Neither the directories nor the room."""
    n_before = n_descriptors()
    for is_full in (False, True):
        roots = stage.open()
        if is_full:
            roots.after(FULL)
        assert n_descriptors() > n_before
        roots.close()
        assert n_descriptors() == n_before
        assert not roots.release_reserve()


def held_bytes(root: Path) -> int:
    """What files without a name take below `root`, among those that this process has open."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            if str(link.readlink()).startswith(f"{root}/") and not link.stat().st_nlink:
                found += link.stat().st_blocks * 512
    return found


@pytest.mark.parametrize(("n_images", "n_bytes"), [(1, 1 << 20), (1000, 1000 * (8 << 20) // 20 // 64)])
def test_a_large_run_holds_more_room_back(tmp_path: Path, n_images: int, n_bytes: int) -> None:
    """A 64th of a twentieth of its pixels."""
    stage = Stage(tmp_path, image_size_x=2048, image_size_y=2048, number_of_images=n_images)
    with closing(stage.open()):
        held = held_bytes(stage.first)
    if not held:
        pytest.skip("this file system holds no room back")
    assert held == pytest.approx(n_bytes, abs=1 << 16)
