"""What the journal costs: the daemon with it and without it, in the same rounds.

    python -m benchmarks.journal [--size 4M] [--directory DIR] [--quick]

Both sync their files, as by default. The ratio is throughput with the journal to throughput without it.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import _options
from benchmarks._contest import Contest, Contestant
from jfwriter.bench.stage import Stage

WITH, WITHOUT = "journal", "no journal"
WRITERS = {"with": "", "without": "[journal]\nenabled = false\n"}


def measure(place: Path, options: argparse.Namespace) -> str:
    """The table of one directory."""
    n_images = options.images
    with Stage(place, _options.run_maker(options.size), WRITERS) as stage:
        contestants = {
            name: Contestant(
                functools.partial(stage.write, writer, n_images, images_per_file=options.images_per_file),
                [stage.writers[writer].pid],
                reference,
            )
            for name, writer, reference in ((WITHOUT, "without", None), (WITH, "with", WITHOUT))
        }
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
