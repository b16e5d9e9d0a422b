"""A writer as a child process that outlives neither its parent's block nor its parent."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType

from jfwriter.bench import with_parent
from jfwriter.errors import EndpointError

_READY_TIMEOUT_S = 120.0
"""A first start compiles the kernels."""

_STOP_TIMEOUT_S = 30.0
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class WriterProcess:
    """`jfwriter run` below `root`, receiving from `address`; HTTP and announcements on free loopback ports.

    Leaving the block stops it: SIGTERM, then SIGKILL if it does not end. SIGTERM and SIGHUP to this process
    leave the block as well; after SIGKILL the kernel sends the writer SIGTERM. `work` is a directory for its
    settings and log, `settings` more of its TOML file. Main thread only.
    """

    def __init__(self, root: Path, address: str, work: Path, settings: str = "") -> None:
        http_port, announce_port = _free_ports(2)
        self.http = ("127.0.0.1", http_port)
        self.announcements = f"tcp://127.0.0.1:{announce_port}"
        self._log = work / "writer.log"
        self._settings = work / "writer.toml"
        self._settings.write_text(
            f"[http]\nport = {http_port}\n\n"
            f'[announce]\nhost = "127.0.0.1"\nport = {announce_port}\nannounce_run_end = true\n'
            f"\n{settings}"
        )
        self._command = [sys.executable, "-m", "jfwriter", "run"]
        self._command += ["--config", str(self._settings), "--root-dir", str(root), address]
        self._process: subprocess.Popen[bytes] | None = None
        self._handlers: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> WriterProcess:
        for number in _SIGNALS:
            self._handlers[number] = signal.signal(number, _leave)
        with self._log.open("wb") as log:
            # A session of its own: Ctrl-C in the terminal reaches this process alone, which then stops
            # the child in good order.
            self._process = subprocess.Popen(
                with_parent.command(os.getpid(), self._command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def pid(self) -> int:
        return 0 if self._process is None else self._process.pid

    def wait_ready(self) -> None:
        """Until it answers that it can write. Raises EndpointError with its log if it ends or never does."""
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise EndpointError(f"the writer ended before it was ready\n{self.log_tail()}")
            try:
                if self._get("/health")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise EndpointError(f"the writer was not ready within {_READY_TIMEOUT_S:g} s\n{self.log_tail()}")

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def status(self) -> dict[str, object]:
        """What `/status` answers. Raises EndpointError if it does not answer."""
        try:
            code, body = self._get("/status")
            status = json.loads(body)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise EndpointError(f"the writer does not answer: {error}\n{self.log_tail()}") from error
        if code != 200 or not isinstance(status, dict):
            raise EndpointError(f"the writer answers with HTTP status {code}")
        return status

    def stop(self) -> int | None:
        """Stop it in good order; its exit status."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # Also on a second Ctrl-C while it waits; nothing happens to a process that has ended.
            self._process.kill()
            self._process.wait()
        return self._process.returncode

    def log_tail(self) -> str:
        """The last lines that it logged."""
        try:
            return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])
        except OSError:
            return ""

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(*self.http, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _free_ports(n_ports: int) -> list[int]:
    """Ports of the loopback interface that nobody has at the moment."""
    sockets = [socket.socket() for _ in range(n_ports)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()
