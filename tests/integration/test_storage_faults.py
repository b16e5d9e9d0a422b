"""The daemon on storage that fills up, fails or goes away: real file systems and real errors.

Each test ends with a run that is written whole, without a restart.
"""

from __future__ import annotations

import errno
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest
import zmq

from tests.support import stream
from tests.support.daemon import wait_for
from tests.support.faulty_storage import FaultyStorage
from tests.support.mounts import Ext4, remount, tmpfs, unmount
from tests.support.plain_dcu import PlainDcu, image
from tests.support.service import Service

CENTRAL_EUROPE = "CET-1CEST,M3.5.0,M10.5.0/3"
LAYOUTS = {"only data": 0, "legacy": 1, "vds": 2, "integrated": 3}


@pytest.fixture
def dcu() -> Iterator[PlainDcu]:
    with PlainDcu() as dcu:
        yield dcu


@dataclass
class Faulty:
    """A daemon whose storage fails on request; one for many tests."""

    service: Service
    dcu: PlainDcu
    storage: FaultyStorage | None = None

    def fresh(self) -> tuple[Service, Path, int]:
        """With an empty root: the daemon, its root, and how many runs it has seen."""
        self.clear()
        return self.service, self.service.root, sum(self.service.status["totals"]["runs"].values())

    def clear(self) -> None:
        for path in self.service.root.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    directory = tmp_path_factory.mktemp("faulty")
    root = directory / "root"
    root.mkdir()
    storage = FaultyStorage(directory)
    with (
        PlainDcu() as dcu,
        Service(
            root, "-H0", dcu.address, environment=storage.environment | {"TZ": CENTRAL_EUROPE}
        ) as service,
    ):
        yield Faulty(service.wait_until_ready(), dcu, storage)
        assert service.end() == 0


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    """On a file system of 400 kB."""
    directory = tmp_path_factory.mktemp("small")
    with (
        tmpfs(directory / "root", "size=400k,nr_inodes=1000") as root,
        PlainDcu() as dcu,
        Service(root, "-H0", dcu.address) as service,
    ):
        yield Faulty(service.wait_until_ready(), dcu)
        assert service.end() == 0


def config(directory: Path, text: str) -> str:
    path = directory / "storage.toml"
    path.write_text(text)
    return f"--config={path}"


def finished(service: Service, n_runs: int) -> dict[str, Any]:
    """Wait for the end of the n-th run; how it ended."""
    status: dict[str, Any] = {}

    def is_over() -> bool:
        status.update(service.status)
        return bool(status["state"] == "idle" and sum(status["totals"]["runs"].values()) == n_runs)

    wait_for(is_over)
    last = status["last_run"]
    assert last["images_received"] == last["images_written"] + sum(last["images_dropped"].values())
    return dict(last)


def assert_whole(root: Path, series_id: int, n_images: int) -> None:
    with h5py.File(root / f"run{series_id}_master.h5") as file:
        assert file["/entry/instrument/detector/detectorSpecific/nimages"][()] == n_images
    rows = [
        image
        for path in sorted(root.glob(f"run{series_id}_data_*.h5"))
        for image in h5py.File(path)["/entry/data/data"][()]
    ]
    np.testing.assert_array_equal(rows, [stream.pixels(i) for i in range(n_images)])


def images_that_stand(root: Path) -> int:
    """Rows of the files of run 1 under final names: each is a file that opens, and none a row too many."""
    n_rows = 0
    for path in sorted(root.glob("run1_*.h5")):
        with h5py.File(path) as file:
            if "data" in file["/entry/data"] and "_data_" in path.name:
                n_rows += len(file["/entry/data/data"][()])
    return n_rows


def next_run_is_written(service: Service, dcu: PlainDcu) -> None:
    n_runs = sum(service.status["totals"]["runs"].values())
    series_id = 1000 + n_runs
    dcu.send(stream.run(series_id, n_images=6))
    assert finished(service, n_runs + 1)["outcome"] == "complete"
    assert_whole(service.root, series_id, 6)
    assert "has died" not in service.log


def noise(n_images: int, file_format: int, images_per_file: int = 20) -> list[bytes]:
    """A run of images of 8 kB that no filter makes smaller."""
    user = {"images_per_file": images_per_file, "file_format": file_format}
    pixels = np.random.default_rng(1).integers(0, 1 << 16, (n_images, 64, 64), np.uint16)
    return [
        stream.start(1, n_images, user_data=user, image_size_x=64, image_size_y=64),
        *(stream.image_message(i, data={"default": image(one, None)}) for i, one in enumerate(pixels)),
        stream.end(1, n_images),
    ]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_full_disk(small: Faulty, layout: str) -> None:
    """The images before it can be read, no image is there that was not sent, and the next run is written."""
    service, root, n_before = small.fresh()
    small.dcu.send(noise(150, LAYOUTS[layout]))
    last = finished(service, n_before + 1)
    assert last["outcome"] == "failed"
    assert last["reasons"][0].startswith("no_space: ")
    assert service.status["totals"]["runs_failed"].keys() == {"no_space"}
    assert images_that_stand(root) == last["images_written"]
    for path in root.glob("*.tmp"):
        with h5py.File(path) as file:
            assert 0 < len(file["/entry/data/data"][()]) < 150
    small.clear()
    next_run_is_written(service, small.dcu)


def test_no_inode_left(small: Faulty) -> None:
    service, root, n_before = small.fresh()
    remount(root, "nr_inodes=9")
    small.dcu.send(stream.run(n_images=40))
    last = finished(service, n_before + 1)
    remount(root, "nr_inodes=1000")
    assert last["outcome"] == "failed"
    assert last["reasons"][0].startswith("no_space: ")
    assert images_that_stand(root) == last["images_written"] > 0
    assert list(root.glob("*.tmp")) == []
    next_run_is_written(service, small.dcu)


def test_a_file_system_that_becomes_read_only(tmp_path: Path, dcu: PlainDcu) -> None:
    """As ext4 does when it finds itself damaged. Once it was repaired and mounted again, runs are written."""
    with Ext4(tmp_path / "root") as ext4, Service(ext4.place, "-H0", dcu.address) as service:
        root = service.wait_until_ready().root
        messages = stream.run(n_images=12)
        dcu.send(messages[:7])
        service.wait_for_status(nimages=6)
        ext4.find_broken()
        dcu.send(messages[7:])
        last = finished(service, 1)
        assert (last["outcome"], last["images_written"]) == ("failed", 4)
        assert last["reasons"][0].startswith("read_only: ")
        wait_for(lambda: service.get("health")[0] == 503)
        dcu.send(stream.run(2, n_images=3))
        assert "read-only" in finished(service, 2)["reasons"][0].lower()
        assert images_that_stand(root) == 4
        ext4.repair()
        assert images_that_stand(root) == 4
        next_run_is_written(service, dcu)
        assert service.end() == 0


def test_a_root_that_is_unmounted_in_mid_run(tmp_path: Path, dcu: PlainDcu) -> None:
    """Nothing goes into the empty mount point, be it between runs or within one."""
    options = ("-H0", config(tmp_path, '[files]\nroot_guard = ".mounted"\n'), dcu.address)
    with tmpfs(tmp_path / "root", "size=4m") as root:
        (root / ".mounted").touch()
        with Service(root, *options) as service:
            service.wait_until_ready()
            messages = stream.run(n_images=12)
            dcu.send(messages[:7])
            service.wait_for_status(nimages=6)
            unmount(root)
            dcu.send(messages[7:])
            last = finished(service, 1)
            assert last["outcome"] == "failed"
            assert "root_gone" in last["reasons"][0]
            dcu.send(stream.run(2, n_images=3))
            assert "root" in finished(service, 2)["reasons"][0]
            assert list(root.iterdir()) == []
            assert service.get("health")[0] == 503
            with tmpfs(root, "size=4m"):
                (root / ".mounted").touch()
                next_run_is_written(service, dcu)


@pytest.mark.parametrize(
    ("operation", "number", "reason"),
    [
        ("create", errno.EIO, "io_error"),
        ("create", errno.EDQUOT, "no_space"),
        ("write", errno.EIO, "io_error"),
        ("write", errno.EDQUOT, "no_space"),
        ("write", errno.EROFS, "read_only"),
        ("fsync", errno.EIO, "io_error"),
        ("fsync", errno.ENOSPC, "no_space"),
        ("close", errno.EIO, "io_error"),
        ("rename", errno.EIO, "io_error"),
        ("rename", errno.ENOSPC, "no_space"),
    ],
)
def test_an_error_of_the_storage(faulty: Faulty, operation: str, number: int, reason: str) -> None:
    """At the second data file: the first stays, the second never gets its name, the next run is written."""
    service, root, n_before = faulty.fresh()
    storage, dcu = faulty.storage, faulty.dcu
    assert storage is not None
    messages = stream.run(1, n_images=12)
    dcu.send(messages[:5])
    service.wait_for_status(state="writing", files_closed=1)
    storage.fail(operation, "run1_data_000002", number)
    dcu.send(messages[5:])
    last = finished(service, n_before + 1)
    storage.work()
    assert (last["outcome"], last["images_written"], last["images_missing"]) == ("failed", 4, 8)
    assert last["reasons"][0].startswith(f"{reason}: ")
    assert images_that_stand(root) == 4
    assert sorted(path.name for path in root.glob("*.h5")) == ["run1_data_000001.h5"]
    next_run_is_written(service, dcu)


def test_a_second_root(tmp_path: Path, dcu: PlainDcu) -> None:
    """The first fills up in mid-run: all images are kept, told of where they are, and found by the master."""
    second = tmp_path / "second"
    second.mkdir()
    text = f'[files]\nsecond_root_dir = "{second}"\n[announce]\nannounce_run_end = true\n'
    with (
        tmpfs(tmp_path / "root", "size=400k") as root,
        zmq.Context() as context,
        context.socket(zmq.SUB) as subscriber,
        Service(root, "-H0", "-f0", config(tmp_path, text), dcu.address) as service,
    ):
        subscriber.rcvtimeo = 60_000
        subscriber.subscribe(b"")
        subscriber.connect(service.wait_until_ready().endpoint("announcements"))
        n_runs = 0
        while not subscriber.poll(100):  # the subscription may not have arrived yet
            n_runs += 1
            dcu.send(stream.run(100 + n_runs, n_images=1, user_data={"file_format": 0}))
        finished(service, n_runs)
        dcu.send(noise(150, LAYOUTS["vds"]))
        last = finished(service, n_runs + 1)
        assert (last["outcome"], last["images_written"]) == ("complete", 150)
        assert last["reasons"][-1].startswith("spilled: ")
        assert any("second root" in text for text in service.log.splitlines())
        announced: list[dict[str, Any]] = []
        while not announced or "event" not in announced[-1] or announced[-1]["run_name"] != "series 1":
            announced.append(json.loads(subscriber.recv()))
        own = [message for message in announced if message["run_name"] == "series 1"]
        assert own[-1]["files"] == last["files"]
        for message in own[:-1]:
            with h5py.File(root / message["filename"]) as file:
                assert len(file["/entry/data/data"]) == message["nimages"]
        assert any(message["filename"].startswith(f"{second}/") for message in own[:-1])
        with h5py.File(root / last["files"][-1]) as file:
            found = file["/entry/data/data"][()]
        np.testing.assert_array_equal(
            found, np.random.default_rng(1).integers(0, 1 << 16, (150, 64, 64), "u2")
        )
        assert service.end() == 0


def around_winter_time() -> tuple[int, int]:
    """Half an hour before and after the clocks of central Europe are set back: 02:30 both times."""
    change = int(datetime(2026, 10, 25, 1, tzinfo=UTC).timestamp() - time.time())
    return change - 1800, change + 1800


@pytest.mark.parametrize("change", ["an hour back", "an hour forth", "beyond 2038", "to winter time"])
def test_a_clock_that_is_set_in_mid_run(faulty: Faulty, change: str) -> None:
    """No run is harmed, no waiting time is told wrong, no log line left out; the stamps follow the clock."""
    service, root, n_before = faulty.fresh()
    storage, dcu = faulty.storage, faulty.dcu
    assert storage is not None
    before_s, after_s = {
        "an hour back": (0, -3600),
        "an hour forth": (0, 3600),
        "beyond 2038": (0, 13 * 366 * 86400),
        "to winter time": around_winter_time(),
    }[change]
    messages = stream.run(1, n_images=12)
    told = "run 'series 1' (1) complete"
    n_told = service.log.count(told)
    storage.set_clock(before_s)
    dcu.send(messages[:7])
    before = service.wait_for_status(state="writing", files_closed=1, nimages=6)
    storage.set_clock(after_s)
    dcu.send(messages[7:])
    last = finished(service, n_before + 1)
    status = service.status
    now = time.time()
    storage.set_clock(0)
    assert (last["outcome"], last["images_missing"]) == ("complete", 0)
    assert abs(last["finished_at"] - now - after_s) < 600
    assert_whole(root, 1, 12)
    assert 0 <= status["uptime_s"] - before["uptime_s"] < 600
    assert status["oldest_image_age_s"] == 0
    assert status["event_loop_lag_s"] < 600
    assert status["warnings"] == []
    wait_for(lambda: service.log.count(told) == n_told + 1)
    with h5py.File(root / "run1_master.h5") as file:
        begun = datetime.fromisoformat(file["/entry/start_time"][()].decode())
        written = datetime.fromisoformat(file.attrs["file_time"].decode())
    assert abs(begun.timestamp() - now - before_s) < 600
    assert abs(written.timestamp() - now - after_s) < 600
