"""The process dies in the middle of a write, as by a bug in HDF5; the service manager starts it again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np

from tests.support import stream
from tests.support.daemon import wait_for
from tests.support.patched import patched
from tests.support.plain_dcu import PlainDcu
from tests.support.service import Service


def test_a_process_that_aborts_leaves_no_half_file_and_comes_back(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    path = patched(tmp_path, "os.abort() if order.image.series_id == 2 else None")
    with PlainDcu() as dcu:
        with Service(root, "-H0", dcu.address, environment={"PYTHONPATH": path}) as service:
            service.wait_until_ready()
            dcu.send(stream.run(1, n_images=4))
            service.wait_for_status(state="idle", nimages=4)
            whole = {file.name: file.read_bytes() for file in root.iterdir() if file.suffix == ".h5"}
            dcu.send([stream.start(2, 4), stream.image_message(0, 2)])
            service.wait_for_status(nimages=1, images_synced=1)
            dcu.send([stream.image_message(1, 2)])
            assert service.code() == -signal.SIGABRT
        assert sorted(whole) == ["run1_data_000001.h5", "run1_master.h5"]
        assert {file.name: file.read_bytes() for file in root.iterdir() if file.suffix == ".h5"} == whole
        with Service(root, "-H0", dcu.address) as again:
            again.wait_until_ready()
            wait_for(lambda: again.status["inputs"][0]["connected"])
            dcu.send([stream.image_message(2, 2), *stream.run(3, n_images=3)])
            status = again.wait_for_status(state="idle", nimages=3)
            assert status["last_run"]["outcome"] == "complete"
            assert status["totals"]["images_dropped"] == {"no_run": 1}
            assert again.status["runs_to_recover"] == 1
            recover = [sys.executable, "-m", "jfwriter", "recover", str(root)]
            done = subprocess.run(recover, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            assert again.end() == 0
    with h5py.File(root / "run3_data_000001.h5") as file:
        for row in range(3):
            np.testing.assert_array_equal(file["/entry/data/data"][row], stream.pixels(row))
    with h5py.File(root / "run2_master.h5") as file:
        specific = file["/entry/instrument/detector/detectorSpecific"]
        assert specific["nimages"][()] == 1
        assert specific["outcome"][()] == b"incomplete"
        np.testing.assert_array_equal(file["/entry/data/data_000001"][0], stream.pixels(0))
