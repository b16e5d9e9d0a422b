"""The daemon with all analysis on: how many images it writes, and how many of them it analyses.

    python -m benchmarks.analysed [--size 4M] [--directory DIR] [--images N] [--rounds N]

The sender does not wait. `alone` computes nothing. `N threads` has all quantities on `always` and the default
backlog: what comes too fast is written without analysis. `N threads, each` analyses every image: the writer
waits for it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import h5py

from benchmarks import _measure, _peers, _stream
from benchmarks.end_to_end import Cpu, Daemon, clear, running_daemon

ALONE = "alone"
ALL = """
[analysis]
image_statistics = "always"
roi = "always"
azint = "always"
spots = "always"
threads = {threads}
backlog_images = {backlog}
[[analysis.roi_definitions]]
name = "beam"
type = "circle"
center_x_pxl = {x}
center_y_pxl = {y}
radius_pxl = 100
[[analysis.roi_definitions]]
name = "ring"
type = "azim"
q_min_recipA = 1.6
q_max_recipA = 2.2
"""
BACKLOG, EACH = 4, 1_000_000
CONTESTANTS = {
    "1 thread": (1, BACKLOG),
    "2 threads": (2, BACKLOG),
    "1 thread, each": (1, EACH),
    "2 threads, each": (2, EACH),
}


def share_analysed(root: Path, n_images: int) -> float:
    (master,) = root.glob("*_master.h5")
    with h5py.File(master) as file:
        summary = file.get("/entry/analysis")
        return float(summary["images_analysed"][()]) / n_images if summary else 0.0


def measure(directory: Path, options: argparse.Namespace) -> list[list[str]]:
    size, n_images = _stream.SIZES[options.size], options.images
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jfwriter-", dir=directory)))
        names = [ALONE, *CONTESTANTS]
        sender = stack.enter_context(_peers.running(_peers.sender, size, n_images, 1000, len(names)))
        addresses, run_bytes = sender.answer(), sender.answer()
        assert isinstance(addresses, list)
        assert isinstance(run_bytes, int)
        daemons: dict[str, Daemon] = {}
        for i, name in enumerate(names):
            more = ""
            if name in CONTESTANTS:
                threads, backlog = CONTESTANTS[name]
                more = ALL.format(threads=threads, backlog=backlog, x=size.width / 2, y=size.height / 2)
            daemons[name] = stack.enter_context(
                running_daemon(addresses[i], place / f"root{i}", sync=False, more=more)
            )
        shares: dict[str, list[float]] = {name: [] for name in names}

        def run(i: int, name: str) -> Callable[[], None]:
            def call() -> None:
                sender.tell(i)
                daemons[name].wait_for_run(n_images)
                shares[name].append(share_analysed(place / f"root{i}", n_images))

            return call

        cpu = {name: Cpu(daemon.pid, n_images) for name, daemon in daemons.items()}
        timed = {name: cpu[name].measured(run(i, name)) for i, name in enumerate(names)}
        rounds = _measure.alternate(timed, options.rounds, lambda: clear(place, run_bytes))
        return [
            [
                name,
                str(rounds.rate(name, n_images)),
                str(rounds.ratio(name, ALONE)),
                f"{100 * _measure.spread(shares[name][1:]).median:.0f} %",
                str(cpu[name].per_image_ms()),
            ]
            for name in names
        ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=_stream.SIZES, default="4M")
    parser.add_argument("--images", type=int, default=300, metavar="N", help="images per run (300)")
    parser.add_argument("--directory", type=Path, default=Path("/dev/shm"), help="where to write")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    heading = ["", "images/s", f"ratio to {ALONE}", "analysed", "CPU ms/image"]
    print(_measure.table([heading, *measure(options.directory.resolve(), options)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
