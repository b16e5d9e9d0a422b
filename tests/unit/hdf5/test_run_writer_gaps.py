"""Images that never came, came too late, or could not be stored: what is counted and what is stored."""

from __future__ import annotations

from collections.abc import Callable

import h5py
import numpy as np
import pytest

from jfwriter.errors import PayloadError
from jfwriter.hdf5 import data_files
from jfwriter.session.image_status import ImageStatus
from jfwriter.session.orders import Outcome
from tests.support.payloads import packed
from tests.support.writer_run import SHAPE, Run, pixels

MakeRun = Callable[..., Run]


def test_an_image_of_a_closed_file_is_lost(make_run: MakeRun) -> None:
    run = make_run()
    run.write(0, 1, 2, 3)
    run.writer.close_file(0)
    with pytest.raises(PayloadError, match=r"scan1_data_000001\.h5 is closed") as caught:
        run.write(2)
    assert caught.value.reason == "file_closed"
    run.write(4)
    assert run.finish(5).n_written == 5


def test_gaps_and_tails_make_all_rows(make_run: MakeRun) -> None:
    run = make_run(file_format=1)
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


def test_without_gap_filling_nothing_is_stored_for_missing_images(make_run: MakeRun) -> None:
    run = make_run(file_format=2, files={"fill_gaps": False})
    run.write(0, 3)
    report = run.finish(4, missing=((1, 2),), gaps_are_wanted=True)
    with h5py.File(run.root / "scan1_data_000001.h5") as file:
        assert file["/entry/data/data"].id.get_num_chunks() == 2
        assert (file["/entry/data/data"][1] == 65535).all()
    assert report.outcome is Outcome.COMPLETE


def test_gaps_do_not_fill_the_disk(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_files, "GAP_BYTES", 100)
    run = make_run(file_format=2, images_per_file=0, number_of_images=5000)
    run.write(4999)
    report = run.finish(5000, missing=((0, 4998),))
    assert report.outcome is Outcome.INCOMPLETE
    assert "4999 missing images without fill values: too many" in report.reasons
    with h5py.File(run.root / "scan1_data_000001.h5") as file:
        assert file["/entry/data/data"].shape[0] == 5000
        assert file["/entry/data/data"].id.get_num_chunks() == 1


def test_missing_files_do_not_fill_the_disk(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_files, "GAP_BYTES", 3 * data_files.MISSING_FILE_BYTES + 10_000)
    run = make_run(file_format=1, images_per_file=1, number_of_images=10_000)
    run.write(0)
    report = run.finish(10_000, missing=((1, 9999),))
    assert len(run.names()) == 5
    assert "9996 data files without any image were not made: too many" in report.reasons


def test_more_files_than_may_be_open(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that waits longest is closed with its gap; never the last of the run."""
    monkeypatch.setattr(data_files, "MIN_OPEN_FILES", 3)
    monkeypatch.setattr(data_files, "OPEN_IMAGES", 8)
    run = make_run(number_of_images=100, images_per_file=4, file_format=2)
    run.write(36, 0, 4, 8)
    assert [closed.filename for closed in run.closed] == ["scan1_data_000001.h5"]
    assert run.closed[0].n_rows == 4
    run.write(5, 12)
    assert [closed.file_index for closed in run.closed] == [0, 2]
    with pytest.raises(PayloadError):
        run.write(1)
    report = run.finish(40, missing=((2, 3), (6, 7), (9, 11), (13, 35), (37, 39)))
    assert report.missing == ((1, 3), (6, 7), (9, 11), (13, 35), (37, 39))
    assert report.outcome is Outcome.INCOMPLETE
    with h5py.File(run.root / "scan1_master.h5") as file:
        status = file["/entry/instrument/detector/detectorSpecific/image_status"]
        assert status[:6].tolist() == [1, ImageStatus.LATE, 0, 0, 1, 1]


def test_rows_seen_count_even_if_the_order_says_less(make_run: MakeRun) -> None:
    run = make_run(file_format=2)
    run.write(0, 1, 2)
    assert run.finish(1).n_images == 3
    with h5py.File(run.root / "scan1_master.h5") as file:
        assert file["/entry/data/data"].shape[0] == 3


def test_an_image_that_cannot_be_stored_is_missing(make_run: MakeRun) -> None:
    run = make_run(file_format=2)
    run.write(0)
    with pytest.raises(PayloadError):
        run.write(1, channels={"default": packed(pixels(1).astype("u4"))})
    run.write(2)
    report = run.finish(3)
    assert report.missing == ((1, 1),)
    assert report.n_written == 2
    assert report.outcome is Outcome.INCOMPLETE
    assert report.reasons == ("1 image came but could not be kept", "1 image missing: 1")
    assert report.dropped == {"write_failed": 1}


def test_an_image_that_comes_again_after_it_was_lost(make_run: MakeRun) -> None:
    run = make_run(file_format=2)
    run.write(1)
    with pytest.raises(PayloadError):
        run.write(0, channels={"default": packed(pixels(1).astype("u4"))})
    run.write(0)
    assert run.finish(2).outcome is Outcome.COMPLETE


def test_no_channel_of_an_image_stays_when_one_cannot_be_stored(make_run: MakeRun) -> None:
    run = make_run(file_format=2, channels=("a", "b"))
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


def test_gaps_do_not_keep_the_writer(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty rows of a small image take few bytes but a write each."""
    monkeypatch.setattr(data_files, "GAP_ROWS", 10)
    run = make_run(file_format=2, images_per_file=0, number_of_images=5000)
    run.write(4999)
    report = run.finish(5000, missing=((0, 4998),))
    assert report.outcome is Outcome.INCOMPLETE
    assert "4999 missing images without fill values: too many" in report.reasons
    with h5py.File(run.root / "scan1_data_000001.h5") as file:
        assert file["/entry/data/data"].id.get_num_chunks() == 1


def test_a_master_of_several_writers_counts_only_its_own_files(make_run: MakeRun) -> None:
    run = make_run(
        file_format=1, socket_number=0, write_master_file=True, number_of_images=12, files={"n_writers": 2}
    )
    run.write(0, 2, 3, 8, 9, 10, 11)
    run.finish(12, missing=((1, 1),))
    with h5py.File(run.root / "scan1_master.h5") as file:
        group = file["/entry/instrument/detector/detectorSpecific"]
        assert group["nimages"][()] == 12
        assert "nimages_written" not in group
        assert group["missing_images"][()].tolist() == [1]
        assert group["files_judged"][()].tolist() == [1, 3]
