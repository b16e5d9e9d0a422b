"""What the writer makes of a disk that is full, without a second root directory."""

from __future__ import annotations

from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np

from jfwriter.errors import StorageError
from jfwriter.payload import Codec, Payload
from jfwriter.session.orders import Outcome
from tests.support import messages
from tests.support.mounts import tmpfs
from tests.support.writer_run import Run

SIZE, N_IMAGES = 64, 100
PIXELS = np.random.default_rng(1).integers(0, 60_000, (N_IMAGES, SIZE, SIZE), np.uint16)


def write_until_full(run: Run) -> tuple[int, str]:
    """(images that were taken, reason of the failure)."""
    for image_id, pixels in enumerate(PIXELS):
        payload = Payload(memoryview(pixels.tobytes()), Codec.NONE, np.dtype("<u2"), (SIZE, SIZE))
        try:
            run.write_image(messages.image(image_id, channels={"default": payload}))
        except StorageError as error:
            return image_id, error.reason
    return N_IMAGES, ""


def test_the_open_file_is_published_with_what_it_holds(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "root", "size=2m") as root:
        size = {"image_size_x": SIZE, "image_size_y": SIZE, "number_of_images": N_IMAGES}
        run = Run(root, files={"preflight": "off"}, file_format=1, images_per_file=0, **size)
        (root / "other").write_bytes(bytes(1 << 20))
        n_taken, reason = write_until_full(run)
        assert reason == "no_space"
        report = run.finish(N_IMAGES)
        assert report.outcome is Outcome.FAILED
        assert 10 < report.n_written == n_taken < N_IMAGES
        assert report.dropped == {"run_failed": 1}
        with h5py.File(root / "scan1_data_000001.h5") as file:
            np.testing.assert_array_equal(file["/entry/data/data"][()], PIXELS[:n_taken])
