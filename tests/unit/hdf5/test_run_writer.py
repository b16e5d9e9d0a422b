"""The writer of one run: what it counts, refuses, gives up, and never holds on to."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from jfwriter.errors import PayloadError, RunRefused, StorageError
from jfwriter.hdf5 import data_files, run_writer
from jfwriter.hdf5.plugin import FileRows, Pixels, StoredDataset
from jfwriter.hdf5.run_writer import RunWriter
from jfwriter.payload import Codec, Payload
from jfwriter.plugins import plugins_for
from jfwriter.session.orders import ClosedFile, FinishRun, Outcome, WriteImage
from jfwriter.session.planning import make_plan
from jfwriter.settings import Settings
from jfwriter.wire.messages import ImageMessage, RoiIntegral, Spots
from tests.support import messages
from tests.support.payloads import packed

SHAPE = (messages.HEIGHT, messages.WIDTH)


class Run:
    """A writer on a fresh root, fed with orders as the session gives them."""

    def __init__(
        self, root: Path, *, plugins: Any = None, files: dict[str, object] | None = None, **start: Any
    ):
        values: dict[str, object] = {"root_dir": str(root), "sync": False} | (files or {})
        self.settings = Settings.model_validate({"files": values})
        self.plan = make_plan(messages.start(**start), self.settings, 1, 0.0)
        self.closed: list[ClosedFile] = []
        self.root = root
        chosen = plugins_for(self.plan) if plugins is None else plugins
        self.writer = RunWriter(self.plan, chosen, self.settings, self.closed.append)
        self.writer.open()

    def write(self, *image_ids: int, **fields: Any) -> None:
        for image_id in image_ids:
            values = {"channels": {"default": packed(pixels(image_id))}} | fields
            self.write_image(messages.image(image_id, **values))

    def write_image(self, image: ImageMessage) -> int:
        return self.writer.write_image(WriteImage(*self.plan.place(image.image_id), image))

    def finish(self, n_images: int = 0, **order: Any) -> Any:
        values: dict[str, Any] = {"missing": (), "end": None, "outcome": Outcome.COMPLETE} | order
        return self.writer.finish(FinishRun(n_images=n_images, **values))

    def names(self) -> list[str]:
        return sorted(path.name for path in self.root.iterdir())


MakeRun = Callable[..., Run]


@pytest.fixture
def make(tmp_path: Path) -> MakeRun:
    root = tmp_path / "root"
    root.mkdir()
    return lambda **options: Run(root, **options)


def pixels(image_id: int) -> np.ndarray[Any, Any]:
    return np.full(SHAPE, image_id + 1, "u2")


def test_the_bytes_written_are_those_of_the_payload(make: MakeRun) -> None:
    run = make()
    payload = packed(pixels(0))
    assert run.write_image(messages.image(0, channels={"default": payload})) == payload.data.nbytes


def test_a_full_file_is_published_and_told_of_at_once(make: MakeRun) -> None:
    run = make()
    run.write(3, 1, 0)
    assert [name for name in run.names() if not name.endswith(".tmp")] == []
    run.write(2)
    run.writer.close_file(0)
    assert run.names() == ["scan1_data_000001.h5"]
    size_bytes = (run.root / "scan1_data_000001.h5").stat().st_size
    assert run.closed == [ClosedFile("scan1_data_000001.h5", 0, 4, 4, size_bytes)]


def test_a_file_that_was_never_opened_need_not_be_closed(make: MakeRun) -> None:
    run = make()
    run.writer.close_file(7)
    assert run.names() == []


def test_an_image_of_a_closed_file_is_lost(make: MakeRun) -> None:
    run = make()
    run.write(0, 1, 2, 3)
    run.writer.close_file(0)
    with pytest.raises(PayloadError, match=r"scan1_data_000001\.h5 is closed") as caught:
        run.write(2)
    assert caught.value.reason == "file_closed"
    run.write(4)
    assert run.finish(5).n_written == 5


def test_no_view_of_an_image_is_kept(make: MakeRun) -> None:
    """A bytearray cannot be resized while a view of it lives."""
    run = make(max_spot_count=2, plugins=None)
    buffer = bytearray(pixels(0).tobytes())
    spots = Spots(x=np.ones(3, "f4"), y=np.ones(3, "f4"), intensity=np.ones(3, "f4"))
    payload = Payload(memoryview(buffer).toreadonly(), Codec.NONE, np.dtype("<u2"), SHAPE)
    profile = bytearray(np.arange(5.0).tobytes())
    image = messages.image(
        0, channels={"default": payload}, spots=spots, az_int_profile=np.frombuffer(profile)
    )
    run.write_image(image)
    del image, payload
    buffer.append(0)
    profile.append(0)


def test_gaps_and_tails_make_all_rows(make: MakeRun) -> None:
    run = make(file_format=1)
    run.write(0, 1, 9)
    report = run.finish(12, missing=((2, 8), (10, 11)))
    assert run.names() == [*(f"scan1_data_{k:06d}.h5" for k in (1, 2, 3)), "scan1_master.h5"]
    for k in range(3):
        with h5py.File(run.root / f"scan1_data_{k + 1:06d}.h5") as file:
            assert file["/entry/data/data"].shape == (4, *SHAPE)
            assert file["/entry/data/data"].id.get_num_chunks() == 4
            assert len(file["/entry/detector/number"]) == 4
    assert [(closed.n_rows, closed.n_written) for closed in run.closed] == [(4, 2), (4, 1), (4, 0)]
    assert report.missing == ((2, 8), (10, 11))


def test_without_gap_filling_nothing_is_stored_for_missing_images(make: MakeRun) -> None:
    run = make(file_format=2, files={"fill_gaps": False})
    run.write(0, 3)
    report = run.finish(4, missing=((1, 2),))
    with h5py.File(run.root / "scan1_data_000001.h5") as file:
        assert file["/entry/data/data"].id.get_num_chunks() == 2
        assert (file["/entry/data/data"][1] == 65535).all()
    assert report.outcome is Outcome.COMPLETE


def test_gaps_do_not_fill_the_disk(make: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_files, "GAP_BYTES", 100)
    run = make(file_format=2, images_per_file=0, number_of_images=5000)
    run.write(4999)
    report = run.finish(5000, missing=((0, 4998),))
    assert report.outcome is Outcome.INCOMPLETE
    assert "4999 missing images have no fill values: too many" in report.reasons
    with h5py.File(run.root / "scan1_data_000001.h5") as file:
        assert file["/entry/data/data"].shape[0] == 5000
        assert file["/entry/data/data"].id.get_num_chunks() == 1


def test_missing_files_do_not_fill_the_disk(make: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_files, "GAP_BYTES", 3 * data_files.MISSING_FILE_BYTES + 10_000)
    run = make(file_format=1, images_per_file=1, number_of_images=10_000)
    run.write(0)
    report = run.finish(10_000, missing=((1, 9999),))
    assert len(run.names()) == 5
    assert "9996 data files without any image were not made: too many" in report.reasons


def test_more_files_than_may_be_open(make: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that waits longest is closed with its gap; never the last of the run."""
    monkeypatch.setattr(data_files, "MIN_OPEN_FILES", 3)
    monkeypatch.setattr(data_files, "OPEN_IMAGES", 8)
    run = make(number_of_images=100, images_per_file=4, file_format=2)
    run.write(36, 0, 4, 8)
    assert [closed.filename for closed in run.closed] == ["scan1_data_000001.h5"]
    assert run.closed[0].n_rows == 4
    run.write(5, 12)
    assert [closed.file_index for closed in run.closed] == [0, 2]
    with pytest.raises(PayloadError):
        run.write(1)
    report = run.finish(40, missing=())
    assert report.missing == ((1, 1),)
    assert report.outcome is Outcome.INCOMPLETE


def test_rows_seen_count_even_if_the_order_says_less(make: MakeRun) -> None:
    run = make(file_format=2)
    run.write(0, 1, 2)
    assert run.finish(1).n_images == 3
    with h5py.File(run.root / "scan1_master.h5") as file:
        assert file["/entry/data/data"].shape[0] == 3


def test_an_image_that_cannot_be_stored_is_missing(make: MakeRun) -> None:
    run = make(file_format=2)
    run.write(0)
    with pytest.raises(PayloadError):
        run.write(1, channels={"default": packed(pixels(1).astype("u4"))})
    run.write(2)
    report = run.finish(3)
    assert report.missing == ((1, 1),)
    assert report.n_written == 2
    assert report.outcome is Outcome.INCOMPLETE
    assert report.reasons == ("1 images that arrived are not in the files",)


def test_an_image_that_comes_again_after_it_was_lost(make: MakeRun) -> None:
    run = make(file_format=2)
    run.write(1)
    with pytest.raises(PayloadError):
        run.write(0, channels={"default": packed(pixels(1).astype("u4"))})
    run.write(0)
    assert run.finish(2).outcome is Outcome.COMPLETE


def test_no_channel_of_an_image_stays_when_one_cannot_be_stored(make: MakeRun) -> None:
    run = make(file_format=2, channels=("a", "b"))
    run.write(0, channels={"a": packed(pixels(0)), "b": packed(pixels(0))})
    bad = {"a": packed(pixels(1)), "b": packed(pixels(1).astype("u4"))}
    with pytest.raises(PayloadError):
        run.write(1, channels=bad)
    with pytest.raises(PayloadError, match="channels"):
        run.write(2, channels={"a": packed(pixels(2))})
    run.finish(3)
    with h5py.File(run.root / "scan1_data_000001.h5") as file:
        for path in ("/entry/data/data", "/entry/channels/b/data"):
            np.testing.assert_array_equal(file[path][:, 0, 0], [1, 65535, 65535])


@pytest.mark.parametrize("file_format", [1, 2, 3])
def test_a_taken_name_refuses_the_run_before_anything_is_made(make: MakeRun, file_format: int) -> None:
    first = make(file_format=file_format)
    first.write(0)
    first.finish(1)
    before = {path.name: path.read_bytes() for path in first.root.iterdir()}
    with pytest.raises(RunRefused, match=r"scan1_.*\.h5 exists already"):
        make(file_format=file_format)
    assert {path.name: path.read_bytes() for path in first.root.iterdir()} == before
    again = make(file_format=file_format, overwrite=True)
    again.write(0, 1)
    assert again.finish(2).outcome is Outcome.COMPLETE
    assert [name for name in again.names() if name.endswith(".tmp")] == []


def test_a_name_taken_during_the_run_is_not_overwritten(make: MakeRun) -> None:
    run = make()
    run.write(0)
    other = run.root / "scan1_data_000001.h5"
    other.write_bytes(b"somebody else's")
    report = run.finish(1)
    assert report.outcome is Outcome.FAILED
    assert report.reasons[0].startswith("exists: ")
    assert other.read_bytes() == b"somebody else's"
    (kept,) = [name for name in run.names() if name.endswith(".tmp")]
    with h5py.File(run.root / kept) as file:
        np.testing.assert_array_equal(file["/entry/data/data"][0], pixels(0))


def test_a_run_that_writes_no_file_still_counts(make: MakeRun) -> None:
    run = make(file_format=6)
    run.write(0, 1, 5)
    run.writer.close_file(0)
    run.writer.write_calibration(messages.calibration())
    report = run.finish(6, missing=((2, 4),), outcome=Outcome.INCOMPLETE)
    assert run.names() == []
    assert (report.n_written, report.files, report.missing) == (3, (), ((2, 4),))


def test_abandon_publishes_nothing_and_keeps_the_images(
    make: MakeRun, caplog: pytest.LogCaptureFixture
) -> None:
    run = make(file_format=3, number_of_images=10)
    run.write(0, 1, 5)
    run.writer.abandon()
    run.writer.abandon()
    (name,) = run.names()
    assert name.startswith("scan1_master.h5.")
    assert name in caplog.text
    with h5py.File(run.root / name) as file:
        assert file["/entry/data/data"].shape[0] == 6
        np.testing.assert_array_equal(file["/entry/data/data"][5], pixels(5))
        assert file["/entry/instrument/detector/detectorSpecific/number"][()].tolist() == [
            0,
            1,
            -1,
            -1,
            -1,
            5,
        ]
    report = run.finish(10)
    assert report.outcome is Outcome.FAILED
    assert report.missing == ((0, 1), (5, 5))
    assert report.n_written == 0


def test_a_master_that_cannot_be_written_fails_the_run(
    make: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> list[str]:
        raise StorageError("no_space", "cannot write scan1_master.h5: No space left on device")

    monkeypatch.setattr(run_writer, "write_master", refuse)
    run = make(file_format=2)
    run.write(0)
    report = run.finish(1)
    assert report.outcome is Outcome.FAILED
    assert report.files == ("scan1_data_000001.h5",)
    assert report.n_written == 1
    assert run.names() == ["scan1_data_000001.h5"]


class Plugin:
    """Raises where it is told to."""

    name = "quantity"

    def __init__(
        self, raises_in: str = "", *, needs_pixels: bool = False, error: Exception | None = None
    ) -> None:
        self.raises_in = raises_in
        self.needs_pixels = needs_pixels
        self.error = error or ZeroDivisionError("quantity")
        self.seen: list[Any] = []
        self.n_rows: list[int] = []
        self.problems = {"/entry/quantity": 2}
        self.image_groups: dict[int, str] = {}

    def _maybe(self, where: str) -> None:
        if where == self.raises_in:
            raise self.error

    def row(self, image: ImageMessage, pixels: Pixels | None) -> object:
        self._maybe("row")
        self.seen.append(None if pixels is None else pixels.copy())
        return image.image_id

    def open_file(self, *_: object) -> FileRows:
        self._maybe("open_file")
        return self

    def configured(self) -> tuple[StoredDataset, ...]:
        self._maybe("configured")
        return ()

    def append(self, *_: object) -> None:
        self._maybe("append")

    def finish(self, n_rows: int) -> tuple[StoredDataset, ...]:
        self.n_rows.append(n_rows)
        self._maybe("finish")
        return ()


@pytest.mark.parametrize("where", ["row", "open_file", "configured", "append", "finish"])
def test_a_plugin_that_raises_is_switched_off_and_the_images_go_on(
    make: MakeRun, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = Plugin(where)
    with caplog.at_level(logging.ERROR):
        run = make(plugins=(plugin,), file_format=2)
        run.write(0, 1, 2, 3)
        run.writer.close_file(0)
        run.write(4)
        report = run.finish(5)
    assert report.n_written == 5
    assert report.outcome is Outcome.INCOMPLETE
    assert "'quantity' was given up after an error: ZeroDivisionError: quantity" in report.reasons[0]
    assert "quantity" in caplog.text
    assert len(plugin.seen) == {"row": 0, "open_file": 0, "append": 1}.get(where, 5)


def test_a_plugin_that_worked_changes_nothing_of_the_outcome(make: MakeRun) -> None:
    plugin = Plugin()
    run = make(plugins=(plugin,), file_format=2)
    run.write(0, 4)
    report = run.finish(5, missing=((1, 3),))
    assert report.outcome is Outcome.COMPLETE
    assert plugin.n_rows == [4, 1]
    assert plugin.seen == [None, None]
    assert report.problems == {"/entry/quantity": 4}


def test_a_plugin_that_needs_pixels_gets_them(make: MakeRun) -> None:
    plugin = Plugin(needs_pixels=True)
    run = make(plugins=(plugin,), file_format=2)
    run.write(0, 1)
    np.testing.assert_array_equal(plugin.seen, [pixels(0), pixels(1)])


def test_a_storage_error_of_a_plugin_fails_the_run(make: MakeRun) -> None:
    run = make(plugins=(Plugin("append", error=StorageError("no_space", "full")),), file_format=2)
    with pytest.raises(StorageError):
        run.write(0)
    report = run.finish(1)
    assert report.outcome is Outcome.FAILED
    assert report.missing == ((0, 0),)


def test_problems_of_values_are_reported(make: MakeRun) -> None:
    run = make(file_format=2)
    run.write(0, spot_count=-1, roi_integrals={"beam": RoiIntegral(sum=2**70)})
    report = run.finish(1)
    assert report.problems == {"/entry/MX/peakCountUnfiltered": 1, "/entry/roi/beam/sum": 1}
    assert report.outcome is Outcome.COMPLETE


def test_calibrations_are_kept_within_bounds(make: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jfwriter.hdf5.calibrations.MAX_BYTES", 200)
    run = make(file_format=2)
    big, small = packed(np.zeros((90, 90), "u2"), Codec.NONE), packed(pixels(0))
    run.writer.write_calibration(messages.calibration(data={"pedestal_g0": small, "pedestal_g1": big}))
    run.writer.write_calibration(messages.calibration(data={"pedestal_g0": packed(pixels(8))}))
    run.write(0)
    report = run.finish(1)
    with h5py.File(run.root / "scan1_master.h5") as file:
        group = file["/entry/instrument/detector/calibration"]
        assert list(group) == ["pedestal_g0"]
        np.testing.assert_array_equal(group["pedestal_g0"][()], pixels(0))
    assert report.outcome is Outcome.INCOMPLETE
    assert "1 calibration images were left out: too large" in report.reasons


def test_a_writer_that_makes_no_master_keeps_no_calibrations(make: MakeRun) -> None:
    run = make(file_format=2, socket_number=1, write_master_file=False)
    run.writer.write_calibration(messages.calibration())
    run.write(4)
    report = run.finish(8, missing=((5, 7),))
    assert run.names() == ["scan1_data_000002.h5"]
    assert report.files == ("scan1_data_000002.h5",)


def test_another_writers_file_stops_this_one_before_it_writes(make: MakeRun) -> None:
    run = make(file_format=2, socket_number=1, write_master_file=False)
    (run.root / "scan1_data_000002.h5").write_bytes(b"x")
    with pytest.raises(StorageError, match="has appeared") as caught:
        run.write(4)
    assert caught.value.reason == "exists"


def test_raw_images_may_be_packed(make: MakeRun) -> None:
    run = make(file_format=2, files={"compress_raw_images": "bslz4"})
    run.write(0, channels={"default": packed(pixels(0), Codec.NONE)})
    run.finish(1)
    with h5py.File(run.root / "scan1_data_000001.h5") as file:
        dataset = file["/entry/data/data"]
        assert dataset.id.get_create_plist().get_filter(0)[0] == 32008
        np.testing.assert_array_equal(dataset[0], pixels(0))


def test_reasons_of_the_session_stay(make: MakeRun) -> None:
    run = make(file_format=2)
    run.write(0)
    report = run.finish(
        1, outcome=Outcome.CANCELLED, reasons=("cancelled on request",), dropped={"duplicate": 3}
    )
    assert report.outcome is Outcome.CANCELLED
    assert report.reasons == ("cancelled on request",)
    assert report.dropped == {"duplicate": 3}
    assert report.plan is run.plan


def test_names_are_relative_to_the_root(make: MakeRun) -> None:
    run = make(file_prefix="a/b/scan")
    run.write(0)
    report = run.finish(1)
    assert report.files == ("a/b/scan_data_000001.h5", "a/b/scan_master.h5")
