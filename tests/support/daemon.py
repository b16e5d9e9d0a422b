"""The daemon as a beamline starts it: a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

DEADLINE_S = 60.0


def wait_for(condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Poll until `condition` holds; fails after the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {deadline_s} s for {condition}")
        time.sleep(0.01)


class RunningDaemon:
    """`jfwriter run -R root [options] address...` until the block ends; then SIGTERM, exit code 0 wanted."""

    def __init__(self, root: Path, *arguments: str) -> None:
        self.command = [sys.executable, "-m", "jfwriter", "run", "-R", str(root), *arguments]
        self.log = root.parent / f"{root.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RunningDaemon:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(DEADLINE_S)
        finally:
            self.process.kill()
        assert kind is not None or code == 0, f"exit code {code}\n{self.log.read_text()}"
