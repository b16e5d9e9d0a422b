"""A writer that is killed while it writes, and the files that come of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import fabio
import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest

from tests.support import full_run
from tests.support.daemon import wait_for
from tests.support.plain_dcu import PlainDcu, encode
from tests.support.service import Service

N_IMAGES, PER_FILE = 7, 3
PIXELS = np.random.default_rng(3).poisson(20.0, (N_IMAGES, 24, 40)).astype(np.int16)
SETTINGS = """\
[http]
port = 0
[journal]
sync_interval_s = 0.05
"""


def messages(layout: str) -> list[bytes]:
    start = full_run.start(PIXELS, prefix="run", file_format=layout, images_per_file=PER_FILE,
                           json_user_data=False, n_images=10)  # fmt: skip
    return [start, *(encode(full_run.image_message(i, PIXELS[i], "bslz4")) for i in range(N_IMAGES))]


def killed(tmp_path: Path, layout: str, extra: str = "") -> Path:
    """The root of a writer that was killed when all images were on the disk."""
    root = tmp_path / "root"
    root.mkdir()
    settings = tmp_path / "writer.toml"
    settings.write_text(SETTINGS + extra)
    with PlainDcu() as dcu, Service(root, "--config", str(settings), dcu.address) as service:
        service.wait_until_ready()
        dcu.send(messages(layout))
        service.wait_for_status(images_synced=N_IMAGES)
        service.end(signal.SIGKILL)
    return root


@pytest.mark.parametrize("layout", ["NXmxVDS", "NXmxIntegrated"])
def test_every_image_that_was_on_the_disk_is_recovered(tmp_path: Path, layout: str) -> None:
    root = killed(tmp_path, layout)
    command = [sys.executable, "-m", "jfwriter", "recover", "--json", "--remove", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["state"], told["n_images"], told["n_lost"]) == ("recovered", N_IMAGES, 0)
    with h5py.File(root / "run_master.h5") as master:
        assert np.array_equal(master["/entry/data/data"][:], PIXELS)
        assert master["/entry/MX/nPeaks"][:].tolist() == [full_run.n_spots(i) for i in range(N_IMAGES)]
    with fabio.open(str(root / "run_master.h5")) as image:
        assert image.nframes == N_IMAGES
    assert all(path.suffix == ".h5" for path in root.iterdir())


def test_the_next_writer_recovers_and_takes_a_run_meanwhile(tmp_path: Path) -> None:
    root = killed(tmp_path, "NXmxVDS", "recover_at_start = true\n")
    settings = tmp_path / "writer.toml"
    with PlainDcu() as dcu, Service(root, "--config", str(settings), dcu.address) as service:
        service.wait_until_ready()
        dcu.send([
            full_run.start(PIXELS, prefix="next", file_format="NXmxVDS", images_per_file=0,
                           json_user_data=False),
            *messages("NXmxVDS")[1:],
            full_run.end(N_IMAGES),
        ])  # fmt: skip
        wait_for((root / "next_master.h5").exists)
        wait_for(lambda: "recovery: ended with exit status 0" in service.log)
        service.wait_for_status(runs_to_recover=0)
        assert service.end() == 0
    for prefix in ("run", "next"):
        with h5py.File(root / f"{prefix}_master.h5") as master:
            assert np.array_equal(master["/entry/data/data"][:], PIXELS)
