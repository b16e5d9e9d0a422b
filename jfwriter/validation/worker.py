"""Looks at runs in a process of its own: a hostile file may end or stop the HDF5 library, but not the answer.

What comes back is JSON, not pickles: the other process has read what nobody vouches for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from jfwriter.validation.findings import Check, Report
from jfwriter.validation.target import Target

TICK_S = 0.5
START_LIMIT_S = 120.0
WAIT_S = 2.0
MAX_REPORT_BYTES = 256 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerOptions:
    """`stall_limit_s`: how long a file may keep the process without any progress."""

    deep: bool = False
    also: tuple[str, ...] = ()
    stall_limit_s: float = 120.0


def reports(targets: Sequence[Target], options: WorkerOptions) -> Iterator[dict[str, object]]:
    """The report on each run (`Report.as_json`), in order; one that ends its process is a problem."""
    worker: _Worker | None = None
    try:
        for target in targets:
            if worker is None:
                worker = _Worker(options)
            report = worker.report(target)
            if isinstance(report, str):
                worker.end()
                worker = None
                report = _given_up(target, report)
            yield report
    finally:
        if worker is not None:
            worker.end()


class _Worker:
    def __init__(self, options: WorkerOptions) -> None:
        self._stall_limit_s = options.stall_limit_s
        self._here, there = multiprocessing.Pipe()
        with there:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(there.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[there.fileno()],
            )
        self._here.send_bytes(json.dumps({"deep": options.deep, "also": options.also}).encode())
        # Loading the libraries is no fault of the first file.
        self._here.poll(START_LIMIT_S)

    def report(self, target: Target) -> dict[str, object] | str:
        """What was found; a text says why nothing was."""
        try:
            self._here.send_bytes(json.dumps(_packed(target)).encode())
            while self._here.poll(self._stall_limit_s):
                answer = json.loads(self._here.recv_bytes(MAX_REPORT_BYTES))
                if isinstance(answer, dict):
                    return answer
        except (EOFError, OSError, ValueError):
            # The pipe is closed by the process' end, which comes at once.
            return _ended(self._wait())
        return f"reading it made no progress for {self._stall_limit_s:g} s; given up"

    def end(self) -> None:
        self._here.close()
        self._wait()

    def _wait(self) -> int:
        """Exit status of the process, which is killed if it does not end by itself."""
        try:
            return self._process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _ended(exit_code: int) -> str:
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        return f"reading it ends the process ({name}): a file of it is damaged or hostile"
    return f"the process that read it ended with status {exit_code}"


def _given_up(target: Target, text: str) -> dict[str, object]:
    report = Report(target.name)
    report.problem(Check.FILE, target.alone or target.prefix, text)
    return report.as_json()


def _packed(target: Target) -> dict[str, object]:
    return dataclasses.asdict(target) | {"folder": str(target.folder)}


def _work(there: Connection) -> None:
    """In the other process: one target in, ticks and one report out, until the pipe is closed."""
    from jfwriter.validation.run import Options, check_run

    last = 0.0

    def progress() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= TICK_S:
            last = now
            there.send_bytes(b"0")

    wished = json.loads(there.recv_bytes())
    options = Options(wished["deep"], tuple(map(Path, wished["also"])), progress)
    there.send_bytes(b"0")
    while True:
        try:
            packed = json.loads(there.recv_bytes())
        except (EOFError, OSError):
            return
        target = Target(
            Path(packed["folder"]), packed["prefix"], tuple(packed["data_files"]), packed["alone"]
        )
        report = check_run(target, options)
        there.send_bytes(json.dumps(report.as_json() | {"left_out": report.left_out()}).encode())


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # given up by the other side
        _work(Connection(int(sys.argv[1])))
