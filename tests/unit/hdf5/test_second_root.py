"""A run whose root directory fills up or fails goes on in the second one, and its master finds all of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest

from jfwriter.errors import RunRefused, StorageError
from jfwriter.hdf5 import ahead
from jfwriter.hdf5.chunk_calls import store_chunks
from jfwriter.hdf5.data_file import DataFile
from jfwriter.hdf5.image_dataset import ImageDataset
from jfwriter.hdf5.journaling import ImageJournal
from jfwriter.hdf5.ownership import Ownership
from jfwriter.hdf5.plugin_set import FilePlugins
from jfwriter.hdf5.publish import PendingFile
from jfwriter.hdf5.storage import Storage
from jfwriter.journal.run_journal import RunJournal
from jfwriter.payload import Codec, Payload
from jfwriter.session.orders import Outcome, RunReport
from jfwriter.session.planning import make_plan
from jfwriter.settings import Settings
from jfwriter.wire.messages import ImageMessage
from tests.support import messages
from tests.support.mounts import tmpfs
from tests.support.second_root import images_through
from tests.support.writer_run import Run

SIZE = 64
N_IMAGES = 100
PIXELS = np.random.default_rng(1).integers(0, 60_000, (N_IMAGES, SIZE, SIZE), np.uint16)
DATA_ONLY, LEGACY, VDS, INTEGRATED = range(4)


@dataclass
class Roots:
    first: Path
    second: Path

    def run(self, file_format: int, *, files: dict[str, object] | None = None, **start: Any) -> Run:
        """Ten images of 8 kB in a file."""
        values = {"image_size_x": SIZE, "image_size_y": SIZE, "number_of_images": N_IMAGES}
        values |= {"images_per_file": 10, "file_format": file_format}
        settings = {"second_root_dir": str(self.second), "preflight": "off"} | (files or {})
        return Run(self.first, files=settings, **(values | start))

    def masters(self) -> list[Path]:
        return sorted(self.first.rglob("*_master.h5")) + sorted(self.second.rglob("*_master.h5"))


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    found = Roots(tmp_path / "first", tmp_path / "second")
    found.first.mkdir()
    found.second.mkdir()
    return found


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Roots]:
    """The first root takes about 40 images."""
    (tmp_path / "second").mkdir()
    with tmpfs(tmp_path / "first", "size=400k") as first:
        yield Roots(first, tmp_path / "second")


def message(image_id: int) -> ImageMessage:
    data = memoryview(PIXELS[image_id].tobytes())
    payload = Payload(data, Codec.NONE, np.dtype("<u2"), (SIZE, SIZE))
    return messages.image(image_id, channels={"default": payload}, saturated_pixel_count=image_id)


def write(run: Run, image_ids: range, n_together: int = 1) -> None:
    for first in range(image_ids.start, image_ids.stop, n_together):
        together = range(first, min(first + n_together, image_ids.stop))
        run.write_together(map(message, together))
        if run.plan.images_per_file and together.stop % run.plan.images_per_file == 0:
            run.writer.close_file(together[-1] // run.plan.images_per_file)


def written(run: Run, n_images: int = N_IMAGES, n_together: int = 1) -> RunReport:
    write(run, range(n_images), n_together)
    report: RunReport = run.finish(n_images)
    return report


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize("at", [0, 4, 9])
def test_images_stored_together_of_which_one_cannot_be_kept(
    roots: Roots, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """The pixels of all ten were in the file of the first root: from the one that failed on they are stored
    anew."""
    real = FilePlugins.append
    failing = [at]

    def append(self: FilePlugins, index: int, image: Any, rows: Any) -> None:
        if index in failing:
            failing.clear()
            raise StorageError("io_error", "a block of rows cannot be written")
        real(self, index, image, rows)

    monkeypatch.setattr(FilePlugins, "append", append)
    report = written(roots.run(VDS), n_together=10)
    assert (report.outcome, report.n_written) == (Outcome.COMPLETE, N_IMAGES)
    (master,) = roots.masters()
    np.testing.assert_array_equal(images_through(master), PIXELS)
    with h5py.File(master) as file:
        np.testing.assert_array_equal(file["/entry/image/saturated_pixels"][()], range(N_IMAGES))


@pytest.mark.parametrize("n_together", [1, 5, 10])
@pytest.mark.parametrize("file_format", [LEGACY, VDS, INTEGRATED])
def test_a_disk_that_fills_up(small: Roots, file_format: int, n_together: int) -> None:
    run = small.run(file_format)
    report = written(run, n_together=n_together)
    assert report.n_written == N_IMAGES
    assert report.missing == ()
    (master,) = small.masters()
    np.testing.assert_array_equal(images_through(master), PIXELS)
    assert report.reasons[-1].startswith("spilled: ")
    assert {name for name in report.files if name.startswith("/")} == {
        str(small.second / name) for name in names(small.second)
    }
    assert [name for name in names(small.first) if name.endswith(".tmp")] == []
    assert sum(file.n_written for file in run.closed) == N_IMAGES
    if file_format == VDS:
        assert report.outcome is Outcome.COMPLETE
        with h5py.File(master) as file:
            counts = file["/entry/image/saturated_pixels"][()]
        np.testing.assert_array_equal(counts, range(N_IMAGES))
    else:
        assert report.outcome is Outcome.INCOMPLETE
        assert "per-image values of" in " ".join(report.reasons)
        assert "_part.h5" in " ".join(report.reasons)


def test_data_files_alone(small: Roots) -> None:
    report = written(small.run(DATA_ONLY))
    assert report.n_written == N_IMAGES
    files = [*small.first.glob("*_data_0000??.h5"), *small.second.glob("*_data_0000??.h5")]
    files.sort(key=lambda path: path.name)
    assert len(files) == 10
    found = np.concatenate([h5py.File(path)["/entry/data/data"][()] for path in files])
    np.testing.assert_array_equal(found, PIXELS)


def test_files_that_are_brought_together_again(small: Roots, tmp_path: Path) -> None:
    """The links name the second root; where it is not, the library looks beside the master."""
    written(small.run(VDS))
    together = tmp_path / "together"
    shutil.copytree(small.first, together)
    for path in small.second.iterdir():
        shutil.move(path, together)
    np.testing.assert_array_equal(images_through(together / "scan1_master.h5"), PIXELS)


def failing(monkeypatch: pytest.MonkeyPatch, kind: type, method: str, when: Any) -> None:
    """`method` raises an EIO where `when(self, *arguments)`."""
    real = getattr(kind, method)

    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        if when(self, *arguments):
            raise StorageError("io_error", "Input/output error")
        return real(self, *arguments, **options)

    monkeypatch.setattr(kind, method, call)


@pytest.mark.parametrize("file_format", [LEGACY, VDS])
def test_an_image_that_cannot_be_written(
    roots: Roots, monkeypatch: pytest.MonkeyPatch, file_format: int
) -> None:
    run = roots.run(file_format)
    write(run, range(25))
    with monkeypatch.context() as patch:
        failing(patch, ImageDataset, "make_room", lambda *_: not names(roots.second))
        write(run, range(25, 26))
    write(run, range(26, N_IMAGES))
    report = run.finish(N_IMAGES)
    assert report.n_written == N_IMAGES
    assert names(roots.first) == [
        "scan1_data_000001.h5", "scan1_data_000002.h5", "scan1_data_000003_part.h5", "scan1_master.h5",
    ]  # fmt: skip
    np.testing.assert_array_equal(images_through(roots.first / "scan1_master.h5"), PIXELS)
    assert "8" not in report.dropped


@pytest.mark.parametrize(
    ("kind", "method", "n_chunks"), [(ImageJournal, "enter_ahead", 5), (ImageDataset, "look_again", 3)]
)
def test_images_written_together_that_could_not_be_entered(
    roots: Roots, monkeypatch: pytest.MonkeyPatch, kind: type, method: str, n_chunks: int
) -> None:
    """Their pixels are cut off in the first root, and all of them stored in the second one."""
    run = roots.run(VDS, source=memoryview(b"\xa0"))
    write(run, range(20), 10)
    write(run, range(20, 23))
    with monkeypatch.context() as patch:
        patch.setattr(
            ahead, "store_chunks", lambda own, *given: store_chunks(own, *(x[:n_chunks] for x in given))
        )
        failing(patch, kind, method, lambda *_: not names(roots.second))
        run.write_together(map(message, range(23, 28)))
    write(run, range(28, N_IMAGES), 1)
    report = run.finish(N_IMAGES)
    assert (report.outcome, report.n_written, report.missing) == (Outcome.COMPLETE, N_IMAGES, ())
    with h5py.File(roots.first / "scan1_data_000003_part.h5") as file:
        assert file["/entry/data/data"].shape[0] == 3
    np.testing.assert_array_equal(images_through(roots.first / "scan1_master.h5"), PIXELS)


def test_images_written_together_after_a_sync_that_failed(roots: Roots) -> None:
    run = roots.run(VDS, source=memoryview(b"\xa0"))
    write(run, range(23))
    journal = run.writer._journals.current
    assert isinstance(journal, RunJournal)
    journal._files[2].failure = OSError(5, "Input/output error")
    run.write_together(map(message, range(23, 28)))
    assert names(roots.second)
    write(run, range(28, N_IMAGES))
    report = run.finish(N_IMAGES)
    assert report.n_written + sum(report.dropped.values()) == N_IMAGES
    found = images_through(roots.first / "scan1_master.h5")
    np.testing.assert_array_equal(found[:20], PIXELS[:20])
    np.testing.assert_array_equal(found[23:], PIXELS[23:])


@pytest.mark.parametrize("file_format", [LEGACY, VDS])
def test_a_file_that_was_whole_when_it_was_left(
    roots: Roots, monkeypatch: pytest.MonkeyPatch, file_format: int
) -> None:
    """The last file of the run has all its images when another one cannot take a late image."""
    run = roots.run(file_format)
    write(run, range(19))
    write(run, range(20, 25))
    with monkeypatch.context() as patch:
        failing(patch, ImageDataset, "make_room", lambda *_: not names(roots.second))
        write(run, range(19, 20))
    report = run.finish(25)
    assert report.outcome is (Outcome.COMPLETE if file_format == VDS else Outcome.INCOMPLETE)
    assert (report.n_written, report.missing) == (25, ())
    (master,) = roots.masters()
    np.testing.assert_array_equal(images_through(master), PIXELS[:25])


def test_a_file_that_goes_on_and_gets_no_image_any_more(
    roots: Roots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The master finds all rows of it in the part."""
    run = roots.run(VDS)
    write(run, range(19))
    write(run, range(20, 25))
    with monkeypatch.context() as patch:
        failing(patch, ImageDataset, "make_room", lambda *_: not names(roots.second))
        write(run, range(19, 20))
    assert run.writer._files is not None
    run.writer._files.open_empty(2)
    report = run.finish(25)
    assert "scan1_data_000003.h5" in names(roots.second)
    assert report.outcome is Outcome.COMPLETE
    np.testing.assert_array_equal(images_through(roots.first / "scan1_master.h5"), PIXELS[:25])


@pytest.mark.parametrize("file_format", [LEGACY, VDS, INTEGRATED])
def test_a_file_that_cannot_be_synced_is_lost_and_the_run_goes_on(
    roots: Roots, monkeypatch: pytest.MonkeyPatch, file_format: int
) -> None:
    """After a failed sync nobody knows what is on the disk: it is neither published nor copied."""
    first = "scan1_master.h5" if file_format == INTEGRATED else "scan1_data_000002.h5"
    failing(
        monkeypatch,
        PendingFile,
        "publish",
        lambda self, *_: self.name == first and not self._directory.is_second,
    )
    n_lost = N_IMAGES if file_format == INTEGRATED else 10
    report = written(roots.run(file_format))
    assert report.n_written == N_IMAGES - n_lost
    assert report.outcome is Outcome.INCOMPLETE
    assert report.dropped == {"write_failed": n_lost}
    assert report.missing == ((0, 99),) if file_format == INTEGRATED else ((10, 19),)
    (left,) = [name for name in names(roots.first) if name.endswith(".tmp")]
    assert left.startswith(first)


def test_a_master_that_cannot_be_written(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands in the second root and finds the data files in the first."""
    failing(
        monkeypatch,
        PendingFile,
        "publish",
        lambda self, *_: self.name.endswith("master.h5") and not self._directory.is_second,
    )
    report = written(roots.run(VDS, file_prefix="a/scan1"))
    assert report.outcome is Outcome.COMPLETE
    assert report.files[-1] == str(roots.second / "a" / "scan1_master.h5")
    np.testing.assert_array_equal(images_through(roots.second / "a" / "scan1_master.h5"), PIXELS)


def test_a_first_root_that_went_away_before_the_run(roots: Roots) -> None:
    run = roots.run(VDS, file_prefix="a/scan1")
    assert run.writer._roots is not None
    storage = run.writer._roots.storage
    run.finish(0)
    roots.first.rename(roots.first.parent / "old")
    roots.first.mkdir()
    directory = storage.open_directory(run.plan)
    assert directory.is_second
    directory.close()
    assert any("second root" in text for text in storage.notices_of(run.plan.serial))
    assert names(roots.first) == []


def test_names_are_looked_for_in_both_roots(roots: Roots) -> None:
    (roots.second / "scan1_data_000003.h5").touch()
    with pytest.raises(RunRefused, match=r"second/scan1_data_000003\.h5 exists already"):
        roots.run(VDS)
    assert names(roots.first) == []


def test_nothing_is_made_in_a_second_root_that_is_not_needed(roots: Roots) -> None:
    report = written(roots.run(VDS, file_prefix="a/b/scan1"))
    assert report.outcome is Outcome.COMPLETE
    assert list(roots.second.iterdir()) == []
    assert not any("spilled" in reason for reason in report.reasons)


def test_a_second_root_that_fails_too(small: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    small.second.rename(small.second.parent / "other")
    with tmpfs(small.second, "size=200k"):
        run = small.run(VDS)
        with pytest.raises(StorageError) as caught:
            write(run, range(N_IMAGES))
        assert caught.value.reason == "no_space"
        run.writer.abandon()
        report = run.finish(N_IMAGES, missing=())
        assert report.outcome is Outcome.FAILED
        assert 0 < report.n_written < N_IMAGES
        assert report.n_written == sum(file.n_written for file in run.closed)


def test_a_second_root_that_is_not_there_costs_nothing(roots: Roots) -> None:
    roots.second.rmdir()
    run = roots.run(VDS)
    assert run.writer._roots is not None
    assert "cannot be used" in run.writer._roots.storage.second_problem
    assert written(run).outcome is Outcome.COMPLETE


def test_quantities_that_cannot_be_stored_count_their_image_once(
    roots: Roots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a second root the run fails; what is published does not hold the image that is told lost."""
    run = roots.run(VDS, files={"second_root_dir": ""})
    write(run, range(5))
    with monkeypatch.context() as patch:
        failing(patch, DataFile, "append_rows", lambda *_: True)
        with pytest.raises(StorageError):
            write(run, range(5, 6))
    run.writer.abandon()
    report = run.finish(N_IMAGES)
    assert report.outcome is Outcome.FAILED
    assert report.n_written == 5
    assert report.dropped == {"run_failed": 1}
    with h5py.File(roots.first / "scan1_data_000001.h5") as file:
        np.testing.assert_array_equal(file["/entry/data/data"][()], PIXELS[:5])


def test_other_settings_are_those_of_the_runs_that_are_opened_next(roots: Roots, tmp_path: Path) -> None:
    now = messages.settings(files={"root_dir": str(roots.first)}).files
    storage = Storage(now)
    assert (storage.second, storage.ownership) == (None, Ownership())
    third = tmp_path / "third"
    wanted = now.model_copy(update={"second_root_dir": str(third), "file_mode": 0o640})
    storage.use(wanted)
    assert (storage.second, storage.ownership) == (None, Ownership(mode=0o640))
    assert "cannot be used" in storage.second_problem
    third.mkdir()
    storage.use(wanted)
    assert storage.second is None, "the same settings object: nobody asked again"
    storage.use(wanted.model_copy())
    assert storage.second is not None
    assert (storage.second.path, storage.second_problem) == (third, "")
    known = storage.second
    storage.use(wanted.model_copy(update={"preflight": "off"}))
    assert storage.second is known, "it must stay the directory that it was"
    storage.use(wanted.model_copy(update={"second_root_dir": str(roots.second)}))
    assert storage.second is not None
    assert storage.second.path == roots.second
    storage.use(now)
    assert (storage.second, storage.second_problem, storage.ownership) == (None, "", Ownership())


def test_a_group_that_is_gone_costs_no_run(roots: Roots) -> None:
    now = messages.settings(files={"root_dir": str(roots.first), "file_mode": 0o640}).files
    storage = Storage(now)
    wanted = {"group": "no such group", "file_mode": 0o600, "second_root_dir": str(roots.second)}
    storage.use(now.model_copy(update=wanted))
    assert storage.ownership == Ownership(mode=0o640)
    assert storage.second is not None


def test_another_preflight(small: Roots) -> None:
    now = messages.settings(files={"root_dir": str(small.first)}).files
    storage = Storage(now)
    plan = make_plan(messages.start(image_size_x=4000, image_size_y=4000), Settings(files=now), 1, 0.0)
    storage.open_directory(plan).close()
    storage.use(now.model_copy(update={"preflight": "refuse"}))
    with pytest.raises(RunRefused, match="are free"):
        storage.open_directory(plan)


def test_the_root_directory_is_no_second_one(roots: Roots) -> None:
    link = roots.first.parent / "link"
    link.symlink_to(roots.first)
    for path in (roots.first, link):
        storage = Storage(
            messages.settings(files={"root_dir": str(roots.first), "second_root_dir": str(path)}).files
        )
        assert storage.second is None
        assert storage.second_problem.endswith("cannot be used: it is the root directory")


def test_a_second_root_without_its_guard_file(roots: Roots) -> None:
    (roots.first / "guard").touch()
    files = {"root_dir": str(roots.first), "second_root_dir": str(roots.second), "root_guard": "guard"}
    storage = Storage(messages.settings(files=files).files)
    assert storage.second is None
    assert "the guard file 'guard' (files.root_guard) is not in it" in storage.second_problem
    (roots.second / "guard").touch()
    assert Storage(messages.settings(files=files).files).second is not None
