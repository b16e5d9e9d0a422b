"""Quantities that only some data files hold: a VDS master can still be read whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np

from jfwriter.wire.messages import ImageMessage, RoiIntegral, StartMessage
from tests.support import messages
from tests.support.offline import OfflineDaemon
from tests.support.payloads import packed

N_IMAGES, PER_FILE = 9, 3
MISSING = 4


def start(socket: int | None, *, writes_master: bool) -> StartMessage:
    return messages.start(
        file_format=2,
        number_of_images=N_IMAGES,
        images_per_file=PER_FILE,
        file_prefix="a%b",
        socket_number=socket,
        write_master_file=writes_master,
    )


def image(i: int) -> ImageMessage:
    """Only the images of the first file carry more than pixels."""
    fields: dict[str, Any] = {"channels": {"default": packed(np.full((3, 4), i, "u2"))}}
    if i < PER_FILE:
        fields |= {
            "xfel_pulse_id": 2**63 + i,
            "indexing_time": 0.5,
            "pixel_sum": i,
            "bkg_estimate": 1.5,
            "roi_integrals": {"50%b": RoiIntegral(sum=7, pixels=3)},
        }
    return messages.image(i, **fields)


SPARSE: dict[str, tuple[Any, Any]] = {
    "/entry/xfel/pulseID": ([2**63, 2**63 + 1, 2**63 + 2], 0),
    "/entry/profiling/indexingTime": ([0.5] * 3, np.nan),
    "/entry/image/pixel_sum": ([0, 1, 2], -(2**63)),
    "/entry/MX/bkgEstimate": ([1.5] * 3, np.nan),
    "/entry/roi/50%b/sum": ([7] * 3, 0),
}


def check(master: Path, missing: list[int], skipped: str = "") -> None:
    with h5py.File(master, "r") as file:
        for path, (first, sentinel) in SPARSE.items():
            if path != skipped:
                dataset = file[path]
                wanted = np.full(N_IMAGES, sentinel, dataset.dtype)
                wanted[:PER_FILE] = first
                np.testing.assert_array_equal(dataset, wanted)
        number = file["/entry/instrument/detector/detectorSpecific/number"][()]
        assert number.tolist() == [-1 if i in missing else i for i in range(N_IMAGES)]


def test_one_writer(tmp_path: Path) -> None:
    daemon = OfflineDaemon(tmp_path)
    images = (image(i) for i in range(N_IMAGES) if i != MISSING)
    daemon.take([start(None, writes_master=True), *images, messages.end(max_image_number=N_IMAGES)])
    check(tmp_path / "a%b_master.h5", [MISSING])
    with h5py.File(tmp_path / "a%b_data_000002.h5", "r") as file:
        assert sorted(file["entry"]) == ["data", "detector"]


def test_the_files_of_another_writer_may_lack_them(tmp_path: Path) -> None:
    """The exception: a region that the start message does not name; some image of each file must bring it."""
    for socket in (0, 1):
        daemon = OfflineDaemon(tmp_path)
        ids = [i for i in range(N_IMAGES) if i // PER_FILE % 2 == socket]
        begin = start(socket, writes_master=socket == 0)
        daemon.take([begin, *map(image, ids), messages.end(max_image_number=N_IMAGES)])
    check(tmp_path / "a%b_master.h5", [], skipped="/entry/roi/50%b/sum")
    with h5py.File(tmp_path / "a%b_data_000002.h5", "r") as file:
        assert {"MX", "azint", "image", "profiling", "roi", "xfel"} <= set(file["entry"])
        np.testing.assert_array_equal(file["entry/data/data"][:, 0, 0], [3, 4, 5])
