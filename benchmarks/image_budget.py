"""Where the time of one image goes: decoding, session and run writer on one thread, step by step.

    python -m benchmarks.image_budget [--size module] [--without-metadata] [--directory /dev/shm]

Prints microseconds per image of each step, in the quietest of many windows and in the middle one. A step
includes those that are indented below it. See README.md here.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks import _measure
from jfwriter.bench.stream import SIZES, run_options
from jfwriter.daemon.memory import Allocator, spare_what_stays
from jfwriter.hdf5.data_file import DataFile
from jfwriter.hdf5.image_dataset import ImageDataset
from jfwriter.hdf5.plugin_set import PluginSet
from jfwriter.hdf5.run_writer import RunWriter
from jfwriter.plugins import plugins_for
from jfwriter.session import run as session_run
from jfwriter.session.orders import CloseFile, FinishRun, OpenRun, WriteImage
from jfwriter.session.session import Session
from jfwriter.settings import Settings
from jfwriter.simulator import SimulatedRun
from jfwriter.simulator.options import Flavour
from jfwriter.wire.stream import StreamDecoder

WINDOW = 50
"""Images that are timed together."""
STEPS = {
    "decode": (StreamDecoder, "decode"),
    "  numbers, places": (StreamDecoder, "_scan"),
    "session": (Session, "on_image"),
    "  framing": (session_run, "check_framing"),
    "store": (RunWriter, "write_image"),
    "  chunk": (ImageDataset, "_write_chunk"),
    "  values": (PluginSet, "rows"),
    "  rows": (DataFile, "append_rows"),
}
"""Indented: part of the step above."""


class Clock:
    """Adds up the time of each step."""

    def __init__(self) -> None:
        self._spent_s = dict.fromkeys(STEPS, 0.0)
        self.windows: list[dict[str, float]] = []

    @contextmanager
    def timing(self) -> Iterator[None]:
        """All steps go through a stop watch meanwhile (0.3 µs each)."""
        with ExitStack() as stack:
            for name, (owner, attribute) in STEPS.items():
                original = getattr(owner, attribute)
                setattr(owner, attribute, self._timed(name, original))
                stack.callback(setattr, owner, attribute, original)
            yield

    def end_window(self) -> None:
        self.windows.append({name: 1e6 * s / WINDOW for name, s in self._spent_s.items()})
        self._spent_s = dict.fromkeys(STEPS, 0.0)

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self._spent_s[name] += time.perf_counter() - began

        return run


def replay(run: SimulatedRun, n_images: int, root: Path, clock: Clock) -> None:
    """One run; raises RuntimeError if an image of it is not written."""
    settings = Settings.model_validate({"files": {"root_dir": str(root), "sync": False}})
    session, limits, decoder = Session(settings), settings.limits, StreamDecoder()
    (opened,) = session.on_start(decoder.decode(memoryview(run.start()), limits), time.time())  # type: ignore[arg-type]
    assert isinstance(opened, OpenRun)
    writer = RunWriter(opened.plan, plugins_for(opened.plan), settings, lambda _: None)
    writer.open()
    with clock.timing():
        for image_id in range(n_images):
            message = memoryview(run.image(image_id)).toreadonly()
            for order in session.on_image(decoder.decode(message, limits)):  # type: ignore[arg-type]
                if isinstance(order, WriteImage):
                    writer.write_image(order)
                elif isinstance(order, CloseFile):
                    writer.close_file(order.file_index)
            if (image_id + 1) % WINDOW == 0:
                clock.end_window()
    end = decoder.decode(memoryview(run.end(range(n_images))), limits)
    (finish,) = session.on_end(end)  # type: ignore[arg-type]
    assert isinstance(finish, FinishRun)
    report = writer.finish(finish)
    if report.n_written != n_images:
        raise RuntimeError(f"{report.n_written} of {n_images} images written: {report.reasons}")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="module")
    parser.add_argument("--images", type=int, default=1000, metavar="N")
    parser.add_argument(
        "--without-metadata", action="store_true", help="as a plain DECTRIS detector sends it"
    )
    parser.add_argument("--directory", type=Path, default=Path("/dev/shm"))
    options = parser.parse_args(arguments)
    Allocator().keep_freed_memory()
    size = SIZES[options.size]
    flavour = {"flavour": Flavour.STREAM2} if options.without_metadata else {}
    run = SimulatedRun(run_options(size, **flavour)).lengthened(options.images, options.images)
    spare_what_stays()
    clock = Clock()
    with tempfile.TemporaryDirectory(dir=options.directory) as root:
        replay(run, options.images, Path(root), clock)
    rows = [["step", "quietest µs", "middle µs"]]
    for name in STEPS:
        spent = [window[name] for window in clock.windows[1:]]
        rows.append([name, f"{min(spent):.1f}", f"{statistics.median(spent):.1f}"])
    print(_measure.table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
