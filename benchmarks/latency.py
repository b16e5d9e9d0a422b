"""How long after it was sent an image is in its file, and republished, at a steady rate.

    python -m benchmarks.latency [--rate 500] [--seconds 8] [--size 4M] [--directory DIR]

Sent, written and received are told by three processes with the same clock. In its file: the write of its
chunk has returned, another process reads it; the sync comes with the end of the file. In files of 200 images,
so that the opening of files is part of it; the second halves of the files tell how it is without. Files that
are finished leave the page cache, as `_recycle` says.
"""

from __future__ import annotations

import argparse
import bisect
import itertools
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import zmq

from benchmarks import _measure, _options
from benchmarks._grow import Growth
from benchmarks._recycle import Recycling
from benchmarks.republish import ON, endpoint
from jfwriter.bench.peers import running
from jfwriter.bench.sender import MakeRun
from jfwriter.bench.stage import Stage
from jfwriter.bench.stream import is_image

PER_FILE = 200
"""Rows of per-image quantities stay in memory until such a file is closed: before that only chunks are
written, and the size of the file tells how many."""
NUMBER = b"himage_id\x1a"


def clock(pipe: Connection, address: str) -> None:
    """Takes all messages; answers each word with the (number, monotonic time in s) of each image."""
    socket = zmq.Context().socket(zmq.PULL)
    socket.connect(address)
    seen: list[tuple[int, float]] = []
    pipe.send("ready")
    while True:
        if not socket.poll(100):
            if pipe.poll():
                pipe.recv()
                pipe.send(seen)
            continue
        message, now = socket.recv(copy=False).buffer, time.monotonic()
        if is_image(message):
            head = bytes(message[:64])
            at = head.index(NUMBER) + len(NUMBER)
            seen.append((int.from_bytes(head[at : at + 4]), now))


def written_at(growth: Sequence[tuple[float, str, int]], sizes: Sequence[int], n_images: int) -> list[float]:
    """Time at which each image was in its file. `sizes`: of the distinct payloads, in turn."""
    times = [float("nan")] * n_images
    for now, name, size in growth:
        number = name.partition("_data_")[2][:6]
        if not number.isdecimal():
            continue
        first = (int(number) - 1) * PER_FILE
        ends = list(itertools.accumulate(sizes[i % len(sizes)] for i in range(first, first + PER_FILE)))
        for i in range(first, min(n_images, first + bisect.bisect_right(ends, size))):
            if np.isnan(times[i]):
                times[i] = now
    return times


def payload_sizes(make_run: MakeRun) -> list[int]:
    run = make_run(lambda _done, _all: None)
    return [len(run.payload(number)) for number in range(len(run.prepared))]


def row(name: str, seconds: Sequence[float]) -> list[str]:
    known = np.asarray(seconds)[np.isfinite(seconds)] * 1e3
    return [
        name,
        str(known.size),
        *(f"{np.percentile(known, p):.2f}" for p in (50, 99)),
        f"{known.max():.1f}",
    ]


def second_halves(taken: Sequence[float]) -> list[float]:
    """Of the images, those that come long after their file was opened and the one before it closed."""
    return [seconds for number, seconds in enumerate(taken) if number % PER_FILE >= PER_FILE // 2]


def measure(place: Path, options: argparse.Namespace) -> str:
    make_run = _options.run_maker(options.size)
    sizes = payload_sizes(make_run)
    n_images = round(options.rate * options.seconds)
    with (
        Stage(place, make_run, {"writer": ON}) as stage,
        running(clock, endpoint(stage, "writer")) as republished,
    ):
        republished.answer()
        stage.write("writer", 2 * PER_FILE, "warm", PER_FILE)
        republished.ask("?")
        stage.clear(round(min(n_images, 1000) * stage.message_bytes))
        growth, recycling = Growth(place / "writer" / "root"), Recycling(place / "writer" / "root")
        growth.start()
        recycling.start()
        sent = stage.write("writer", n_images, "run", PER_FILE, options.rate)
        written = written_at(growth.stop(), sizes, n_images)
        recycling.stop()
        answers = republished.ask("?")
        assert isinstance(answers, list)
        arrived = dict(answers[2 * PER_FILE :])
    rows = [["ms after it was sent", "images", "p50", "p99", "most"]]
    taken = [w - s for w, s in zip(written, sent.at, strict=True)]
    rows.append(row("in its file", taken))
    rows.append(row("of these, second halves of files", second_halves(taken)))
    rows.append(row("republished", [arrived[i] - s for i, s in enumerate(sent.at) if i in arrived]))
    late = [s - sent.at[0] - i / options.rate for i, s in enumerate(sent.at)]
    rows.append(row("(sent late)", late))
    return _measure.table(rows)


def main(arguments: Sequence[str]) -> int:
    parser = _options.parser(__doc__)
    parser.add_argument("--rate", type=float, default=500.0, metavar="HZ")
    parser.add_argument("--seconds", type=float, default=8.0, metavar="S")
    options = _options.parse(parser, arguments)
    for directory in options.directory:
        with _options.work_directory(directory.resolve()) as place:
            print(f"{directory}: {options.rate:g} images/s {options.size} for {options.seconds:g} s")
            print(measure(place, options), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
