"""A daemon that is killed after its run went on in the second root directory, as the first one was full."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest

from jfwriter.recovery.result import State
from tests.support import stream
from tests.support.daemon import wait_for
from tests.support.mounts import remount, tmpfs
from tests.support.plain_dcu import PlainDcu, image
from tests.support.second_root import images_through, recover_both
from tests.support.service import Service

RAW = {".tmp", ".journal", ".recovered"}
LAYOUTS = ("NXmxLegacy", "NXmxVDS", "NXmxIntegrated")
N_SENT, PER_FILE, SIZE = 80, 10, 64
PIXELS = np.random.default_rng(5).integers(0, 1 << 16, (N_SENT, SIZE, SIZE), np.uint16)
SETTINGS = """\
[files]
second_root_dir = "{second}"
[journal]
sync_interval_s = 0.05
{extra}
[http]
port = 0
"""


def messages(layout: str) -> list[bytes]:
    """Noise: the first root, of 400 kB, takes less than half of it."""
    user = {"file_prefix": "sub/run", "images_per_file": PER_FILE, "file_format": layout}
    size = {"image_size_x": SIZE, "image_size_y": SIZE}
    return [
        stream.start(n_images=N_SENT + 5, user_data=user, **size),
        *(stream.image_message(i, data={"default": image(PIXELS[i], None)}) for i in range(N_SENT)),
    ]


@contextmanager
def killed(tmp_path: Path, layout: str, extra: str = "") -> Iterator[tuple[Path, Path, int]]:
    """Both roots of a writer that was killed, and how many images it had told to be on the disk."""
    second = tmp_path / "second"
    second.mkdir()
    settings = tmp_path / "writer.toml"
    settings.write_text(SETTINGS.format(second=second, extra=extra))
    with tmpfs(tmp_path / "root", "size=400k") as first:
        with PlainDcu() as dcu, Service(first, "--config", str(settings), dcu.address) as service:
            service.wait_until_ready()
            dcu.send(messages(layout))
            told: dict[str, Any] = {}

            def are_synced() -> bool:
                told.update(service.status)
                return told["nimages"] == N_SENT and told["images_synced"] >= N_SENT - PER_FILE

            wait_for(are_synced)
            assert "the run goes on in the second root directory" in service.log
            service.end(signal.SIGKILL)
        yield first, second, told["images_synced"]


def recover(first: Path, second: Path, *options: str) -> tuple[int, list[dict[str, Any]]]:
    command = [sys.executable, "-m", "jfwriter", "recover", "--json", str(first)]
    done = subprocess.run(
        [*command, "--second-root", str(second), *options], capture_output=True, text=True, check=False
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def fill_up(root: Path) -> None:
    descriptor = os.open(root / "data of others", os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(descriptor, b"\0" * 512)
    os.close(descriptor)


def assert_all_there(masters: list[Path], n_synced: int) -> None:
    (master,) = masters
    found = images_through(master)
    assert len(found) >= n_synced
    np.testing.assert_array_equal(found, PIXELS[: len(found)])


@pytest.mark.parametrize(
    ("layout", "state"), [*((layout, "full") for layout in LAYOUTS), ("NXmxVDS", "read-only")]
)
def test_a_kill_after_the_run_went_on_loses_no_image(tmp_path: Path, layout: str, state: str) -> None:
    """The first root takes no master: it stands in the second one, and finds the files in both."""
    with killed(tmp_path, layout) as (first, second, n_synced):
        if state == "full":
            fill_up(first)
        else:
            remount(first, "ro")
        code, (told,) = recover(first, second)
        assert (code, told["state"], told["n_lost"], told["lacks"]) == (0, "recovered", 0, ""), told
        assert list(first.rglob("*_master.h5")) == []
        masters = list(second.rglob("*_master.h5"))
        assert_all_there(masters, n_synced)
        (again,) = recover_both(first, second)
        assert (again.state, again.is_good) == (State.RECOVERED_BEFORE, True)
        (last,) = recover_both(first, second, remove=True)
        assert (last.is_good, last.removed) == (True, state == "full")
        raw = {root: [p for p in root.rglob("*") if p.suffix in RAW] for root in (first, second)}
        assert [bool(raw[first]), bool(raw[second])] == [state == "read-only"] * 2
        assert [r.state for r in recover_both(first, second)] == [State.RECOVERED_BEFORE] * bool(raw[first])
        assert_all_there(masters, n_synced)


def test_the_next_writer_recovers_both_halves(tmp_path: Path) -> None:
    with killed(tmp_path, "NXmxVDS", "recover_at_start = true") as (first, second, n_synced):
        settings = tmp_path / "writer.toml"
        with PlainDcu() as dcu, Service(first, "--config", str(settings), dcu.address) as service:
            service.wait_until_ready()
            wait_for(lambda: "recovery: ended with exit status 0" in service.log)
            service.wait_for_status(runs_to_recover=0)
            assert service.end() == 0
        assert "1 run that a crash has left" in service.log
        assert_all_there([first / "sub" / "run_master.h5"], n_synced)
        with h5py.File(first / "sub" / "run_master.h5") as master:
            assert str(second) in str(master["/entry/data/data"].virtual_sources())
