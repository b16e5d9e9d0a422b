"""What keeps a run out of the wrong root directory, looked at one by one."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from jfwriter.errors import FailRun, RunRefused
from jfwriter.hdf5.files_root import FilesRoot, Identity
from jfwriter.hdf5.storage import Storage
from jfwriter.session.plan import RunPlan
from jfwriter.session.planning import make_plan
from tests.support import messages
from tests.support.mounts import tmpfs


def n_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 a path object would hold one more


def plan_and_storage(root: Path, **files: object) -> tuple[RunPlan, Storage]:
    settings = messages.settings(files={"root_dir": str(root), **files})
    return make_plan(messages.start(), settings, 1, 0.0), Storage(settings.files)


def test_a_guard_that_is_a_link_need_not_lead_anywhere(tmp_path: Path) -> None:
    (tmp_path / "guard").symlink_to("/nowhere/at/all")
    assert FilesRoot(tmp_path, "guard").problem() == ""


def test_a_new_mount_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "root"
    path.mkdir()
    root = FilesRoot(path, "guard")
    path.rename(tmp_path / "old")
    path.mkdir()
    (path / "guard").touch()
    n_before = n_descriptors()
    assert [root.problem(), root.problem()] == ["", ""]
    assert n_descriptors() == n_before
    assert [record.getMessage() for record in caplog.records] == [f"{path} was mounted anew"]


def test_a_file_system_without_a_number_is_known_by_its_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_fsid=0))
    assert Identity.of(tmp_path).file_system == tmp_path.stat().st_dev


def test_a_root_that_cannot_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = FilesRoot(tmp_path)

    def broken(_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "statvfs", broken)
    assert root.problem() == "Input/output error"


def test_a_run_that_stands_there_does_not_go_to_the_second_root(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    plan, storage = plan_and_storage(first, second_root_dir=str(second))
    (first / plan.master_name).touch()
    with pytest.raises(RunRefused) as caught:
        storage.open_directory(plan)
    assert caught.value.reason == "exists"
    assert list(second.iterdir()) == []


def test_a_first_root_that_fails_without_a_second(tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    plan, storage = plan_and_storage(first)
    first.rename(tmp_path / "old")
    first.mkdir()
    with pytest.raises(FailRun, match="another directory than when the writer was started"):
        storage.open_directory(plan)
    with pytest.raises(RunRefused, match="there is no second root directory"):
        storage.open_second(plan)


def test_a_run_refused_for_want_of_room_holds_no_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, storage = plan_and_storage(tmp_path, preflight="refuse")
    monkeypatch.setattr("jfwriter.hdf5.storage.shortages", lambda *_: ["too small"])
    n_before = n_descriptors()
    with pytest.raises(RunRefused, match="too small"):
        storage.open_directory(plan)
    assert n_descriptors() == n_before


def test_a_path_that_leads_out_of_the_first_root_does_not_go_to_the_second(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    settings = messages.settings(files={"root_dir": str(first), "second_root_dir": str(second)})
    storage = Storage(settings.files)
    (first / "a").symlink_to(tmp_path)
    plan = make_plan(messages.start(file_prefix="a/scan1"), settings, 1, 0.0)
    with pytest.raises(RunRefused) as caught:
        storage.open_directory(plan)
    assert caught.value.reason == "path"
    assert list(second.iterdir()) == []


def test_the_room_of_both_roots_counts(tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    with tmpfs(tmp_path / "first", "size=1m") as first:
        size = {"image_size_x": 4000, "image_size_y": 4000, "number_of_images": 10}
        files = {"root_dir": str(first), "preflight": "refuse"}
        for more, is_refused in (({}, True), ({"second_root_dir": str(second)}, False)):
            settings = messages.settings(files=files | more)
            plan = make_plan(messages.start(**size), settings, 1, 0.0)
            with pytest.raises(RunRefused, match="are free") if is_refused else contextlib.nullcontext():
                Storage(settings.files).open_directory(plan).close()


def test_each_thing_to_know_of_a_run_is_told(tmp_path: Path) -> None:
    plan, storage = plan_and_storage(tmp_path)
    storage.note(plan, "one")
    storage.note(plan, "two")
    assert storage.notices_of(plan.serial) == ("one", "two")
    assert storage.notices_of(plan.serial + 1) == ()
