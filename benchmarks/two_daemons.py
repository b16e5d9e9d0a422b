"""Two writers on two sockets against one, and two bare loops against one.

    python -m benchmarks.two_daemons [--size 4M] [--directory DIR] [--quick]

Each has a sender of its own. The CPU time that is printed includes that of the senders: on a machine whose
processors are all in use it says what the limit is.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import _options
from benchmarks._contest import Contest, Contestant
from jfwriter.bench.bare_loop import Loop
from jfwriter.bench.sender import Request
from jfwriter.bench.stage import Stage

WRITER = {"writer": "[files]\nsync = false\n"}
ONE_LOOP, TWO_LOOPS, ONE, TWO = "one bare loop", "two bare loops", "one daemon", "two daemons"


def loops(stages: Sequence[Stage], n_images: int) -> None:
    """At the same time."""
    for stage in stages:
        stage.bare.tell(Loop())
        stage.sender.tell(Request(0, n_images))
    for stage in stages:
        stage.sent()
        stage.bare.answer()


def writers(stages: Sequence[Stage], n_images: int) -> None:
    for stage in stages:
        stage.start("writer", n_images, "run")
    for stage in stages:
        stage.sent()
        stage.wait_finalized("writer")


def measure(place: Path, options: argparse.Namespace) -> str:
    n_images, make_run = options.images, _options.run_maker(options.size)
    with ExitStack() as stack:
        stages = []
        for name in ("first", "second"):
            (place / name).mkdir()
            stages.append(stack.enter_context(Stage(place / name, make_run, WRITER)))

        def pids(n_stages: int, kind: str) -> list[int]:
            chosen = stages[:n_stages]
            own = [stage.bare.pid if kind == "loop" else stage.writers["writer"].pid for stage in chosen]
            return [*own, *(stage.sender.pid for stage in chosen)]

        run_loops, run_writers = (
            functools.partial(loops, n_images=n_images),
            functools.partial(writers, n_images=n_images),
        )
        contestants = {
            ONE_LOOP: Contestant(lambda: run_loops(stages[:1]), pids(1, "loop"), None),
            TWO_LOOPS: Contestant(lambda: run_loops(stages), pids(2, "loop"), ONE_LOOP, 2),
            ONE: Contestant(lambda: run_writers(stages[:1]), pids(1, "writer"), ONE_LOOP),
            TWO: Contestant(lambda: run_writers(stages), pids(2, "writer"), ONE, 2),
        }
        n_bytes = round(n_images * stages[0].message_bytes)

        def clear() -> None:
            stages[0].clear(0)
            stages[1].clear(2 * n_bytes)

        table = Contest(contestants, options, clear).table(stages[0].message_bytes)
        return f"{table}\n{os.cpu_count()} processors; CPU time with that of the senders"


def main(arguments: Sequence[str]) -> int:
    options = _options.parse(_options.parser(__doc__), arguments)
    _options.in_each(options, lambda place: measure(place, options))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
