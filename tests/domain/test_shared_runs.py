"""Several writers on one run: each writes the files of its images, one writes a master that is right."""

from __future__ import annotations

from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest

from jfwriter.wire.messages import EndMessage, ImageMessage, StartMessage
from tests.support import full_run, messages
from tests.support.offline import OfflineDaemon
from tests.support.payloads import packed
from tests.support.plain_dcu import encode

N_IMAGES, PER_FILE = 18, 4


def pixels(i: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    return np.full((messages.HEIGHT, messages.WIDTH), i, "u2")


def start(file_format: int, socket: int) -> StartMessage:
    return messages.start(
        file_format=file_format,
        number_of_images=N_IMAGES,
        socket_number=socket,
        write_master_file=socket == 0,
        max_spot_count=5,
    )


def image(i: int) -> ImageMessage:
    return messages.image(i, channels={"default": packed(pixels(i))}, original_image_id=i + 100)


def end() -> EndMessage:
    return messages.end(max_image_number=N_IMAGES)


@pytest.mark.parametrize("n_writers", [2, 4])
@pytest.mark.parametrize("file_format", [1, 2])
@pytest.mark.parametrize("master_first", [True, False])
def test_one_master_over_the_files_of_all(
    tmp_path: Path, n_writers: int, file_format: int, master_first: bool
) -> None:
    order = range(n_writers) if master_first else reversed(range(n_writers))
    for socket in order:
        daemon = OfflineDaemon(tmp_path)
        ids = [i for i in range(N_IMAGES) if i // PER_FILE % n_writers == socket]
        written = daemon.take([start(file_format, socket), *(image(i) for i in ids), end()])
        assert written.report.n_written == len(ids)
        assert written.report.missing == ()
    files = [f"scan1_data_{k:06d}.h5" for k in range(1, 6)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*files, "scan1_master.h5"]
    expected = [pixels(i) for i in range(N_IMAGES)]
    with h5py.File(tmp_path / "scan1_master.h5") as master:
        data = master["/entry/data"]
        if file_format == 1:
            stack = np.concatenate([data[name][()] for name in sorted(data)])
        else:
            stack = data["data"][()]
            number = master["/entry/instrument/detector/detectorSpecific/number"][()]
            np.testing.assert_array_equal(number, np.arange(N_IMAGES) + 100)
            assert master["/entry/MX/nPeaks"].shape == (N_IMAGES,)
        np.testing.assert_array_equal(stack, expected)


def test_the_file_of_another_writer_that_is_late_reads_as_fill_values(tmp_path: Path) -> None:
    OfflineDaemon(tmp_path).take([start(2, 0), *(image(i) for i in (0, 1, 2, 3)), end()])
    with h5py.File(tmp_path / "scan1_master.h5") as master:
        data = master["/entry/data/data"]
        np.testing.assert_array_equal(data[3], pixels(3))
        assert (data[4:] == 65535).all()
        assert (master["/entry/instrument/detector/detectorSpecific/number"][4:] == -1).all()


def test_reflections_are_linked_where_this_writer_saw_them(tmp_path: Path) -> None:
    frames = np.zeros((8, 16, 16), np.int16)
    head = full_run.start(
        frames, prefix="run", file_format="NXmxVDS", images_per_file=4, json_user_data=False
    )
    ids = range(4)
    OfflineDaemon(tmp_path).take(
        [head, *(encode(full_run.image_message(i, frames[i], "bslz4")) for i in ids), full_run.end(8)]
    )
    with h5py.File(tmp_path / "run_master.h5") as master:
        group = master["/entry/reflections"]
        assert list(group) == [f"image_{i:06d}" for i in ids]
        link = group.get("image_000002", getlink=True)
        assert (link.filename, link.path) == ("run_data_000001.h5", "/entry/reflections/image_000002")
