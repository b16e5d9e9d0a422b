"""Crashes of runs that need the second root directory: both their halves are recovered to one run."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from jfwriter.errors import StorageError
from jfwriter.hdf5 import data_file, hdf5_file, publish, publish_master
from jfwriter.hdf5.data_file import DataFile
from jfwriter.hdf5.left_files import LeftFiles
from jfwriter.journal import registry
from jfwriter.journal.output import Output
from jfwriter.recovery.place import Options
from jfwriter.recovery.result import State
from jfwriter.recovery.search import recover_below, recover_known, waiting
from tests.support import stream
from tests.support.around import around
from tests.support.crashed import content, recover_one
from tests.support.daemon import wait_for
from tests.support.offline import OfflineDaemon
from tests.support.plain_dcu import encode, image
from tests.support.second_root import (
    N_IMAGES,
    copied,
    fill_the_first_root,
    images,
    images_through,
    recover_both,
    sent,
    writer_of,
)

LAYOUTS = ("NXmxLegacy", "NXmxVDS", "NXmxIntegrated")
GUARD = ".mounted"
N_FIRST, N_ALL = 6, N_IMAGES
"""A whole file and a half before the failure, then the other half and some of a third."""


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    found = tmp_path / "first", tmp_path / "second"
    for root in found:
        root.mkdir()
    return found


def spilled(roots: tuple[Path, Path], layout: str, patch: pytest.MonkeyPatch) -> OfflineDaemon:
    """A run that has gone on in the second root, with every image on the disk."""
    daemon = writer_of(*roots)
    daemon.take(sent(layout, N_FIRST))
    fill_the_first_root(patch)
    daemon.take(images(N_FIRST, N_ALL))
    writer = daemon.writer
    assert writer is not None
    wait_for(lambda: writer.synced.n_images == N_ALL)
    return daemon


def crashed(
    roots: tuple[Path, Path], layout: str, patch: pytest.MonkeyPatch, tmp_path: Path
) -> tuple[Path, Path]:
    """What a kill leaves of such a run."""
    daemon = spilled(roots, layout, patch)
    left = copied(*roots, tmp_path / "crashed")
    assert daemon.writer is not None
    daemon.writer.abandon()
    patch.undo()
    return left


def calibration(name: str) -> bytes:
    series = {"series_id": 1, "series_unique_id": "series 1"}
    return encode({"type": "calibration", **series, "data": {name: image(stream.pixels(3), "bslz4")}})


def master_of(roots: tuple[Path, Path], layout: str) -> Path:
    """The master is in the first root; the single file goes on in the second."""
    return roots[layout == "NXmxIntegrated"] / "sub" / "run_master.h5"


def assert_whole(master: Path, n_images: int) -> None:
    np.testing.assert_array_equal(images_through(master), [stream.pixels(i) for i in range(n_images)])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_run_that_was_begun_in_the_second_root_is_recovered_there(
    roots: tuple[Path, Path], tmp_path: Path, layout: str
) -> None:
    """The first one was not mounted. The second knows its unfinished runs, like any root."""
    first, second = roots
    (second / GUARD).touch()
    (first / GUARD).touch()
    daemon = writer_of(*roots, root_guard=GUARD)
    (first / GUARD).unlink()
    daemon.take(sent(layout, N_ALL))
    writer = daemon.writer
    assert writer is not None
    wait_for(lambda: writer.synced.n_images == N_ALL)
    left = Path(shutil.copytree(second, tmp_path / "crashed"))
    writer.abandon()
    assert list(first.iterdir()) == []
    (journal,) = waiting([left])
    assert journal.startswith("sub/run.")
    (result,) = recover_known(left, Options(remove=True))
    assert (result.state, result.is_good, result.n_images) == (State.RECOVERED, True, N_ALL)
    assert registry.entries(left) == []
    assert_whole(left / "sub" / "run_master.h5", N_ALL)
    assert all(path.suffix == ".h5" for path in (left / "sub").iterdir())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_run_that_went_on_in_the_second_root_and_was_finished_leaves_no_journal(
    roots: tuple[Path, Path], layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = spilled(roots, layout, monkeypatch)
    assert [len(list(root.rglob("*.run.journal"))) for root in roots] == [1, 1]
    daemon.take([stream.end(n_images=N_ALL)])
    assert daemon.written.report.n_written == N_ALL
    assert [path for root in roots for path in root.rglob("*.journal")] == []
    assert [registry.entries(root) for root in roots] == [[], []]


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_crash_after_the_run_went_on_loses_no_image(
    roots: tuple[Path, Path], layout: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, known: bool
) -> None:
    """One run with one master, in the first root, which finds what is in the second."""
    first, second = crashed(roots, layout, monkeypatch, tmp_path)
    assert len(waiting([first, second])) == 1
    recover = recover_known if known else recover_below
    (result,) = recover(first, Options(), second)
    assert (result.state, result.is_good, result.n_images) == (State.RECOVERED, True, N_ALL)
    assert (result.n_recovered + result.n_published, result.n_lost, result.missing) == (N_ALL, 0, ())
    assert result.line().startswith(f"sub/run: recovered {N_ALL} of {N_ALL} images")
    assert_whole(master_of((first, second), layout), N_ALL)
    assert len([path for root in (first, second) for path in root.rglob("*_master.h5")]) == 1
    assert waiting([first, second]) == []
    before = content(first), content(second)
    (again,) = recover_both(first, second)
    assert (again.state, again.is_good) == (State.RECOVERED_BEFORE, True)
    assert (content(first), content(second)) == before
    (last,) = recover_both(first, second, remove=True)
    assert last.removed
    left = [path for root in (first, second) for path in root.rglob("*") if path.is_file()]
    assert {path.suffix for path in left} == {".h5"}
    assert_whole(master_of((first, second), layout), N_ALL)
    assert recover_both(first, second) == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_per_image_values_are_recovered_in_both_halves(
    roots: tuple[Path, Path], layout: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Those of the part are in the part: a virtual dataset has them, a single file has fill values."""
    first, second = crashed(roots, layout, monkeypatch, tmp_path)
    recover_both(first, second)
    with h5py.File(master_of((first, second), layout)) as master:
        reasons = master["/entry/instrument/detector/detectorSpecific/outcome_reasons"][()]
    assert (b"per-image values" in b" ".join(reasons)) is (layout != "NXmxVDS")


def test_the_order_of_the_roots_does_not_matter(
    roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second = crashed(roots, "NXmxVDS", monkeypatch, tmp_path)
    (result,) = recover_both(second, first, remove=True)
    assert (result.is_good, result.removed, result.n_images) == (True, True, N_ALL)
    assert_whole(first / "sub" / "run_master.h5", N_ALL)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_files_that_could_not_be_published_are_read_from_both(
    roots: tuple[Path, Path], layout: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first root takes no part: its images stand in its temporary file, and copies of them, known to the
    second journal, where the run went on. None is counted as synced twice."""
    real = DataFile.fill

    def fill(self: DataFile, *arguments: Any, **options: Any) -> Any:
        if self.name.endswith("_part.h5"):
            raise StorageError("io_error", os.strerror(errno.EIO))
        return real(self, *arguments, **options)

    monkeypatch.setattr(DataFile, "fill", fill)
    first, second = crashed(roots, layout, monkeypatch, tmp_path)
    assert len(list(first.rglob("*.tmp"))) == 1
    for lost in ("nothing", "the temporary file of the first"):
        here = tmp_path / lost
        one, other = copied(first, second, here)
        if lost != "nothing":
            (left,) = one.rglob("*.tmp")
            left.write_bytes(b"")
        (result,) = recover_both(one, other)
        assert (result.state, result.n_images, result.missing) == (State.RECOVERED, N_ALL, ())
        assert result.is_good
        assert_whole(master_of((one, other), layout), N_ALL)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_that_hdf5_cannot_close_is_read_by_its_journal(
    roots: tuple[Path, Path], layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its images had been called synced: they must not be lost with what HDF5 knew of them."""
    real = hdf5_file.open_to_read

    def open_to_read(path: str) -> Any:
        at = os.path.realpath(path)
        is_left = "data_000002" in at or layout == "NXmxIntegrated"
        if is_left and at.startswith(f"{roots[0]}/"):
            raise OSError(errno.EIO, "truncated file")
        return real(path)

    monkeypatch.setattr(hdf5_file, "open_to_read", open_to_read)
    monkeypatch.setattr(LeftFiles, "publish_part", lambda *_: None)
    daemon = spilled(roots, layout, monkeypatch)
    daemon.take([stream.end(n_images=N_ALL)])
    report = daemon.written.report
    assert (report.n_written, report.missing, report.dropped) == (N_ALL, (), {})
    assert_whole(master_of(roots, layout), N_ALL)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_half_alone_waits_for_the_other(
    roots: tuple[Path, Path], layout: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It says what is missing and where, touches nothing, and both together are recovered afterwards."""
    first, second = crashed(roots, layout, monkeypatch, tmp_path)
    before = content(first), content(second)
    alone = recover_one(first, remove=True)
    assert (alone.state, alone.is_good, alone.removed) == (State.FAILED, False, False)
    assert f"the half that went on in '{roots[1]}/sub/' is not at hand" in alone.reason
    alone = recover_one(second, remove=True)
    assert (alone.state, alone.is_good, alone.removed) == (State.FAILED, False, False)
    n_files, n_images = (0, 0) if layout == "NXmxIntegrated" else (1, 4)
    there = f"'{roots[0]}/sub/' ({n_images} images in {n_files} files, and what was open)"
    assert f"the half that was begun in {there} is not at hand" in alone.reason
    assert (content(first), content(second)) == before
    gone = tmp_path / "gone"
    gone.mkdir()
    (lacking,) = recover_both(first, gone)
    assert lacking.state is State.FAILED
    (lacking,) = recover_both(gone, second)
    assert lacking.state is State.FAILED
    gone.rmdir()
    told, lacking = recover_both(gone, second)
    assert (told.journal, told.state, lacking.state) == (str(gone), State.FAILED, State.FAILED)
    assert (content(first), content(second)) == before
    (result,) = recover_both(first, second)
    assert (result.is_good, result.n_images) == (True, N_ALL)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("which", ["first", "second"])
def test_one_half_is_recovered_alone_on_request(
    roots: tuple[Path, Path], layout: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, which: str
) -> None:
    """It is never called good, and its raw material stays, so that both can still be brought together."""
    halves = crashed(roots, layout, monkeypatch, tmp_path)
    here = halves[0] if which == "first" else halves[1]
    raw = {p: p.read_bytes() for p in here.rglob("*") if p.suffix in {".tmp", ".journal"}}
    result = recover_one(here, half=True, remove=True)
    assert (result.state, result.is_good, result.removed) == (State.RECOVERED, False, False)
    assert "the half that " in result.lacks
    assert "; without the half that " in result.line()
    assert f"{result.lacks}: none of it is in the master" in result.problems
    found = images_through(here / "sub" / "run_master.h5")
    if which == "first":
        np.testing.assert_array_equal(found, [stream.pixels(i) for i in range(N_FIRST)])
    else:  # in a virtual dataset the part has what was before
        begins = N_FIRST if layout == "NXmxVDS" else 4
        begins = 0 if layout == "NXmxIntegrated" else begins
        wanted = [stream.pixels(i) for i in range(begins, N_ALL)]
        np.testing.assert_array_equal(found[-len(wanted) :], wanted)
    assert all(path.read_bytes() == bytes_before for path, bytes_before in raw.items())
    again = recover_one(here, remove=True)
    assert (again.state, again.is_good, again.removed) == (State.RECOVERED_BEFORE, False, False)
    (both,) = recover_both(*halves, remove=True)
    assert (both.state, both.is_good, both.removed) == (State.RECOVERED_BEFORE, False, False)
    assert "is only one half" in both.problems[-1]
    for path in here.rglob("*"):
        is_made = path.name not in {p.name for p in roots[which == "second"].rglob("*.h5")}
        if path.name.endswith(".recovered") or (path.suffix == ".h5" and is_made):
            path.unlink()
    (result,) = recover_both(*halves, remove=True)
    assert (result.state, result.is_good, result.removed) == (State.RECOVERED, True, True)
    assert_whole(master_of(halves, layout), N_ALL)


class Moments:
    """Copies of both roots before and after each call of what is patched, with the images known as synced."""

    def __init__(self, roots: tuple[Path, Path], work: Path) -> None:
        self.daemon: OfflineDaemon | None = None
        self.made: list[tuple[Path, Path, int]] = []
        self._roots = roots
        self._work = work

    def around(self, patch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        around(patch, owner, name, self._copy)

    def _copy(self) -> None:
        if self.daemon is not None and self.daemon.writer is not None:
            n_synced = self.daemon.writer.synced.n_images
            self.made.append((*copied(*self._roots, self._work / f"moment{len(self.made)}"), n_synced))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("manifest", [False, True])
def test_a_kill_at_any_moment_of_going_on_and_of_finishing(
    roots: tuple[Path, Path], layout: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, manifest: bool
) -> None:
    """While the second journal is made, between the close of one file and the making of the next, while
    files and master get their names, and while the journals go."""
    moments = Moments(roots, tmp_path)
    daemon = writer_of(*roots, sync_interval_s=3600.0, manifest=manifest)
    daemon.take(sent(layout, N_FIRST))
    with monkeypatch.context() as patch:
        fill_the_first_root(patch)
        moments.around(patch, data_file, "new_file")
        moments.around(patch, publish_master, "new_file")
        moments.around(patch, publish, "rename_without_replacing")
        moments.around(patch, Output, "__init__")
        moments.around(patch, Output, "flush")
        moments.around(patch, Output, "sync")
        moments.around(patch, Output, "remove")
        moments.daemon = daemon
        daemon.take([*images(N_FIRST, N_ALL), stream.end(n_images=N_ALL)])
        moments.daemon = None
    assert len(moments.made) > 30
    for first, second, n_synced in moments.made:
        results = recover_both(first, second, remove=True)
        told = (first.parent.name, [result.line() for result in results], [r.problems for r in results])
        assert all(result.is_good for result in results), told
        left = [path for root in (first, second) for path in root.rglob("*") if path.is_file()]
        assert {path.suffix for path in left} <= {".h5", ".json"}, told
        assert recover_both(first, second) == []
        if n_synced == 0 and {result.state for result in results} == {State.EMPTY}:
            continue  # nothing had been handed to the system yet
        masters = [path for root in (first, second) for path in root.rglob("*_master.h5")]
        assert len(masters) == 1, told
        (master,) = masters
        n_found = len(images_through(master))
        assert n_found >= n_synced, told
        assert_whole(master, n_found)
        if not any("was wanted" in problem for result in results for problem in result.problems):
            assert manifest is (first / "sub" / "run_manifest.json").exists(), told


def test_halves_that_were_brought_together(
    roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second = crashed(roots, "NXmxLegacy", monkeypatch, tmp_path)
    for path in (second / "sub").iterdir():
        shutil.move(path, first / "sub")
    (result,) = recover_both(first, second, remove=True)
    assert (result.is_good, result.removed, result.n_images) == (True, True, N_ALL)
    assert_whole(first / "sub" / "run_master.h5", N_ALL)
    assert {path.suffix for path in (first / "sub").iterdir()} == {".h5"}


def test_a_master_that_stands_in_the_way_is_left(
    roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for at in (0, 1):
        first, second = crashed(roots, "NXmxVDS", monkeypatch, tmp_path / str(at))
        stranger = (first, second)[at] / "sub" / "run_master.h5"
        stranger.write_bytes(b"another run")
        (result,) = recover_both(first, second, remove=True)
        assert "run_master.h5 stands there and is not of this run" in result.reason
        assert stranger.read_bytes() == b"another run"
        stranger.unlink()
        assert recover_both(first, second)[0].is_good
        for root in roots:
            shutil.rmtree(root)
            root.mkdir()


def test_a_second_journal_that_cannot_be_made_costs_no_image(
    roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The run goes on unfollowed, status and log say so, and the recovery that more is elsewhere."""
    real = Output.__init__

    def make(self: Output, directory: int, name: str) -> None:
        if ".second." in name:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        real(self, directory, name)

    monkeypatch.setattr(Output, "__init__", make)
    daemon = writer_of(*roots)
    daemon.take(sent("NXmxVDS", N_FIRST))
    fill_the_first_root(monkeypatch)
    daemon.take(images(N_FIRST, N_ALL))
    writer = daemon.writer
    assert writer is not None
    assert "the journal of the run cannot be created" in writer.synced.problem
    first, second = copied(*roots, tmp_path / "crashed")
    daemon.take([stream.end(n_images=N_ALL)])
    assert daemon.written.report.n_written == N_ALL
    assert [path for root in roots for path in root.rglob("*.journal")] == []
    (result,) = recover_both(first, second, remove=True)
    assert (result.is_good, result.removed) == (False, False)
    assert result.went_on_in == f"{roots[1]}/sub/"
    assert f"the run went on in {roots[1]}/sub/" in result.problems[0]
    assert result.line().endswith(f"; it went on in {roots[1]}/sub/, which is not recovered")


def test_a_first_journal_that_was_given_up_is_made_up_for(
    roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A disk that fills up takes no line of the journal before it takes no image: what it could not take is
    told in the second one, and the run is followed again."""
    daemon = writer_of(*roots)
    daemon.take(sent("NXmxVDS", 2))
    writer = daemon.writer
    assert writer is not None
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        if str(Path(f"/proc/self/fd/{descriptor}").readlink()).startswith(str(roots[0])):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    daemon.take(images(2, N_FIRST))
    assert "given up" in writer.synced.problem
    fill_the_first_root(monkeypatch)
    daemon.take(images(N_FIRST, N_ALL))
    assert writer.synced.problem == ""
    n_unfollowed = 2
    wait_for(lambda: writer.synced.n_images == N_ALL - n_unfollowed)
    first, second = copied(*roots, tmp_path / "crashed")
    writer.abandon()
    monkeypatch.undo()
    (result,) = recover_both(first, second, remove=True)
    assert (result.is_good, result.n_images, result.missing) == (True, N_ALL, ())
    assert_whole(first / "sub" / "run_master.h5", N_ALL)
    assert result.removed


def test_a_sync_that_fails_in_the_second_root_fails_the_run(
    roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the first: nobody knows what of the data file is on the disk."""
    daemon = writer_of(*roots)
    daemon.take(sent("NXmxVDS", N_FIRST))
    fill_the_first_root(monkeypatch)
    daemon.take(images(N_FIRST, 9))
    real = os.fdatasync
    n_failed = []

    def fdatasync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().suffix != ".tmp":
            return real(descriptor)
        n_failed.append(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    writer = daemon.writer
    assert writer is not None
    daemon.take([stream.image_message(9)])
    wait_for(lambda: n_failed)
    daemon.take([stream.image_message(10)])
    (failure,) = daemon.written.failures
    assert "cannot sync" in str(failure)
    assert writer.synced.n_images < 10
    assert [len(list(root.rglob("*.run.journal"))) for root in roots] == [1, 1], "something can be recovered"


def test_calibration_images_are_in_the_second_journal_too(
    roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So that the second half alone has them."""
    daemon = writer_of(*roots)
    begin, *rest = sent("NXmxVDS", 5)
    daemon.take([begin, calibration("pedestal_G0"), *rest])
    fill_the_first_root(monkeypatch)
    daemon.take([*images(5, 7), calibration("pedestal_G1")])
    writer = daemon.writer
    assert writer is not None
    wait_for(lambda: writer.synced.n_images == 7)
    _, second = copied(*roots, tmp_path / "crashed")
    writer.abandon()
    monkeypatch.undo()
    result = recover_one(second, half=True)
    assert result.state is State.RECOVERED, result
    with h5py.File(second / "sub" / "run_master.h5") as master:
        names: list[str] = []
        master.visit(names.append)
    assert {"pedestal_G0", "pedestal_G1"} <= {name.rpartition("/")[2] for name in names}


def test_a_second_journal_that_is_cut_or_damaged_never_raises(
    roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What it tells up to there is true; the rest of the run is missing or not, and nothing is destroyed."""
    first, second = crashed(roots, "NXmxVDS", monkeypatch, tmp_path)
    (journal,) = second.rglob("*.second.run.journal")
    whole = journal.read_bytes()
    published = {path: path.read_bytes() for root in (first, second) for path in root.rglob("*.h5")}
    damaged = [whole[:size] for size in range(0, len(whole), 211)]
    damaged += [whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :] for at in range(5, len(whole), 307)]
    for content_now in damaged:
        journal.write_bytes(content_now)
        for result in recover_both(first, second, dry_run=True):
            assert result.state in {State.RECOVERABLE, State.FAILED}, result
        recover_both(first, second, dry_run=True, half=True)
    assert {path: path.read_bytes() for path in published} == published
    journal.write_bytes(b"")
    (result,) = recover_both(first, second, remove=True)
    assert result.state is State.RECOVERED
    assert result.n_images >= N_ALL - 4, "those of files that only this journal tells of are not known"


def test_a_second_journal_of_another_run_is_not_taken(
    roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Somebody has renamed it: its token and name do not fit."""
    first, second = crashed(roots, "NXmxVDS", monkeypatch, tmp_path)
    (journal,) = second.rglob("*.second.run.journal")
    (own,) = first.rglob("*.run.journal")
    text = own.read_bytes()
    journal.write_bytes(text.replace(b"sub/run", b"bus/run"))
    (result,) = recover_both(first, second)
    assert result.state is State.FAILED
    assert "whose journal cannot be used" in result.reason


def test_a_living_writer_of_both_roots_is_left_alone(
    roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = spilled(roots, "NXmxVDS", monkeypatch)
    before = [content(root) for root in roots]
    for one, other in (roots, roots[::-1]):
        (result,) = recover_both(one, other, remove=True)
        assert result.state is State.IN_USE
    assert waiting(roots) == []
    assert [content(root) for root in roots] == before
    assert daemon.writer is not None
    daemon.writer.abandon()
