"""The daemon with all analysis on: how many images it writes, and how many of them it analyses.

    python -m benchmarks.analysed [--size 4M] [--directory DIR] [--quick]

The sender does not wait. `alone` computes nothing. `N threads` has all quantities on `always` and the default
backlog: what comes too fast is written without analysis. `N threads, each` analyses every image: the writer
waits for it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from benchmarks import _measure, _options
from benchmarks._contest import Contest, Contestant
from jfwriter.bench.stage import Stage

ALONE = "alone"
ALL = """
[files]
sync = false
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
center_x_pxl = 500
center_y_pxl = 500
radius_pxl = 100
[[analysis.roi_definitions]]
name = "ring"
type = "azim"
q_min_recipA = 1.6
q_max_recipA = 2.2
"""
BACKLOG, EACH = 4, 1_000_000
WRITERS = {
    ALONE: "[files]\nsync = false\n",
    "1 thread": ALL.format(threads=1, backlog=BACKLOG),
    "2 threads": ALL.format(threads=2, backlog=BACKLOG),
    "1 thread, each": ALL.format(threads=1, backlog=EACH),
    "2 threads, each": ALL.format(threads=2, backlog=EACH),
}


def measure(place: Path, options: argparse.Namespace) -> str:
    n_images = options.images
    shares: dict[str, list[float]] = {name: [] for name in WRITERS}
    with Stage(place, _options.run_maker(options.size), WRITERS) as stage:

        def run(name: str) -> Callable[[], None]:
            def call() -> None:
                stage.write(name, n_images)
                analysis = cast("dict[str, int]", stage.writers[name].status()["analysis"])
                shares[name].append(analysis["images_analysed"] / n_images)

            return call

        contestants = {
            name: Contestant(run(name), [stage.writers[name].pid], None if name == ALONE else ALONE)
            for name in WRITERS
        }
        n_bytes = round(n_images * stage.message_bytes)
        table = Contest(contestants, options, lambda: stage.clear(n_bytes)).table(stage.message_bytes)
    analysed = [
        f"{name}: {100 * _measure.spread(values[1:]).median:.0f} % of the images analysed"
        for name, values in shares.items()
        if name != ALONE
    ]
    return "\n".join([table, *analysed])


def main(arguments: Sequence[str]) -> int:
    options = _options.parse(_options.parser(__doc__, n_images=300), arguments)
    _options.in_each(options, lambda place: measure(place, options))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
