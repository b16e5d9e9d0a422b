"""What the service manager is told: sd_notify(3) datagrams, without libsystemd."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

from jfwriter.printable import printable

_log = logging.getLogger(__name__)


class ServiceManager:
    """Sends READY, STATUS, WATCHDOG and STOPPING to NOTIFY_SOCKET; does nothing where there is none."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.watchdog_s = _watchdog_s(environ)
        """The manager wants a sign of life within this time; None: it does not."""
        self._socket: socket.socket | None = None
        self._status = ""
        address = environ.get("NOTIFY_SOCKET", "")
        if address.startswith(("/", "@")):
            # A leading @ stands for the NUL byte of Linux's abstract socket names.
            self._address = "\0" + address[1:] if address[0] == "@" else address
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    def ready(self) -> None:
        self._send(f"READY=1\nMAINPID={os.getpid()}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def alive(self) -> None:
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; sent when it changed. A name with a line end in it would be taken
        for further assignments."""
        text = printable(text)
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, text: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(text.encode("utf-8", "replace"), self._address)
        except OSError as error:
            _log.debug("NOTIFY_SOCKET: %s", error)


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        microseconds = int(environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return microseconds / 1e6 if microseconds > 0 else None
