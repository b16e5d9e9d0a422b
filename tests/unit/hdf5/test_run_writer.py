"""The writer of one run: what it refuses, publishes, gives up, and never holds on to."""

from __future__ import annotations

from collections.abc import Callable

import h5py
import numpy as np
import pytest

from jfwriter.errors import RunRefused, StorageError
from jfwriter.hdf5 import publish_master
from jfwriter.payload import Codec, Payload
from jfwriter.session.orders import ClosedFile, Outcome
from jfwriter.wire.messages import RoiIntegral, Spots
from tests.support import messages
from tests.support.payloads import packed
from tests.support.writer_run import SHAPE, Run, pixels

MakeRun = Callable[..., Run]


def test_the_bytes_written_are_those_of_the_payload(make_run: MakeRun) -> None:
    run = make_run()
    payload = packed(pixels(0))
    assert run.write_image(messages.image(0, channels={"default": payload})) == payload.data.nbytes


def test_a_full_file_is_published_and_told_of_at_once(make_run: MakeRun) -> None:
    run = make_run()
    run.write(3, 1, 0)
    assert [name for name in run.names() if not name.endswith(".tmp")] == []
    run.write(2)
    run.writer.close_file(0)
    assert run.names() == ["scan1_data_000001.h5"]
    size_bytes = (run.root / "scan1_data_000001.h5").stat().st_size
    assert run.closed == [ClosedFile("scan1_data_000001.h5", 0, 4, 4, size_bytes)]


def test_a_file_that_was_never_opened_need_not_be_closed(make_run: MakeRun) -> None:
    run = make_run()
    run.writer.close_file(7)
    assert run.names() == []


def test_no_view_of_an_image_is_kept(make_run: MakeRun) -> None:
    """A bytearray cannot be resized while a view of it lives."""
    run = make_run(max_spot_count=2, plugins=None)
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


@pytest.mark.parametrize("file_format", [1, 2, 3])
def test_a_taken_name_refuses_the_run_before_anything_is_made(make_run: MakeRun, file_format: int) -> None:
    first = make_run(file_format=file_format)
    first.write(0)
    first.finish(1)
    before = {path.name: path.read_bytes() for path in first.root.iterdir()}
    with pytest.raises(RunRefused, match=r"scan1_.*\.h5 exists already"):
        make_run(file_format=file_format)
    assert {path.name: path.read_bytes() for path in first.root.iterdir()} == before
    again = make_run(file_format=file_format, overwrite=True)
    again.write(0, 1)
    assert again.finish(2).outcome is Outcome.COMPLETE
    assert [name for name in again.names() if name.endswith(".tmp")] == []


def test_a_name_taken_during_the_run_is_not_overwritten(make_run: MakeRun) -> None:
    run = make_run()
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


def test_a_run_that_writes_no_file_still_counts(make_run: MakeRun) -> None:
    run = make_run(file_format=6)
    run.write(0, 1, 5)
    run.writer.close_file(0)
    run.writer.write_calibration(messages.calibration())
    report = run.finish(6, missing=((2, 4),), outcome=Outcome.INCOMPLETE)
    assert run.names() == []
    assert (report.n_written, report.files, report.missing) == (3, (), ((2, 4),))


def test_abandon_publishes_nothing_and_keeps_the_images(
    make_run: MakeRun, caplog: pytest.LogCaptureFixture
) -> None:
    run = make_run(file_format=3, number_of_images=10)
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
    report = run.finish(10, missing=((2, 4), (6, 9)))
    assert report.outcome is Outcome.FAILED
    assert report.missing == ((0, 9),)
    assert report.n_written == 0
    assert report.by_status == {"never_came": 7, "run_failed": 3}


@pytest.mark.parametrize("wanted", [False, True])
def test_what_nobody_explains_is_missing_and_not_complete(make_run: MakeRun, wanted: bool) -> None:
    run = make_run(file_format=2)
    run.write(0, 1, 3)
    report = run.finish(5, gaps_are_wanted=wanted)
    assert report.outcome is Outcome.INCOMPLETE
    assert report.missing == ((2, 2), (4, 4))
    assert report.reasons == ("2 images missing: 2, 4",)
    assert report.by_status == {"never_came": 2, "written": 3}


def test_a_master_that_cannot_be_written_fails_the_run(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> list[str]:
        raise StorageError("no_space", "cannot write scan1_master.h5: No space left on device")

    monkeypatch.setattr(publish_master, "write_master", refuse)
    run = make_run(file_format=2)
    run.write(0)
    report = run.finish(1)
    assert report.outcome is Outcome.FAILED
    assert report.files == ("scan1_data_000001.h5",)
    assert report.n_written == 1
    assert run.names() == ["scan1_data_000001.h5"]


def test_problems_of_values_are_reported(make_run: MakeRun) -> None:
    run = make_run(file_format=2)
    run.write(0, spot_count=-1, roi_integrals={"beam": RoiIntegral(sum=2**70)})
    report = run.finish(1)
    assert report.problems == {"/entry/MX/peakCountUnfiltered": 1, "/entry/roi/beam/sum": 1}
    assert report.outcome is Outcome.COMPLETE


def test_calibrations_are_kept_within_bounds(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jfwriter.hdf5.calibrations.MAX_BYTES", 200)
    run = make_run(file_format=2)
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
    assert "1 calibration image left out: too large" in report.reasons


def test_a_writer_that_makes_no_master_keeps_no_calibrations(make_run: MakeRun) -> None:
    run = make_run(file_format=2, socket_number=1, write_master_file=False)
    run.writer.write_calibration(messages.calibration())
    run.write(4)
    report = run.finish(8, missing=((5, 7),))
    assert run.names() == ["scan1_data_000002.h5"]
    assert report.files == ("scan1_data_000002.h5",)


def test_another_writers_file_stops_this_one_before_it_writes(make_run: MakeRun) -> None:
    run = make_run(file_format=2, socket_number=1, write_master_file=False)
    (run.root / "scan1_data_000002.h5").write_bytes(b"x")
    with pytest.raises(StorageError, match="exists already; choose another file_prefix") as caught:
        run.write(4)
    assert caught.value.reason == "exists"


def test_raw_images_may_be_packed(make_run: MakeRun) -> None:
    run = make_run(file_format=2, files={"compress_raw_images": "bslz4"})
    run.write(0, channels={"default": packed(pixels(0), Codec.NONE)})
    run.finish(1)
    with h5py.File(run.root / "scan1_data_000001.h5") as file:
        dataset = file["/entry/data/data"]
        assert dataset.id.get_create_plist().get_filter(0)[0] == 32008
        np.testing.assert_array_equal(dataset[0], pixels(0))


def test_reasons_of_the_session_stay(make_run: MakeRun) -> None:
    run = make_run(file_format=2)
    run.write(0)
    report = run.finish(
        1, outcome=Outcome.CANCELLED, reasons=("cancelled on request",), dropped={"duplicate": 3}
    )
    assert report.outcome is Outcome.CANCELLED
    assert report.reasons == ("cancelled on request",)
    assert report.dropped == {"duplicate": 3}
    assert report.plan is run.plan


def test_names_are_relative_to_the_root(make_run: MakeRun) -> None:
    run = make_run(file_prefix="a/b/scan")
    run.write(0)
    report = run.finish(1)
    assert report.files == ("a/b/scan_data_000001.h5", "a/b/scan_master.h5")


def test_a_published_file_that_is_taken_away(make_run: MakeRun) -> None:
    run = make_run(file_format=2)
    run.write(0, 1, 2, 3)
    run.writer.close_file(0)
    run.write(4)
    (run.root / "scan1_data_000001.h5").unlink()
    report = run.finish(5)
    assert report.outcome is Outcome.INCOMPLETE
    assert report.reasons == (
        "1 published files are gone or cut off, scan1_data_000001.h5 first",
        "4 images missing: 0-3",
    )
    assert (report.n_written, report.missing, report.dropped) == (1, ((0, 3),), {"file_gone": 4})
    assert report.files == ("scan1_data_000002.h5", "scan1_master.h5")
    assert report.written_bytes == sum((run.root / name).stat().st_size for name in report.files)


def test_a_run_given_up_before_its_first_image_is_no_success(make_run: MakeRun) -> None:
    run = make_run()
    run.writer.abandon()
    assert run.finish(0).outcome is Outcome.FAILED
    assert run.names() == []
