"""`jfwriter run` as a service manager sees it: a process, its log, its sockets, its exit status."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.daemon import DEADLINE_S, wait_for


class Service:
    """Runs until the block ends, where it is killed if it still lives; `end` ends it in good order."""

    def __init__(
        self,
        root: Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        max_file_bytes: int | None = None,
    ) -> None:
        self.root = root
        self.log_path = root.parent / f"{root.name}.log"
        self._command = [sys.executable, "-m", "jfwriter", "run", "-R", str(root), *arguments]
        self._max_file_bytes = max_file_bytes
        self._environment = {**os.environ, **(environment or {})}
        self.process: subprocess.Popen[bytes]

    def __enter__(self) -> Service:
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=self.root.parent,
            )
        if self._max_file_bytes is not None:
            limits = (self._max_file_bytes, self._max_file_bytes)
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, limits)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        if error is not None:
            error.add_note(f"the daemon's log:\n{self.log}")

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def wait_until_ready(self) -> Service:
        wait_for(lambda: "INFO    ready" in self.log or self.process.poll() is not None)
        assert self.process.poll() is None, self.log
        return self

    def code(self) -> int:
        """Exit status, once it has ended."""
        return self.process.wait(DEADLINE_S)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.code()

    def endpoint(self, what: str) -> str:
        """Where it listens: `HTTP`, `republishing` or `announcements`."""
        found = re.search(rf"INFO    {what}: (\S+)", self.log)
        assert found, self.log
        return found[1].replace("0.0.0.0", "127.0.0.1")

    def get(self, path: str = "status", method: str = "GET") -> tuple[int, Any]:
        """(HTTP status, data)."""
        request = urllib.request.Request(self.endpoint("HTTP") + path, method=method)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    @property
    def status(self) -> dict[str, Any]:
        data = self.get()[1]
        assert isinstance(data, dict)
        return data

    def wait_for_status(self, **fields: Any) -> dict[str, Any]:
        """Until the status has these values; returns that status."""
        status: dict[str, Any] = {}

        def has_come() -> bool:
            status.update(self.status)
            return all(status[name] == value for name, value in fields.items())

        try:
            wait_for(has_come)
        except TimeoutError as error:
            error.add_note(f"wanted {fields}, the status is {status}")
            raise
        return status
