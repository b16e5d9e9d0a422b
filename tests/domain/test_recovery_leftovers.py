"""Kills in the moment in which a file is made: with `--remove` nothing of it stays, and nothing else goes."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from jfwriter.hdf5 import data_file, publish_master
from jfwriter.journal.output import Output
from jfwriter.recovery.result import State
from tests.domain.runs import LAYOUTS
from tests.support import stream
from tests.support.around import around
from tests.support.crashed import content, crash, recover, recover_one
from tests.support.offline import OfflineDaemon

PER_FILE, N_IMAGES = 4, 6
"""As the start message of `stream` has it."""


def sent(layout: str, n_images: int = N_IMAGES) -> list[bytes]:
    start = stream.start(user_data={"file_format": layout, "file_prefix": "sub/run"})
    return [start, *(stream.image_message(i) for i in range(n_images))]


class Copies:
    """Copies of `root` before and after each call of what is patched: what a kill there would have left."""

    def __init__(self, root: Path, work: Path) -> None:
        self.root = root
        self._work = work
        self.made: list[Path] = []

    def around(self, patch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        around(patch, owner, name, self._copy)

    def _copy(self) -> None:
        self.made.append(self._work / f"copy{len(self.made)}")
        shutil.copytree(self.root, self.made[-1], symlinks=True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_kill_while_a_file_is_made_leaves_nothing(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    copies = Copies(root, tmp_path)
    daemon = OfflineDaemon(root, journal={"sync_interval_s": 3600.0})
    with monkeypatch.context() as patch:
        copies.around(patch, data_file, "new_file")
        copies.around(patch, publish_master, "new_file")
        copies.around(patch, Output, "__init__")
        copies.around(patch, Output, "flush")
        daemon.take([*sent(layout), stream.end(n_images=9)])
    assert len(copies.made) > 10
    for top in copies.made:
        assert all(result.is_good for result in recover(top, remove=True))
        left = [name for name in content(top) if not name.startswith(".jfwriter/")]
        assert all(name.endswith(".h5") for name in left), (top.name, left)
        assert recover(top) == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_temporary_file_whose_journal_is_not_there_stays(tmp_path: Path, layout: str) -> None:
    """Nothing tells whether it holds an image, be its name noted or not."""
    top = crash(tmp_path / "living", tmp_path / "crashed", sent(layout))
    (journal,) = (top / "sub").glob("*.tmp.journal")
    journal.unlink()
    stranger = top / "sub" / "run_data_000009.h5.0123456789abcdef.tmp"
    stranger.write_bytes(b"")
    kept = {journal.with_suffix("").name, stranger.name}
    recover_one(top, remove=True)
    assert {path.name for path in (top / "sub").glob("*.tmp")} == kept


def test_a_journal_that_lost_its_header_stays_beside_its_file(tmp_path: Path) -> None:
    top = crash(tmp_path / "living", tmp_path / "crashed", sent("NXmxVDS"))
    (journal,) = (top / "sub").glob("*.tmp.journal")
    journal.write_bytes(b"")
    result = recover_one(top, remove=True)
    assert any("it is empty" in problem for problem in result.problems)
    assert journal.exists()
    assert journal.with_suffix("").exists()


def test_a_file_whose_journal_cannot_be_made_is_never_taken_for_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its images are in it and in no journal."""
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        if str(Path(f"/proc/self/fd/{descriptor}").readlink()).endswith(".tmp.journal"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    daemon = OfflineDaemon(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        daemon.take(sent("NXmxVDS", 2))
    writer = daemon.writer
    assert writer is not None
    assert "given up" in writer.synced.problem
    assert not list(tmp_path.rglob("*.tmp.journal"))
    shutil.copytree(tmp_path / "sub", tmp_path / "copy")
    writer.abandon()
    result = recover_one(tmp_path / "copy", remove=True)
    assert result.state is State.EMPTY
    assert len(list((tmp_path / "copy").glob("*.tmp"))) == 1


def test_a_data_file_that_cannot_be_opened_a_second_time_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jfwriter.journal.file_journal import FileJournal

    def follow(_: FileJournal) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(FileJournal, "follow", follow)
    daemon = OfflineDaemon(tmp_path)
    daemon.take(stream.run(n_images=10))
    assert daemon.written.report.outcome == "complete"
    assert daemon.writer is not None
    assert "cannot be opened beside HDF5" in daemon.writer.synced.problem
    assert not list(tmp_path.rglob("*.journal"))
