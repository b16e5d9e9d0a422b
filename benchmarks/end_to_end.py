"""The daemon as a subprocess, from the socket to finished files, against two limits in the same rounds.

    python -m benchmarks.end_to_end [--size 4M] [--directory DISK] [--directory /dev/shm] [--quick]

`bare loop` receives and writes raw messages; `chunks` writes HDF5 chunks from memory, without a network.
See README.md here for how to read the result.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import h5py
import hdf5plugin

from benchmarks import _options
from benchmarks._contest import Contest, Contestant
from jfwriter.bench.bare_loop import Loop
from jfwriter.bench.peers import running
from jfwriter.bench.sender import MakeRun
from jfwriter.bench.stage import Stage

BARE, CHUNKS, DAEMON, SYNCED = "bare loop", "chunks", "daemon", "daemon, fsync"
WRITERS = {"plain": "[files]\nsync = false\n", "synced": ""}


def chunk_loop(pipe: Connection, make_run: MakeRun, n_images: int, per_file: int, directory: Path) -> None:
    """The limit of HDF5: direct chunk writes from memory, as many data files as the daemon makes. No fsync.

    Answers each word that it gets when the files are closed.
    """
    run = make_run(lambda _done, _all: None)
    packed = [memoryview(run.payload(number)) for number in range(len(run.prepared))]
    shape, dtype = run.options.detector.shape, run.options.dtype
    pipe.send("ready")
    while True:
        pipe.recv()
        for first in range(0, n_images, per_file):
            n_rows = min(per_file, n_images - first)
            with h5py.File(directory / f"{first}.h5", "x", libver=("earliest", "v108")) as file:
                dataset = file.create_dataset(
                    "data", (n_rows, *shape), dtype, chunks=(1, *shape), maxshape=(None, *shape),
                    **hdf5plugin.Bitshuffle(cname="lz4"),
                )  # fmt: skip
                for row in range(n_rows):
                    dataset.id.write_direct_chunk((row, 0, 0), packed[(first + row) % len(packed)])
        pipe.send("done")


def measure(place: Path, options: argparse.Namespace) -> str:
    """All contestants in turn below `place`."""
    n_images, per_file, make_run = options.images, options.images_per_file, _options.run_maker(options.size)
    (place / "chunks" / "root").mkdir(parents=True)
    with (
        Stage(place, make_run, WRITERS) as stage,
        running(chunk_loop, make_run, n_images, per_file, place / "chunks" / "root") as chunks,
    ):
        chunks.answer()
        run_bare = functools.partial(stage.loop, n_images, Loop(images_per_file=per_file))
        contestants = {
            BARE: Contestant(run_bare, [stage.bare.pid], None),
            CHUNKS: Contestant(lambda: chunks.ask("go"), [chunks.pid], BARE),
        }
        for name, writer in ((DAEMON, "plain"), (SYNCED, "synced")):
            call = functools.partial(stage.write, writer, n_images, images_per_file=per_file)
            contestants[name] = Contestant(call, [stage.writers[writer].pid], BARE)
        n_bytes = round(n_images * stage.message_bytes)
        return Contest(contestants, options, lambda: stage.clear(n_bytes)).table(stage.message_bytes)


def main(arguments: Sequence[str]) -> int:
    parser = _options.parser(__doc__)
    parser.add_argument("--images-per-file", type=int, default=1000, metavar="N")
    options = _options.parse(parser, arguments)
    _options.in_each(options, lambda place: measure(place, options))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
