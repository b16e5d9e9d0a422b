"""How runs end: by their end message, cancelled, superseded, refused, or with a disk that is full."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest

from jfwriter.payload import Codec
from jfwriter.session.orders import Outcome
from jfwriter.wire.messages import ImageMessage
from tests.support import messages
from tests.support.offline import OfflineDaemon, write
from tests.support.payloads import packed

LIMIT_BYTES = 400_000
SIDE = 200


def image(i: int, series_id: int = 1) -> ImageMessage:
    """Small, packed."""
    return messages.image(i, series_id, channels={"default": packed(np.full((3, 4), i, "u2"))})


def n_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


@pytest.mark.parametrize("file_format", [1, 2, 3])
def test_cancelled_on_request(tmp_path: Path, file_format: int) -> None:
    daemon = OfflineDaemon(tmp_path)
    daemon.take([messages.start(file_format=file_format), *(image(i) for i in range(6))])
    report = daemon.cancel().report
    assert report.outcome is Outcome.CANCELLED
    assert (report.n_images, report.n_written) == (6, 6)
    with h5py.File(tmp_path / "scan1_master.h5") as master:
        assert "end_time" not in master["entry"]
        assert master["/entry/instrument/detector/detectorSpecific/nimages"][()] == 6


def test_cancelled_by_the_sender(tmp_path: Path) -> None:
    end = messages.end(max_image_number=2, cancelled=True)
    report = write(tmp_path, [messages.start(), image(0), image(1), end]).report
    assert report.outcome is Outcome.CANCELLED
    assert report.files == ("scan1_data_000001.h5", "scan1_master.h5")


def test_a_run_without_end_is_finished_by_the_next_start(tmp_path: Path) -> None:
    sent = [messages.start(1), image(0), image(1), messages.start(2), image(0, 2), messages.end(2, 1)]
    first, second = write(tmp_path, sent).reports
    assert (first.outcome, first.n_images) == (Outcome.INCOMPLETE, 2)
    assert second.n_images == 1
    assert names(tmp_path) == [f"scan{k}_{part}.h5" for k in (1, 2) for part in ("data_000001", "master")]


def test_a_run_into_taken_names_is_refused_and_leaves_them(tmp_path: Path) -> None:
    run = [messages.start(), *(image(i) for i in range(5)), messages.end(max_image_number=5)]
    write(tmp_path, run)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = write(tmp_path, run)
    assert [failure.reason for failure in again.failures] == ["exists"]
    assert again.discarded == {"run_failed": 5}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_nothing_is_written_without_a_prefix(tmp_path: Path) -> None:
    written = write(tmp_path, [messages.start(file_prefix=None), image(0), image(1), messages.end()])
    assert names(tmp_path) == []
    assert written.report.n_written == 2
    assert written.closed == []


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file can grow beyond LIMIT_BYTES: writing fails as on a full disk, with EFBIG for ENOSPC."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def noise(i: int) -> Any:
    return np.random.default_rng(i).integers(0, 65535, (SIDE, SIDE), dtype="u2")


@pytest.mark.parametrize("file_format", [1, 2, 3])
@pytest.mark.usefixtures("small_files")
def test_a_full_disk_fails_the_run_and_nothing_half_written_gets_a_name(
    tmp_path: Path, file_format: int
) -> None:
    """Files of three images fit, one of eight does not; images 0-2 are safe when image 3 comes."""
    daemon = OfflineDaemon(tmp_path)
    start = messages.start(image_size_x=SIDE, image_size_y=SIDE, number_of_images=9, images_per_file=3,
                           file_format=file_format)  # fmt: skip
    ids = [0, 1, 2, 3, 4, 5, 6, 7, 8]
    n_open = n_descriptors()
    sent = [messages.image(i, channels={"default": packed(noise(i), Codec.NONE)}) for i in ids]
    written = daemon.take([start, *sent, messages.end(max_image_number=9)])
    report = written.report
    assert n_descriptors() == n_open
    if file_format == 3:
        assert report.outcome is Outcome.FAILED
        assert report.reasons[0].startswith("file_too_large: ")
        assert report.files == ()
        assert report.missing == ((0, 8),)
    else:
        assert report.outcome is Outcome.COMPLETE
        assert len(report.files) == 4
    assert [name for name in names(tmp_path) if name.endswith(".h5")] == [
        Path(name).name for name in report.files
    ]


@pytest.mark.usefixtures("small_files")
def test_what_was_published_before_the_disk_was_full_stays(tmp_path: Path) -> None:
    daemon = OfflineDaemon(tmp_path)
    start = messages.start(image_size_x=SIDE, image_size_y=SIDE, number_of_images=20, images_per_file=3)
    sent = [messages.image(i, channels={"default": packed(noise(i), Codec.NONE)}) for i in range(3)]
    daemon.take([start, *sent])
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    sent = [messages.image(i, channels={"default": packed(noise(i), Codec.NONE)}) for i in range(3, 9)]
    written = daemon.take([*sent, messages.end(max_image_number=9)])
    assert [failure.reason for failure in written.failures] == ["file_too_large"]
    report = written.report
    assert report.outcome is Outcome.FAILED
    assert report.files == ("scan1_data_000001.h5",)
    assert (report.n_written, report.missing) == (3, ((3, 8),))
    with h5py.File(tmp_path / "scan1_data_000001.h5") as file:
        np.testing.assert_array_equal(file["/entry/data/data"][()], [noise(i) for i in range(3)])
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    daemon.written.reports.clear()
    next_run = daemon.take([messages.start(2), image(0, 2), messages.end(2, 1)])
    assert next_run.report.n_written == 1
