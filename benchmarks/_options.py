"""Options that the programs here share, and the directory that they work in."""

from __future__ import annotations

import argparse
import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import _frames
from jfwriter.bench.sender import MakeRun
from jfwriter.bench.stream import SIZES, make_run


def parser(description: str | None, *, n_images: int = 500) -> argparse.ArgumentParser:
    """Size, directories, images, rounds and repeats."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--size", choices=SIZES, default="4M")
    made.add_argument(
        "--images", type=int, default=n_images, metavar="N", help=f"images per run ({n_images})"
    )
    made.add_argument("--directory", type=Path, action="append", help="where to write; may be repeated")
    made.add_argument("--rounds", type=int, default=8)
    made.add_argument("--repeats", type=int, default=3, help="the middle one is quoted (3)")
    made.add_argument("--quick", action="store_true", help="3 rounds, once: a look, not a measurement")
    return made


def parse(made: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    options = made.parse_args(arguments)
    if options.quick:
        options.rounds, options.repeats = 3, 1
    memory = Path("/dev/shm")
    options.directory = options.directory or [Path.cwd(), *([memory] if memory.is_dir() else [])]
    return options


def run_maker(size: str) -> MakeRun:
    """For `Stage`: runs of real frames where they are, else of synthetic images."""
    return functools.partial(make_run, size, _frames.source())


@contextmanager
def work_directory(directory: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="jfwriter-", dir=directory) as place:
        yield Path(place)


def head(options: argparse.Namespace) -> str:
    source = "synthetic frames" if _frames.source() is None else "real frames"
    return (
        f"{source}; median (quartiles); the middle of {options.repeats} repeats of {options.rounds} rounds\n"
    )


def in_each(options: argparse.Namespace, measure: Callable[[Path], str]) -> None:
    """Measure in every directory and print what came of it."""
    print(head(options))
    for directory in options.directory:
        with work_directory(directory.resolve()) as place:
            print(f"{directory}: {options.images} images {options.size}\n{measure(place)}\n", flush=True)
