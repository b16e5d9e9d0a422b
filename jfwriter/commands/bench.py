"""`jfwriter bench`: how fast a writer is on this machine and storage, against which limit, bound by what."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jfwriter.commands.progress import ProgressBar

if TYPE_CHECKING:
    from jfwriter.bench.measure import BenchResult

SIZES = ("module", "4M", "16M")
_RAW_BYTES = {"module": 1 << 20, "4M": 9_000_000, "16M": 73_000_000}
"""Of one image. What a round needs is less than its images take unpacked."""
_NEEDED_BYTES = 2_000_000_000
"""Of the rounds that the measurement chooses itself."""


def main(argv: Sequence[str]) -> int:
    """Exit status 0: measured. Raises RefuseToStart."""
    arguments = make_parser().parse_args(list(argv))
    if arguments.plot is not None:
        # Said now and not after a minute.
        from jfwriter.commands.bench_picture import check_plot

        check_plot(arguments.plot)
    from jfwriter.bench.measure import Bench, BenchOptions
    from jfwriter.bench.place import look_at
    from jfwriter.commands.bench_report import as_json, lines

    options = BenchOptions(
        arguments.size, arguments.images, arguments.time, arguments.long_run, arguments.direct
    )
    needed_bytes = arguments.images * _RAW_BYTES[arguments.size] if arguments.images else _NEEDED_BYTES
    place = look_at(arguments.directory, needed_bytes)
    with tempfile.TemporaryDirectory(prefix="jfwriter-bench-", dir=place.directory) as work:
        made, progress = ProgressBar("making images"), ProgressBar("measuring, seconds")
        result = Bench(place, Path(work), options, made, progress).run()
    if arguments.json:
        print(json.dumps(as_json(result), indent=2))
    else:
        print("\n".join(lines(result)))
    if arguments.plot is not None:
        _plot(result, arguments.plot, quiet=arguments.json)
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The options of `jfwriter bench`."""
    parser = argparse.ArgumentParser(
        prog="jfwriter bench",
        description="Measure a writer on this machine: a sender on loopback, the writer with its default "
        "settings, and as its limit a bare loop that receives and writes. Takes about a minute, needs 4 GB "
        "of room, and leaves nothing behind.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("-d", "--directory", type=Path, default=Path(), metavar="DIR",
        help="storage to be measured (default: where you are)")  # fmt: skip
    add("--size", choices=SIZES, default="4M",
        help="512 x 1024 int16, 2164 x 2068 int16 or 4362 x 4148 uint32 (default: 4M)")  # fmt: skip
    add("-n", "--images", type=_count, metavar="N",
        help="images of a run in the rounds (default: as many as take 0.6 s)")  # fmt: skip
    add("--time", type=_seconds, default=45.0, metavar="S",
        help="for all rounds and long runs, in s (default: 45)")  # fmt: skip
    add("--long-run", type=_seconds, default=6.0, metavar="S",
        help="of each long run at full speed, in s; 0: none, and no verdict (default: 6)")  # fmt: skip
    add("--direct", action="store_true", help="the writer goes past the page cache (files.direct_io)")
    add("--json", action="store_true", help="print the result for a program")
    add("--plot", type=Path, metavar="FILE",
        help="draw rate and queue over time into FILE (.png, .pdf, .svg); extra `plot`")  # fmt: skip
    return parser


def _plot(result: BenchResult, output: Path, *, quiet: bool) -> None:
    from jfwriter.commands.bench_picture import draw

    draw(result, output)
    if not quiet:
        print(f"\n{output}: rate over time")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r}: expected seconds from 0 to 3600")
    return value
