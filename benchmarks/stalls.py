"""How long a write and a sync take beside each other, without a writer: what the disk alone makes late.

    python -m benchmarks.stalls [--rate 200] [--seconds 6] [--megabytes 1.57] [--keep] [--directory DIR]

A bare loop writes images at a steady rate to files of 200, with the calls that jfwriter makes beside them: a
thread that syncs the open file and a journal each second, `sync_file_range` after 32 MiB, `fsync` at the end
of a file. With `--keep`, and more data than was written shortly before, each write needs memory that is new
to the page cache, and shows what that takes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks import _measure, _options
from jfwriter.hdf5.system_calls import begin_writeback
from jfwriter.hdf5.writeback import STEP_BYTES

PER_FILE = 200
SYNC_S = 0.7
"""No divisor of the time of a file, so that the syncs come at all places of it."""


class Calls:
    """How long each call took, in s."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[name].append(time.monotonic() - began)


class Syncing(threading.Thread):
    """Syncs the file `current`, if it is not -1, and the journal until `stop`."""

    def __init__(self, calls: Calls, journal: int) -> None:
        super().__init__(daemon=True)
        self._calls, self._journal, self._done = calls, journal, threading.Event()
        self.current = -1

    def run(self) -> None:
        while not self._done.wait(SYNC_S):
            if self.current < 0:
                continue
            with contextlib.suppress(OSError), self._calls.timed("fdatasync of the file"):
                os.fdatasync(self.current)
            with self._calls.timed("fdatasync of the journal"):
                os.fdatasync(self._journal)

    def stop(self) -> None:
        self._done.set()
        self.join()


def loop(place: Path, options: argparse.Namespace, calls: Calls) -> None:
    data = os.urandom(round(1e6 * options.megabytes))
    journal = os.open(place / "journal", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    syncing = Syncing(calls, journal)
    syncing.start()
    began, file, unasked = time.monotonic(), -1, 0
    for number in range(round(options.rate * options.seconds)):
        due = began + number / options.rate
        while (left_s := due - time.monotonic()) > 0:
            time.sleep(left_s)
        row = number % PER_FILE
        if row == 0:
            file = syncing.current = os.open(place / f"{number}", os.O_CREAT | os.O_RDWR)
        with calls.timed("write"):
            os.pwrite(file, data, row * len(data))
        calls.seconds["late"].append(time.monotonic() - due)
        os.write(journal, data[:10_000])
        unasked += len(data)
        if unasked >= STEP_BYTES:
            unasked = 0
            with calls.timed("sync_file_range"):
                begin_writeback(file)
        if row == PER_FILE - 1:
            syncing.current = -1
            with calls.timed("fsync of the file"):
                os.fsync(file)
            if not options.keep:
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)
    syncing.stop()
    os.close(journal)


def measure(place: Path, options: argparse.Namespace) -> str:
    calls = Calls()
    loop(place, options, calls)
    rows = [["ms", "calls", "p50", "mean", "p99", "most"]]
    for name, seconds in calls.seconds.items():
        times = 1e3 * np.asarray(seconds)
        figures = (np.median(times), times.mean(), np.percentile(times, 99), times.max())
        rows.append([name, str(times.size), *(f"{figure:.2f}" for figure in figures)])
    return _measure.table(rows)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=200.0, metavar="HZ")
    parser.add_argument("--seconds", type=float, default=6.0, metavar="S")
    parser.add_argument("--megabytes", type=float, default=1.57, help="of an image (1.57)")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--keep", action="store_true", help="finished files stay in the page cache")
    options = parser.parse_args(arguments)
    with _options.work_directory(options.directory.resolve()) as place:
        print(measure(place, options), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
