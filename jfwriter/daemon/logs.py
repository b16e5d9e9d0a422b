"""Log lines to stderr: never blocking the event loop, never passing control characters of the wire on.

Under journald a line carries its priority and no time, because journald adds its own.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from jfwriter.printable import printable

MAX_WAITING_LINES = 10_000
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class LineFormatter(logging.Formatter):
    """One record is one line; the lines of a traceback follow it, marked with a bar."""

    def __init__(self, *, journal: bool) -> None:
        super().__init__("%(message)s" if journal else "%(asctime)s %(levelname)-7s %(message)s")
        self._journal = journal

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802, ARG002
        """Local time with its distance to UTC (ISO 8601): lines of other machines and of winter and summer
        time can be put in order."""
        moment = datetime.fromtimestamp(record.created, UTC).astimezone()
        return moment.isoformat(timespec="milliseconds")

    def format(self, record: logging.LogRecord) -> str:
        record.message = printable(record.getMessage())
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        lines = [self.formatMessage(record)]
        if record.exc_info:
            lines += [f"| {printable(line)}" for line in self.formatException(record.exc_info).split("\n")]
        if self._journal:
            priority = _PRIORITY.get(record.levelno, 6)
            lines = [f"<{priority}>{line}" for line in lines]
        return "\n".join(lines)


class BackgroundHandler(logging.Handler):
    """Hands records to a thread of its own, so that a stopped terminal or a full pipe stops nobody.

    When more than `MAX_WAITING_LINES` records wait, further ones are dropped and their number is logged.
    """

    def __init__(self, stream: TextIO, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._stream = stream
        self._records: queue.Queue[logging.LogRecord | None] = queue.Queue(MAX_WAITING_LINES)
        self._n_dropped = 0
        self._thread = threading.Thread(target=self._print, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._records.put_nowait(record)
        except queue.Full:
            self._n_dropped += 1

    def _print(self) -> None:
        while (record := self._records.get()) is not None:
            self._write(self.format(record))
            if self._n_dropped:
                dropped, self._n_dropped = self._n_dropped, 0
                self._write(f"{dropped} log lines were lost: stderr was not read")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            # Nobody reads stderr any more; the daemon's work does not depend on it.
            self._n_dropped = 0

    def finish(self, timeout_s: float = 2.0) -> None:
        """Print what waits, for at most `timeout_s`."""
        try:
            self._records.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(timeout_s)


def start(level: str, stream: TextIO | None = None) -> BackgroundHandler:
    """Send the package's log, and asyncio's, to stderr. Returns the handler; call its `finish` at the end."""
    stream = sys.stderr if stream is None else stream
    handler = BackgroundHandler(stream, LineFormatter(journal=_is_journal(stream, os.environ)))
    for name in ("jfwriter", "asyncio", "aiohttp"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level.upper())
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    logging.getLogger("py.warnings").handlers = [handler]
    return handler


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether `stream` is the journal socket that systemd names in JOURNAL_STREAM ("device:inode")."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
