"""How long the beginnings and the ends take: of the process, of a run, and of runs of up to a million images.

    python -m benchmarks.life start [--directory DIR]               # process -> READY, start -> first image
    python -m benchmarks.life end [--images N ...] [--directory DIR]  # end message -> master finalized

`end` is without sockets and threads: small images with all per-image quantities through session and run
writer, in VDS layout with 1000 images per file, each number in a process of its own; timed is what happens
between the end message and the report of the run.
"""

from __future__ import annotations

import argparse
import functools
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import _measure, _options
from benchmarks._grow import Growth
from benchmarks._replay import Replay
from jfwriter.bench.stage import Stage
from jfwriter.bench.stream import MessageRing, Size, run_options
from jfwriter.simulator import SimulatedRun
from jfwriter.simulator.source import SyntheticSource

SMALL = Size("40x32", "int16", 2)


def until_ready(place: Path) -> float:
    """Start a process as systemd does; the time until it says READY, in s."""
    address = str(place / "notify")
    command = [sys.executable, "-m", "jfwriter", "run", "-R", str(place), "-H0", f"ipc://{place}/nobody"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        began = time.monotonic()
        with (place / "log").open("wb") as log:
            process = subprocess.Popen(command, env=os.environ | {"NOTIFY_SOCKET": address}, stderr=log)
        listener.settimeout(60)
        while b"READY=1" not in listener.recv(4096):
            pass
        took = time.monotonic() - began
    process.terminate()
    process.wait(30)
    Path(address).unlink()
    return took


def until_first_image(place: Path, size: str, n_runs: int) -> list[float]:
    """From the start message to the first chunk in its file, of several runs, in s."""
    taken = []
    with Stage(place, _options.run_maker(size), {"writer": ""}) as stage:
        root = place / "writer" / "root"
        for number in range(n_runs + 1):
            growth = Growth(root)
            growth.start()
            sent = stage.write("writer", 20, f"run{number}", rate_hz=1000)
            smallest = 0.9 * stage.message_bytes
            first = min(now for now, name, bytes_ in growth.stop() if "_data_" in name and bytes_ > smallest)
            taken.append(first - sent.start_at)
            stage.clear(0)
    return taken[1:]


def start(options: argparse.Namespace) -> None:
    with _options.work_directory(options.directory.resolve()) as place:
        ready = [until_ready(place) for _ in range(options.runs + 1)][1:]
        print(f"process to READY, warm cache: {_measure.spread(ready)} s, {options.runs} times", flush=True)
        for size in ("module", "4M"):
            with _options.work_directory(place) as below:
                first = [1e3 * s for s in until_first_image(below, size, options.runs)]
            print(
                f"start message to first image in its file, {size}: {_measure.spread(first)} ms", flush=True
            )


def one_end(n_images: int, directory: Path) -> None:
    """Prints a row: seconds and memory."""
    options = run_options(SMALL, with_reflections=False)
    run = SimulatedRun(options, SyntheticSource(options)).lengthened(n_images, 1000)
    ring = MessageRing(run, 2)
    with _options.work_directory(directory) as place:
        replay = Replay(place, sync=True)
        replay.feed(run.start())
        began = time.perf_counter()
        for image_id in range(n_images):
            replay.feed(ring.message(image_id))
        fed_s = time.perf_counter() - began
        before = peak_bytes()
        end = run.end(range(n_images))
        began, cpu = time.perf_counter(), time.process_time()
        replay.feed(end)
        took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
        outcome = "" if replay.report is None else replay.report.outcome
        master = sum(path.stat().st_size for path in place.glob("*_master.h5"))
    row = (n_images, f"{took_s:.3f}", f"{cpu_s:.3f}", f"{before / 1e6:.0f}", f"{peak_bytes() / 1e6:.0f}",
           f"{master / 1e6:.2f}", f"{1e6 * fed_s / n_images:.0f}", outcome)  # fmt: skip
    print("\t".join(map(str, row)))


def peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def end(options: argparse.Namespace) -> None:
    rows = [["images", "end / s", "CPU / s", "memory before / MB", "at most / MB", "master / MB",
             "feeding / us per image", "outcome"]]  # fmt: skip
    for n_images in options.images:
        command = [sys.executable, "-m", "benchmarks.life", "one-end", str(n_images), str(options.directory)]
        found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows.append(found.rstrip("\n").split("\t"))
    print(_measure.table(rows))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("start", "end", "one-end"))
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], metavar="N")
    parser.add_argument("--runs", type=int, default=7, help="times that each beginning is measured (7)")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()))
    options, rest = parser.parse_known_args(arguments)
    if options.what == "one-end":
        one_end(int(rest[0]), Path(rest[1]))
        return 0
    {"start": functools.partial(start, options), "end": functools.partial(end, options)}[options.what]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
