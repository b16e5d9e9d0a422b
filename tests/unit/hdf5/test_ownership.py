"""Group and mode of files and directories."""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from jfwriter.errors import StorageUnavailable
from jfwriter.hdf5.ownership import Ownership
from tests.support import messages
from tests.support.writer_run import Run


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def other_group() -> int:
    """A group that this process may use and that is not its own."""
    groups = {0, 12345} if os.geteuid() == 0 else set(os.getgroups())
    groups -= {os.getegid()}
    if not groups:
        pytest.skip("this user is in one group only")
    return max(groups)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_mode_and_group_as_set(tmp_path: Path) -> None:
    group = other_group()
    run = Run(tmp_path, files={"file_mode": 0o640, "group": group}, file_prefix="a/b/scan")
    run.write(0)
    run.finish(1)
    files = sorted((tmp_path / "a" / "b").iterdir())
    assert [path.name for path in files] == ["scan_data_000001.h5", "scan_master.h5"]
    assert [(mode(path), path.stat().st_gid) for path in files] == [(0o640, group)] * 2
    made = [tmp_path / "a", tmp_path / "a" / "b"]
    assert [(mode(path), path.stat().st_gid) for path in made] == [(0o750, group)] * 2


def test_the_umask_rules_where_nothing_is_set(tmp_path: Path) -> None:
    run = Run(tmp_path, file_prefix="a/scan")
    run.write(0)
    run.finish(1)
    assert mode(tmp_path / "a" / "scan_master.h5") == 0o600
    assert mode(tmp_path / "a") == 0o700


def test_a_setgid_directory_hands_its_group_down(tmp_path: Path) -> None:
    group = other_group()
    os.chown(tmp_path, -1, group)
    tmp_path.chmod(0o2770)
    run = Run(tmp_path, files={"file_mode": 0o660}, file_prefix="a/scan")
    run.write(0)
    run.finish(1)
    assert (mode(tmp_path / "a"), (tmp_path / "a").stat().st_gid) == (0o2770, group)
    file = tmp_path / "a" / "scan_master.h5"
    assert (mode(file), file.stat().st_gid) == (0o660, group)


def test_a_group_by_name() -> None:
    own = grp.getgrgid(os.getegid()).gr_name
    assert Ownership.of(messages.settings(files={"group": own}).files).group_id == os.getegid()


def test_a_group_that_is_not_there() -> None:
    with pytest.raises(StorageUnavailable, match="no group 'no-such-group'"):
        Ownership.of(messages.settings(files={"group": "no-such-group"}).files)


def test_a_group_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "getgroups", list)
    with pytest.raises(StorageUnavailable, match="not in group 4321"):
        Ownership.of(messages.settings(files={"group": 4321}).files)


def test_the_writer_can_always_use_the_directories_that_it_makes(tmp_path: Path) -> None:
    run = Run(tmp_path, files={"file_mode": 0o440}, file_prefix="a/scan")
    run.write(0)
    run.finish(1)
    assert mode(tmp_path / "a") == 0o750
    assert mode(tmp_path / "a" / "scan_master.h5") == 0o440


def test_the_first_group_is_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert Ownership.of(messages.settings(files={"group": 0}).files).group_id == 0


@pytest.mark.parametrize("group", [7, 8, 9])
def test_any_group_of_the_user_may_be_given(monkeypatch: pytest.MonkeyPatch, group: int) -> None:
    """Its main group need not be among the further ones."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "getegid", lambda: 7)
    monkeypatch.setattr(os, "getgroups", lambda: [8, 9])
    assert Ownership.of(messages.settings(files={"group": group}).files).group_id == group
