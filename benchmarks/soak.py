"""Does the daemon grow? One long run against the documented sum, then many short runs.

    python -m benchmarks.soak [--images 20000] [--runs 500] [--directory DIR]

The long run samples the daemon's resident memory while it writes and compares the peak with the sum of
`docs/how-to/size.md`. The short runs count resident memory, file descriptors and threads after the first
fifth and at the end. Both talk to loopback only and end by themselves.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jfwriter.compression import compress
from jfwriter.payload import Codec
from jfwriter.settings import Settings
from jfwriter.simulator.dcu import Dcu
from jfwriter.wire.encode import encode, pixels

SHAPE = (512, 1024)
DEADLINE_S = 60.0
BUDGET_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the daemon holds at one moment."""

    rss_bytes: int
    n_descriptors: int
    n_threads: int

    @classmethod
    def of(cls, pid: int) -> Footprint:
        status = Path(f"/proc/{pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        return cls(
            rss_bytes=int(fields["VmRSS"].split()[0]) * 1024,
            n_descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
            n_threads=int(fields["Threads"]),
        )

    def __str__(self) -> str:
        return f"{self.rss_bytes / 1e6:.1f} MB, {self.n_descriptors} descriptors, {self.n_threads} threads"


class Peak(threading.Thread):
    """Samples a process until told to stop."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._done = pid, threading.Event()
        self.rss_bytes = 0

    def run(self) -> None:
        while not self._done.wait(0.05):
            self.rss_bytes = max(self.rss_bytes, Footprint.of(self._pid).rss_bytes)

    def stop(self) -> int:
        self._done.set()
        self.join()
        return self.rss_bytes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Daemon:
    """`jfwriter run` with its HTTP interface."""

    def __init__(self, root: Path, addresses: tuple[str, ...]) -> None:
        self._url = f"http://127.0.0.1:{(port := free_port())}"
        config = root / "soak.toml"
        config.write_text(f"[memory]\nbyte_budget_bytes = {BUDGET_BYTES}\n")
        command = ["run", "-R", str(root), "-H", str(port), "--config", str(config), *addresses]
        self._log = (root / "daemon.log").open("wb")
        self.process = subprocess.Popen([sys.executable, "-m", "jfwriter", *command], stderr=self._log)
        self.wait_until(bool)

    def status(self) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"{self._url}/status", timeout=5) as answer:
                status: dict[str, Any] = json.load(answer)
        except OSError:
            return {}
        return status

    def wait_until(self, condition: Any) -> dict[str, Any]:
        deadline = time.monotonic() + DEADLINE_S
        while not condition(status := self.status()):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise TimeoutError(f"the daemon did not get there within {DEADLINE_S} s: {status}")
            time.sleep(0.01)
        return status

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(DEADLINE_S)
        self._log.close()
        return code


@contextmanager
def daemon_and_dcu(directory: Path) -> Iterator[tuple[Daemon, Dcu]]:
    with tempfile.TemporaryDirectory(dir=directory) as root, Dcu() as dcu:
        daemon = Daemon(Path(root), dcu.addresses)
        try:
            yield daemon, dcu
        finally:
            code = daemon.stop()
            print(f"  exit code {code}")


class Run:
    """The messages of one run of synthetic images with spots and a profile."""

    def __init__(self, number: int, n_images: int) -> None:
        self.series: Mapping[str, object] = {"series_id": number, "series_unique_id": f"run {number}"}
        self.number, self.n_images = number, n_images
        image = np.random.default_rng(1).poisson(2.0, SHAPE).astype(np.int16)
        self._data = {"default": pixels(compress(image, Codec.BSLZ4), Codec.BSLZ4, image.dtype, SHAPE)}
        self._profile = np.linspace(1.0, 2.0, 500, dtype=np.float32)
        self._spots = [{"x": 10.0 * j, "y": 5.0, "I": 100.0} for j in range(30)]

    def start(self) -> bytes:
        user = {"file_prefix": f"run_{self.number}/run", "images_per_file": 1000, "file_format": "NXmxVDS"}
        fields = {"number_of_images": self.n_images, "image_size_x": SHAPE[1], "image_size_y": SHAPE[0]}
        return encode({"type": "start", **self.series, **fields, "image_dtype": "int16", "user_data": user,
                       "max_spot_count": 250})  # fmt: skip

    def image(self, image_id: int) -> bytes:
        analysis = {"spots": self._spots, "az_int_profile": [float(v) for v in self._profile]}
        return encode({"type": "image", **self.series, "image_id": image_id, "data": self._data, **analysis})

    def end(self) -> bytes:
        return encode({"type": "end", **self.series, "max_image_number": self.n_images})

    def send(self, dcu: Dcu) -> None:
        dcu.send_starts([self.start()])
        for image_id in range(self.n_images):
            dcu.send(self.image(image_id))
        dcu.send_ends([self.end()])


def is_finished(status: dict[str, Any], number: int) -> bool:
    last = status.get("last_run") or {}
    return status.get("state") == "idle" and str(last.get("file_prefix", "")) == f"run_{number}/run"


def long_run(directory: Path, n_images: int) -> None:
    print(f"one run of {n_images} images {SHAPE[1]} x {SHAPE[0]} int16, 30 spots and a profile each")
    with daemon_and_dcu(directory) as (daemon, dcu):
        run = Run(0, n_images)
        before = Footprint.of(daemon.process.pid)
        peak = Peak(daemon.process.pid)
        peak.start()
        began = time.monotonic()
        run.send(dcu)
        status = daemon.wait_until(lambda status: is_finished(status, 0))
        seconds = time.monotonic() - began
        grown = peak.stop() - before.rss_bytes
        message = len(run.image(0))
        watermark = Settings().input.watermark_messages * message
        print(f"  {status['last_run']['outcome']}, {n_images / seconds:.0f} images/s, {message} bytes each")
        print(f"  at start {before}; peak +{grown / 1e6:.1f} MB; after {Footprint.of(daemon.process.pid)}")
        print(f"  documented: watermark {watermark / 1e6:.1f} MB + budget {BUDGET_BYTES / 1e6:.1f} MB + rows")


def short_runs(directory: Path, n_runs: int) -> None:
    print(f"{n_runs} runs of one image")
    with daemon_and_dcu(directory) as (daemon, dcu):
        for number in range(n_runs):
            Run(number, 1).send(dcu)
            status = daemon.wait_until(lambda status, n=number: is_finished(status, n))
            if status["last_run"]["outcome"] != "complete":
                raise RuntimeError(f"run {number}: {status['last_run']}")
            if number + 1 in {1, n_runs // 5, n_runs // 2, n_runs}:
                print(f"  after {number + 1} runs: {Footprint.of(daemon.process.pid)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    if options.images:
        long_run(options.directory, options.images)
    if options.runs:
        short_runs(options.directory, options.runs)


if __name__ == "__main__":
    main()
