"""What is left when the daemon is killed, ended, or its storage fails, in each state of a run.

The daemon is held at a chosen file operation by the storage shim, so that each state is reached for certain.
Whatever happens: a file under a final name is whole, and its images are those that were sent. The table is in
`docs/explanations/storage-faults.md`.
"""

from __future__ import annotations

import errno
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest

from tests.support import stream
from tests.support.daemon import wait_for
from tests.support.faulty_storage import FaultyStorage
from tests.support.plain_dcu import PlainDcu
from tests.support.service import Service

N_IMAGES = 10
SOON_S = 0.5
"""The daemon takes far less from the second signal to where it lets go of what waits."""
ROUGH = ("SIGKILL", "SIGTERM", "SIGTERM twice")
FAULTS = {"HDF5 error": errno.EIO, "full disk": errno.ENOSPC}


@dataclass(frozen=True)
class State:
    """`n_messages` of the run are sent; then the daemon is at the `nth` operation on a path with `text`."""

    n_messages: int
    operation: str = ""
    text: str = ""
    n_files: int = 0
    """Data files under final names by then."""
    nth: str = "1"


STATES = {
    "idle": State(0),
    "start received": State(1),
    # The first write is the header of the file's journal, which is there before the file.
    "mid-file": State(7, "write", "_data_000002", 1, nth="2"),
    "between files": State(5, "fsync", "_data_000001"),
    "finalizing": State(12, "fsync", "_data_000003", 2),
    "renaming the master": State(12, "rename", "_master", 3),
}

IMAGES_UNDER_WAY = ("mid-file", "between files")
"""Where the end of the run is another order, which waits."""


@dataclass
class Stage:
    service: Service
    storage: FaultyStorage
    dcu: PlainDcu

    @property
    def root(self) -> Path:
        return self.service.root

    def reach(self, state: State, series_id: int = 1) -> None:
        messages = stream.run(series_id, n_images=N_IMAGES)
        if state.operation:
            self.storage.wait_at(state.operation, state.text, state.nth)
        self.dcu.send(messages[: state.n_messages])
        if state.operation:
            self.storage.wait_until_struck()
        elif state.n_messages:
            self.service.wait_for_status(state="writing")


@contextmanager
def stage(directory: Path) -> Iterator[Stage]:
    root = directory / "root"
    root.mkdir()
    config = directory / "stage.toml"
    config.write_text("[service]\nshutdown_deadline_s = 20\n")
    storage = FaultyStorage(directory)
    with (
        PlainDcu() as dcu,
        Service(root, "-H0", f"--config={config}", dcu.address, environment=storage.environment) as service,
    ):
        yield Stage(service.wait_until_ready(), storage, dcu)


def files(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def assert_sound(root: Path, series_id: int = 1) -> int:
    """Each file under a final name opens and holds what was sent; returns the images in them."""
    n_images = 0
    for path in root.glob(f"run{series_id}_*.h5"):
        with h5py.File(path) as file:
            if "_data_" not in path.name:
                n_links = len(file["/entry/data"])
                assert n_links == len(list(root.glob(f"run{series_id}_data_*.h5"))), path.name
                continue
            first = 4 * (int(path.stem[-6:]) - 1)
            for row, image in enumerate(file["/entry/data/data"][()]):
                np.testing.assert_array_equal(image, stream.pixels(first + row))
                n_images += 1
    return n_images


@pytest.mark.parametrize("way", ROUGH)
@pytest.mark.parametrize("name", STATES)
def test_ended_by_a_signal(tmp_path: Path, name: str, way: str) -> None:
    state = STATES[name]
    with stage(tmp_path) as at:
        at.reach(state)
        process = at.service.process
        if way == "SIGKILL":
            process.kill()
            assert at.service.code() == -signal.SIGKILL
        elif way == "SIGTERM":
            process.send_signal(signal.SIGTERM)
            wait_for(lambda: "bringing to disk" in at.service.log)
            at.storage.work()
            assert at.service.code() == 0
        else:
            process.send_signal(signal.SIGTERM)
            wait_for(lambda: "bringing to disk" in at.service.log)
            process.send_signal(signal.SIGTERM)
            if state.operation:
                wait_for(lambda: "leaving at once" in at.service.log)
                time.sleep(SOON_S)
            at.storage.work()
            # Without anything to wait for it may have ended in good order before the second signal.
            assert at.service.code() in ({1} if state.operation else {0, 1})
        left = files(at.root)
        whole = [left_name for left_name in left if left_name.endswith(".h5")]
        n_images = assert_sound(at.root)
        if way == "SIGTERM":
            # In good order: all that came is there, the run is closed, nothing is left over.
            assert n_images == max(0, min(state.n_messages - 1, N_IMAGES))
            assert left == whole
            assert ("run1_master.h5" in whole) == (state.n_messages > 0)
            assert "failed" not in at.service.log
        elif way == "SIGKILL" and not state.operation:
            # A run that was opened leaves its journal, if the kill did not come before; no file of images.
            assert n_images == 0
            assert all(found == ".jfwriter" or found.endswith(".run.journal") for found in left)
            assert state.n_messages or not left
        elif way == "SIGKILL":
            # What was published stays, nothing more gets its name.
            assert len(whole) == state.n_files
            assert n_images == min(4 * state.n_files, N_IMAGES)
            assert [left_name for left_name in left if left_name.endswith(".tmp")]
        else:
            # The order that was under way is brought to its end, and none is begun.
            assert len(whole) >= state.n_files
            assert n_images >= min(4 * state.n_files, N_IMAGES)
            assert "run1_master.h5" not in whole or name not in IMAGES_UNDER_WAY


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One daemon for all faults: it lives on."""
    with stage(tmp_path_factory.mktemp("failing")) as at:
        yield at
        assert at.service.end() == 0
        assert "has died" not in at.service.log


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", STATES)
def test_a_fault_of_the_storage(failing: Stage, name: str, fault: str) -> None:
    """The run fails, or is not harmed where nothing was to be written; the next one is written whole."""
    at, state = failing, STATES[name]
    for path in at.root.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    n_runs = sum(at.service.status["totals"]["runs"].values())
    at.reach(state)
    at.storage.fail(state.operation or "create", state.text or "run1_", FAULTS[fault])
    at.dcu.send(stream.run(1, n_images=N_IMAGES)[state.n_messages :])
    wait_for(lambda: sum(at.service.status["totals"]["runs"].values()) == n_runs + 1)
    last = at.service.wait_for_status(state="idle")["last_run"]
    at.storage.work()
    assert last["outcome"] == "failed"
    n_images = assert_sound(at.root)
    assert n_images == last["images_written"]
    assert "run1_master.h5" not in files(at.root)
    assert len(list(at.root.glob("*.h5"))) >= state.n_files
    at.dcu.send(stream.run(n_runs + 50, n_images=N_IMAGES))
    wait_for(lambda: sum(at.service.status["totals"]["runs"].values()) == n_runs + 2)
    assert at.service.status["last_run"]["outcome"] == "complete"
    assert assert_sound(at.root, n_runs + 50) == N_IMAGES
