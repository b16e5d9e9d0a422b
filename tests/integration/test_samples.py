"""The sample configurations start a writer that does what their comments say."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
import zmq

from tests.support.daemon import RunningDaemon, wait_for

CONFIGS = Path(__file__).parents[2] / "configs"
FREE_PORTS = ("-H0", "-r0", "-f0")


def free_address() -> str:
    with zmq.Context() as context, context.socket(zmq.REP) as socket:
        return f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}"


def simulate(address: str, *options: str) -> None:
    command = [sys.executable, "-m", "jfwriter", "simulate", address, "--detector", "64x48", "--images", "5"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def test_eiger2_without_a_prefix_gets_files_of_its_own(tmp_path: Path) -> None:
    root, address = tmp_path / "data", free_address()
    root.mkdir()
    before = datetime.datetime.now(datetime.UTC).date()
    with RunningDaemon(root, "--config", str(CONFIGS / "eiger2.toml"), *FREE_PORTS, address):
        options = "--flavour=stream2", "--channels=2", "--prefix=", "--run-number=7", "--run-name=Th/α 1"
        simulate(address, *options)
        wait_for(lambda: bool(list(root.glob("*/*_master.h5"))))
    (master,) = root.glob("*/*_master.h5")
    assert master.parent.name in {before.isoformat(), datetime.datetime.now(datetime.UTC).date().isoformat()}
    assert master.name == "000007_Th___1_master.h5"
    with h5py.File(master) as file:
        assert file["/entry/data/data"].shape == (5, 48, 64)
        assert file["/entry/channels/threshold_2/data"].shape == (5, 48, 64)


@pytest.mark.parametrize("prefix", ["first", "a/b"])
def test_jungfrau_sample_writes_below_the_prefix(tmp_path: Path, prefix: str) -> None:
    root, address = tmp_path / "data", free_address()
    root.mkdir()
    with RunningDaemon(root, "--config", str(CONFIGS / "jungfrau.toml"), *FREE_PORTS, address):
        simulate(address, "--prefix", prefix, "--wait")
    assert (root / f"{prefix}_master.h5").exists()
    assert (root / f"{prefix}_data_000001.h5").stat().st_mode & 0o777 == 0o640
