"""`jfwriter demo`: a simulated detector and a writer on this machine, to the end, and a look at the files."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from jfwriter.bench.writer_process import WriterProcess
from jfwriter.commands.demo_report import DemoRun, as_json, lines
from jfwriter.commands.progress import ProgressBar
from jfwriter.commands.simulate_options import positive
from jfwriter.errors import EndpointError, StorageUnavailable
from jfwriter.printable import printable, printable_lines
from jfwriter.reader.images import RunImages
from jfwriter.reader.summary import RunSummary, summarize
from jfwriter.simulator import (
    Dcu,
    RunOptions,
    SendReport,
    SimulatedRun,
    default_geometry,
    default_sample,
    find_detector,
    send_run,
)
from jfwriter.simulator.listener import Listener, Said
from jfwriter.simulator.options import automatic_n_distinct

FORMATS = ("NXmxLegacy", "NXmxVDS", "NXmxIntegrated")
_DETECTOR = "jungfrau-1m"
_FINISH_TIMEOUT_S = 60.0
_N_COMPARED = 12


def main(argv: Sequence[str]) -> int:
    """Exit status 0: every run is complete, and the files hold what was sent. Raises RefuseToStart."""
    arguments = make_parser().parse_args(list(argv))
    options = _options(arguments)
    root = _directory(arguments.directory)
    if not arguments.json:
        print(printable(f"files are written to {root}"), flush=True)
    formats = FORMATS if arguments.format == "all" else (arguments.format,)
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jfwriter-demo-")))
        dcu = Dcu(start_timeout_s=10.0, stall_timeout_s=20.0)
        stack.callback(dcu.abort)
        writer = stack.enter_context(WriterProcess(root, dcu.addresses[0], work))
        announced = stack.enter_context(Listener.of_announcements(writer.announcements))
        run = SimulatedRun(options, progress=ProgressBar("making images"))
        writer.wait_ready()
        if not announced.wait_connected(10.0):
            raise EndpointError(f"no announcements can be heard at {writer.announcements}")
        results = []
        for number, name in enumerate(formats, start=1):
            current = run.renamed(number, f"demo_{name.removeprefix('NXmx').lower()}", name)
            results.append(_one_run(current, dcu, writer, announced, root))
            if not arguments.json:
                print(printable_lines(lines(results[-1])), flush=True)
        exit_status = writer.stop()
    return _verdict(arguments, root, results, exit_status)


def make_parser() -> argparse.ArgumentParser:
    """The options of `jfwriter demo`."""
    parser = argparse.ArgumentParser(
        prog="jfwriter demo",
        description="Run a simulated detector and a writer on this machine, and look at what was written.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("directory", nargs="?", type=Path, metavar="DIR",
        help="where to write (default: a new directory here, or among the temporary files)")  # fmt: skip
    add("-n", "--images", type=positive, default=100, metavar="N", help="images of each run (default: 100)")
    add(
        "--images-per-file", type=positive, default=40, metavar="N", help="images per data file (default: 40)"
    )
    add("--format", choices=(*FORMATS, "all"), default="all", help="layout of the files (default: all)")
    add("--detector", "--size", dest="detector", default=_DETECTOR, metavar="NAME|WxH",
        help=f"detector or image size, as for `jfwriter simulate` (default: {_DETECTOR})")  # fmt: skip
    add("--json", action="store_true", help="print the result for a program")
    return parser


def _options(arguments: argparse.Namespace) -> RunOptions:
    detector = find_detector(arguments.detector)
    return RunOptions(
        detector=detector,
        geometry=default_geometry(detector),
        sample=default_sample(detector),
        dtype=np.dtype(detector.dtype),
        n_images=arguments.images,
        n_distinct=automatic_n_distinct(arguments.images, detector.width * detector.height),
        images_per_file=arguments.images_per_file,
    )


def _directory(wanted: Path | None) -> Path:
    """An existing directory to write to. Raises StorageUnavailable."""
    stamp = datetime.datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    try:
        if wanted is not None:
            wanted.mkdir(parents=True, exist_ok=True)
            return wanted.resolve()
        here = Path.cwd() / f"jfwriter-demo-{stamp}"
        try:
            here.mkdir()
        except OSError:
            return Path(tempfile.mkdtemp(prefix="jfwriter-demo-"))
    except OSError as error:
        raise StorageUnavailable(f"{wanted}: no directory to write to: {error.strerror}") from error
    return here


def _one_run(run: SimulatedRun, dcu: Dcu, writer: WriterProcess, announced: Listener, root: Path) -> DemoRun:
    """Send a run, wait until the writer says how it ended, and look at its files."""
    began = time.monotonic()
    sent = send_run(dcu, run, progress=ProgressBar("sending"))
    files, end = _follow(run, writer, announced)
    duration_s = time.monotonic() - began
    summary = summarize(root / f"{run.options.file_prefix}_master.h5")
    compared, differing = _compare(run, root / f"{run.options.file_prefix}_master.h5")
    return DemoRun(
        format=run.options.file_format or "",
        outcome=str(end.get("outcome")),
        summary=summary,
        announced_files=tuple(files),
        sent_images=sent.n_images,
        sent_bytes=sent.n_bytes,
        duration_s=duration_s,
        n_compared=compared,
        failures=(*differing, *_failures(run, sent, end), *_file_failures(run, summary, files)),
    )


def _follow(run: SimulatedRun, writer: WriterProcess, announced: Listener) -> tuple[list[str], Said]:
    """The files that are announced, and the announcement of the end of the run.

    Raises EndpointError if the writer dies, or announces nothing for long.
    """
    files: list[str] = []
    deadline = time.monotonic() + _FINISH_TIMEOUT_S
    while time.monotonic() < deadline:
        said = announced.receive(0.5)
        if said is not None:
            deadline = time.monotonic() + _FINISH_TIMEOUT_S
        if said is None:
            if not writer.is_alive():
                raise EndpointError(f"the writer ended before the run did\n{writer.log_tail()}")
        elif said.get("run_number") == run.options.run_number:
            if said.get("event") == "run_finalized":
                return files, said
            files.append(str(said.get("filename")))
    raise EndpointError(f"the writer announced no end for {_FINISH_TIMEOUT_S:g} s\n{writer.log_tail()}")


def _compare(run: SimulatedRun, master: Path) -> tuple[int, list[str]]:
    """Compare images of the files with those that were sent: how many, and what differs."""
    n_images = run.options.n_images
    numbers = sorted({round(i) for i in np.linspace(0, n_images - 1, min(n_images, _N_COMPARED))})
    differing = []
    try:
        with RunImages(master) as images:
            for number in numbers:
                wanted = run.pixels(number)
                found = images.image(number)
                floats = wanted.dtype.kind == "f"
                if found.dtype != wanted.dtype or not np.array_equal(found, wanted, equal_nan=floats):
                    differing.append(f"image {number} differs from the one sent")
    except StorageUnavailable as error:
        differing.append(str(error))
    return len(numbers), differing


def _failures(run: SimulatedRun, sent: SendReport, end: Said) -> Iterator[str]:
    """What went wrong on the way."""
    if end.get("outcome") != "complete":
        yield f"the writer calls the run {end.get('outcome')}: {end.get('reasons')}"
    if sent.n_images != run.options.n_images:
        yield f"{sent.n_images} of {run.options.n_images} images were sent"


def _file_failures(run: SimulatedRun, summary: RunSummary, announced: list[str]) -> Iterator[str]:
    """What is wrong with the files."""
    yield from summary.problems
    if summary.n_written != run.options.n_images:
        yield f"{summary.n_written} of {run.options.n_images} images are in the files"
    if summary.format != run.options.file_format:
        yield f"the files are {summary.format}, asked for was {run.options.file_format}"
    on_disk = {file.name for file in summary.files if file.n_images}
    if set(announced) != on_disk:
        yield f"announced were {sorted(announced)}, there are {sorted(on_disk)}"


def _verdict(
    arguments: argparse.Namespace, root: Path, results: list[DemoRun], exit_status: int | None
) -> int:
    good = all(not result.failures for result in results) and exit_status == 0
    if arguments.json:
        print(json.dumps(as_json(root, results, exit_status, good=good), indent=2))
        return 0 if good else 1
    if exit_status != 0:
        print(f"the writer ended with exit status {exit_status}", file=sys.stderr)
    if good:
        print(f"\nAll {len(results)} runs are complete, and the files hold what was sent.")
        print(printable(f"Look at them, e.g.: silx view {root / results[-1].summary.files[-1].name}"))
    else:
        print("\nSomething is wrong; see above.", file=sys.stderr)
    return 0 if good else 1
