"""Calibration images that wait for the master, which is written when the run is over. Writer thread only."""

from __future__ import annotations

from dataclasses import replace

from jfwriter.payload import Payload
from jfwriter.wire.messages import CalibrationMessage

MAX_BYTES = 512 << 20
"""Memory for them, packed as they came: three pedestals of 16 storage cells of 4M images fit in."""


class Calibrations:
    """Copies of the packed images: the received message must not be held for the whole run.

    Of two images of one name the first stays, as everywhere.
    """

    def __init__(self) -> None:
        self.messages: list[CalibrationMessage] = []
        self.n_left_out = 0
        """Images for which there was no room."""
        self._names: set[str] = set()
        self._n_bytes = 0

    def add(self, message: CalibrationMessage) -> None:
        copies: dict[str, Payload] = {}
        for name, payload in message.data.items():
            if name in self._names:
                continue
            if self._n_bytes + payload.data.nbytes > MAX_BYTES:
                self.n_left_out += 1
                continue
            copies[name] = replace(payload, data=memoryview(bytes(payload.data)))
            self._names.add(name)
            self._n_bytes += payload.data.nbytes
        if copies:
            self.messages.append(replace(message, data=copies, source=None))
