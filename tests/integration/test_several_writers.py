"""Several daemons share one run: images are split by file number, and one of them writes the master."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import numpy.typing as npt
import pytest

from tests.support.daemon import RunningDaemon, wait_for
from tests.support.plain_dcu import PlainDcu, encode, image

N_IMAGES, PER_FILE, SHAPE = 22, 3, (40, 60)
N_FILES = -(-N_IMAGES // PER_FILE)
SERIES = {"series_id": 3, "series_unique_id": "shared"}


def pixels() -> npt.NDArray[np.uint16]:
    return np.random.default_rng(3).integers(0, 5000, (N_IMAGES, *SHAPE)).astype(np.uint16)


def start(socket: int, layout: str) -> bytes:
    return encode({
        "type": "start", **SERIES, "number_of_images": N_IMAGES, "image_size_x": SHAPE[1],
        "image_size_y": SHAPE[0], "image_dtype": "uint16", "beam_center_x": 30.0, "beam_center_y": 20.0,
        "detector_distance": 0.1, "incident_wavelength": 1.0, "pixel_size_x": 75e-6, "pixel_size_y": 75e-6,
        "goniometer": {"omega": {"start": 0.0, "increment": 0.5}}, "max_spot_count": 10,
        "user_data": {"file_prefix": "shared/run", "images_per_file": PER_FILE, "file_format": layout,
                      "socket_number": socket, "write_master_file": socket == 0},
    })  # fmt: skip


def image_message(i: int) -> bytes:
    spots = [{"x": 1.0 * i, "y": 2.0, "I": 3.0}]
    return encode({"type": "image", **SERIES, "image_id": i, "spots": spots, "bkg_estimate": float(i),
                   "data": {"default": image(pixels()[i], "bslz4")}})  # fmt: skip


def end() -> bytes:
    return encode({"type": "end", **SERIES, "max_image_number": N_IMAGES, "images_collected": N_IMAGES})


def send_share(dcu: PlainDcu, socket: int, n_writers: int, layout: str) -> None:
    share = [i for i in range(N_IMAGES) if (i // PER_FILE) % n_writers == socket]
    dcu.send([start(socket, layout), *(image_message(i) for i in share), end()])


@pytest.mark.parametrize("layout", ["NXmxLegacy", "NXmxVDS"])
@pytest.mark.parametrize("n_writers", [2, 4])
def test_one_master_over_the_files_of_all(tmp_path: Path, n_writers: int, layout: str) -> None:
    folder = tmp_path / "root" / "shared"
    (tmp_path / "root").mkdir()
    with ExitStack() as stack:
        dcus = [stack.enter_context(PlainDcu()) for _ in range(n_writers)]
        for dcu in dcus:
            stack.enter_context(RunningDaemon(tmp_path / "root", dcu.address))
        for socket, dcu in enumerate(dcus):
            send_share(dcu, socket, n_writers, layout)
        names = {f"run_data_{k + 1:06d}.h5" for k in range(N_FILES)} | {"run_master.h5"}
        wait_for(lambda: names <= {path.name for path in folder.glob("*.h5")})
    assert {path.name for path in folder.iterdir()} == names
    with h5py.File(folder / "run_master.h5") as master:
        check_master(master, layout, n_writers)


def check_master(master: h5py.File, layout: str, n_writers: int) -> None:
    group: Any = master["/entry/data"]
    links = ["data"] if layout == "NXmxVDS" else [f"data_{k + 1:06d}" for k in range(N_FILES)]
    assert sorted(group) == links
    np.testing.assert_array_equal(np.concatenate([group[name][()] for name in links]), pixels())
    specific = master["/entry/instrument/detector/detectorSpecific"]
    assert specific["nimages"][()] == N_IMAGES
    assert "missing_images" not in specific
    assert "nimages_written" not in specific
    assert specific["files_judged"][()].tolist() == list(range(1, N_FILES + 1, n_writers))
    np.testing.assert_allclose(master["/entry/sample/transformations/omega"][()], 0.5 * np.arange(N_IMAGES))
    if layout == "NXmxVDS":
        np.testing.assert_array_equal(specific["number"][()], np.arange(N_IMAGES))
        np.testing.assert_allclose(master["/entry/MX/bkgEstimate"][()], np.arange(N_IMAGES))
        np.testing.assert_allclose(master["/entry/MX/peakXPosRaw"][:, 0], np.arange(N_IMAGES))
        np.testing.assert_array_equal(master["/entry/MX/nPeaks"][()], 1)
