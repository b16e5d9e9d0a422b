"""The journal of a data file that plain bytes stand for: places, syncs, and how it is let go of."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jfwriter.journal.file_journal import SUFFIX, FileJournal
from jfwriter.journal.image_record import packed
from jfwriter.journal.records import Kind, Reader
from jfwriter.journal.sync_count import SyncCount
from jfwriter.wire.messages import ImageMessage
from tests.support.daemon import wait_for

NAME = "run_data_000001.h5.0123.tmp"
DATA = np.random.default_rng(1).bytes(1000)
IMAGE = ImageMessage(series_id=1, image_id=0, channels={})


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def count() -> SyncCount:
    return SyncCount()


@pytest.fixture
def journal(directory: int, tmp_path: Path, count: SyncCount) -> Iterator[FileJournal]:
    made = FileJournal(directory, NAME, {}, count)
    (tmp_path / NAME).write_bytes(DATA)
    made.follow()
    yield made
    made.keep()


def enter(journal: FileJournal) -> None:
    journal.enter([packed(IMAGE, 0, (), [(0, len(DATA))])])


def kinds(tmp_path: Path) -> list[int]:
    path = tmp_path / (NAME + SUFFIX)
    with path.open("rb") as file:
        return [found.kind for found in Reader(file, path.stat().st_size)]


def n_open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class Syncs:
    """What is brought to the disk, by the names of the files; fails with `error` where a name has `of`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, of: str = "\0", error: int = errno.EIO) -> None:
        self.names: list[str] = []
        self._of = of
        self._error = error
        monkeypatch.setattr(os, "fdatasync", self._sync)
        monkeypatch.setattr(os, "fsync", self._sync)

    def _sync(self, descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        self.names.append(name)
        if name == self._of:
            raise OSError(self._error, os.strerror(self._error))


def test_a_journal_that_cannot_be_made_holds_nothing_open(
    directory: int, tmp_path: Path, count: SyncCount
) -> None:
    (tmp_path / (NAME + SUFFIX)).touch()
    before = n_open()
    with pytest.raises(FileExistsError):
        FileJournal(directory, NAME, {}, count)
    assert n_open() == before


def test_a_link_in_place_of_the_data_file_is_not_followed(
    directory: int, tmp_path: Path, count: SyncCount
) -> None:
    (tmp_path / "other").touch()
    (tmp_path / NAME).symlink_to(tmp_path / "other")
    made = FileJournal(directory, NAME, {}, count)
    with pytest.raises(OSError, match="symbolic links"):
        made.follow()
    made.keep()


def test_pixels_first_then_their_name_then_the_note(
    journal: FileJournal, tmp_path: Path, count: SyncCount, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs = Syncs(monkeypatch)
    enter(journal)
    journal.sync()
    assert syncs.names == [NAME, tmp_path.name, NAME + SUFFIX]
    assert kinds(tmp_path) == [Kind.FILE, Kind.IMAGE, Kind.SYNCED]
    assert count.n_images == 1
    journal.sync()
    assert len(syncs.names) == 3, "nothing new"
    enter(journal)
    journal.sync()
    assert syncs.names[3:] == [NAME, NAME + SUFFIX]
    assert count.n_images == 2


@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_cannot_sync_directories(
    journal: FileJournal, tmp_path: Path, count: SyncCount, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    Syncs(monkeypatch, tmp_path.name, error)
    enter(journal)
    journal.sync()
    assert journal.failure is None
    assert count.n_images == 1


@pytest.mark.parametrize("of", ["the data file", "the directory"])
def test_a_failed_sync_is_not_repeated(
    journal: FileJournal, tmp_path: Path, count: SyncCount, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    syncs = Syncs(monkeypatch, NAME if of == "the data file" else tmp_path.name)
    enter(journal)
    journal.sync()
    n_syncs = len(syncs.names)
    for attempt in (journal.check, journal.settle):
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            attempt()
    journal.sync()
    assert len(syncs.names) == n_syncs
    assert Kind.SYNCED not in kinds(tmp_path)
    assert count.n_images == 0


def test_images_whose_note_did_not_reach_the_disk_are_not_counted(
    journal: FileJournal, count: SyncCount, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs = Syncs(monkeypatch, NAME + SUFFIX)
    enter(journal)
    journal.sync()
    assert journal.problem
    assert journal.failure is None, "the data file is not to blame"
    assert count.n_images == 0
    n_syncs = len(syncs.names)
    enter(journal)
    journal.sync()
    assert len(syncs.names) == n_syncs


def test_settling_syncs_the_data_file(journal: FileJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = Syncs(monkeypatch)
    journal.settle()
    assert syncs.names == [NAME]


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_file_that_is_published_counts_where_it_was_synced(
    journal: FileJournal, tmp_path: Path, count: SyncCount, on_disk: bool
) -> None:
    enter(journal)
    journal.remove(on_disk=on_disk)
    assert count.n_images == int(on_disk)
    assert not (tmp_path / (NAME + SUFFIX)).exists()


def test_images_that_were_counted_elsewhere_are_not_counted_again(
    journal: FileJournal, count: SyncCount
) -> None:
    journal.knows(2)
    enter(journal)
    journal.sync()
    assert count.n_images == 0, "of the first two, one stands here so far"
    enter(journal)
    enter(journal)
    journal.sync()
    assert count.n_images == 1
    assert journal.left() == 3
    enter(journal)
    journal.sync()
    assert count.n_images == 1


def test_a_journal_that_somebody_took_away_may_be_removed(journal: FileJournal, tmp_path: Path) -> None:
    (tmp_path / (NAME + SUFFIX)).unlink()
    journal.remove(on_disk=False)


def test_it_is_let_go_of_once_and_whatever_the_system_says(
    directory: int, tmp_path: Path, count: SyncCount, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = n_open()
    made = FileJournal(directory, NAME, {}, count)
    (tmp_path / NAME).write_bytes(DATA)
    made.follow()
    enter(made)
    real, closed = os.close, []

    def close(descriptor: int) -> None:
        closed.append(descriptor)
        real(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "close", close)
    made.keep()
    made.keep()
    made.sync()
    monkeypatch.undo()
    assert n_open() == before
    assert len(closed) == 3
    assert kinds(tmp_path) == [Kind.FILE, Kind.IMAGE], "and nothing is synced any more"


def test_a_sync_that_hangs_is_not_waited_for(
    directory: int, tmp_path: Path, count: SyncCount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was entered reaches the system at once; the sync closes the files when it comes back."""
    hangs, goes_on = threading.Event(), threading.Event()

    def fdatasync(_: int) -> None:
        hangs.set()
        assert goes_on.wait(30)

    before = n_open()
    made = FileJournal(directory, NAME, {}, count)
    (tmp_path / NAME).write_bytes(DATA)
    made.follow()
    enter(made)
    monkeypatch.setattr(os, "fdatasync", fdatasync)
    thread = threading.Thread(target=made.sync)
    thread.start()
    try:
        assert hangs.wait(30)
        enter(made)
        made.keep()
        assert kinds(tmp_path) == [Kind.FILE, Kind.IMAGE, Kind.IMAGE]
        assert n_open() > before
    finally:
        goes_on.set()
        thread.join(30)
    wait_for(lambda: n_open() == before)


@pytest.mark.parametrize("n_synced", [0, 2, 5])
def test_images_that_are_stored_anew_elsewhere_do_not_count_as_synced(
    journal: FileJournal, count: SyncCount, n_synced: int
) -> None:
    """Two of five, whether they were synced before or not."""
    for number in range(5):
        if number == n_synced:
            journal.sync()
        enter(journal)
    if n_synced == 5:
        journal.sync()
    assert count.n_images == n_synced
    for _ in range(2):
        journal.forget()
    assert count.n_images == min(n_synced, 3)
    journal.remove(on_disk=True)
    assert count.n_images == 3
    assert journal.left() == 3
