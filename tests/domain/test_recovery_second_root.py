"""Crashes of runs that need the second root directory: what is recovered, and what is told of the rest."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest

from jfwriter.errors import StorageError
from jfwriter.hdf5.data_file import DataFile
from jfwriter.journal import registry
from jfwriter.recovery.place import Options
from jfwriter.recovery.result import State
from jfwriter.recovery.search import recover_known, waiting
from tests.support import stream
from tests.support.crashed import recover_one
from tests.support.daemon import wait_for
from tests.support.offline import OfflineDaemon

LAYOUTS = ("NXmxLegacy", "NXmxVDS", "NXmxIntegrated")
GUARD = ".mounted"
N_IMAGES = 6


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    """Both with the guard file."""
    found = tmp_path / "first", tmp_path / "second"
    for root in found:
        root.mkdir()
        (root / GUARD).touch()
    return found


def writer_of(roots: tuple[Path, Path]) -> OfflineDaemon:
    files: dict[str, object] = {"second_root_dir": str(roots[1]), "root_guard": GUARD, "sync": True}
    return OfflineDaemon(roots[0], files=files, journal={"sync_interval_s": 0.01})


def sent(layout: str, n_images: int) -> list[bytes]:
    start = stream.start(user_data={"file_format": layout, "file_prefix": "sub/run"})
    return [start, *(stream.image_message(i) for i in range(n_images))]


def images_through(master: Path) -> Any:
    """As a reader finds them: the virtual dataset, or the links one after another."""
    with h5py.File(master) as file:
        data = file["/entry/data"]
        if "data" in data:
            return data["data"][()]
        return np.concatenate([data[name][()] for name in sorted(data) if name.startswith("data_")])


def fill_the_first_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """No image can be written there any more."""
    real = DataFile.write

    def write(self: DataFile, *arguments: Any) -> int:
        if not self.relative_name.startswith("/"):
            raise StorageError("no_space", os.strerror(errno.ENOSPC))
        return real(self, *arguments)

    monkeypatch.setattr(DataFile, "write", write)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_run_that_was_begun_in_the_second_root_is_recovered_there(
    roots: tuple[Path, Path], tmp_path: Path, layout: str
) -> None:
    """The first one was not mounted. The second knows its unfinished runs, like any root."""
    first, second = roots
    (first / GUARD).unlink()
    daemon = writer_of(roots)
    daemon.take(sent(layout, N_IMAGES))
    writer = daemon.writer
    assert writer is not None
    wait_for(lambda: writer.synced.n_images == N_IMAGES)
    crashed = Path(shutil.copytree(second, tmp_path / "crashed"))
    writer.abandon()
    assert list(first.iterdir()) == []
    (journal,) = waiting(crashed)
    assert journal.startswith("sub/run.")
    (result,) = recover_known(crashed, Options(remove=True))
    assert (result.state, result.is_good, result.n_images) == (State.RECOVERED, True, N_IMAGES)
    assert registry.entries(crashed) == []
    wanted = [stream.pixels(i) for i in range(N_IMAGES)]
    np.testing.assert_array_equal(images_through(crashed / "sub" / "run_master.h5"), wanted)
    assert all(path.suffix == ".h5" for path in (crashed / "sub").iterdir())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_run_that_went_on_in_the_second_root_and_was_finished_leaves_no_journal(
    roots: tuple[Path, Path], layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = writer_of(roots)
    daemon.take(sent(layout, 2))
    fill_the_first_root(monkeypatch)
    daemon.take([*(stream.image_message(i) for i in range(2, 10)), stream.end()])
    assert daemon.written.report.n_written == 10
    assert [path for root in roots for path in root.rglob("*.journal")] == []
    assert registry.entries(roots[0]) == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_crash_after_the_run_went_on_is_not_told_as_all_of_it(
    roots: tuple[Path, Path], layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recovery does not follow it: it says where more is, removes nothing, and does not end with status 0."""
    first, second = roots
    daemon = writer_of(roots)
    daemon.take(sent(layout, 5))
    fill_the_first_root(monkeypatch)
    daemon.take(stream.image_message(i) for i in range(5, 9))
    crashed = Path(shutil.copytree(first, first.parent / "crashed"))
    before = {path for path in second.rglob("*") if path.is_file()}
    result = recover_one(crashed, remove=True)
    assert (result.is_good, result.removed) == (False, False)
    assert result.went_on_in == f"{second}/sub/"
    assert f"the run went on in {second}/sub/" in result.problems[0]
    assert result.line().endswith(f"; it went on in {second}/sub/, which is not recovered")
    assert before == {path for path in second.rglob("*") if path.is_file()}
    assert daemon.writer is not None
    daemon.writer.abandon()
