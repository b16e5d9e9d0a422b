"""Telling the world about finalized files and runs: one JSON message each on a PUB socket.

The file stands under its final name before its announcement is made.
"""

from __future__ import annotations

import logging

import zmq

from jfwriter.daemon.curve import Door
from jfwriter.daemon.identity import run_name, run_number
from jfwriter.daemon.jsontext import dumps, parsed_or_text
from jfwriter.daemon.sockets import Socket, endpoint
from jfwriter.daemon.status import Announcements, LastRun
from jfwriter.session.orders import ClosedFile, Range
from jfwriter.session.plan import RunPlan
from jfwriter.wire.messages import StartMessage

WATERMARK_MESSAGES = 1000
"""For each subscriber; a slower one misses announcements."""
MAX_USER_DATA_BYTES = 1 << 20
"""A longer header appendix is left out of the announcement, so that slow subscribers cost little memory."""

_log = logging.getLogger(__name__)


class Announcer:
    """Owns the bound PUB socket; event loop only."""

    def __init__(self, socket: Socket, *, announce_run_end: bool, door: Door | None = None) -> None:
        """`door` of a socket that does not let everybody in."""
        self.n_sent = 0
        self.endpoint = endpoint(socket)
        self._socket = socket
        self._door = door
        self._announce_run_end = announce_run_end

    def status(self) -> Announcements:
        return Announcements(self.endpoint, self.n_sent, 0 if self._door is None else self._door.n_refused)

    def file_closed(self, plan: RunPlan, file: ClosedFile) -> None:
        self._send(file_announcement(plan, file))

    def run_finished(
        self,
        result: LastRun,
        start: StartMessage,
        missing: tuple[Range, ...] = (),
        files: tuple[str, ...] = (),
    ) -> None:
        """`missing` and `files` in full; `result` holds only the first of them."""
        if self._announce_run_end:
            self._send(run_announcement(result, start, missing, files))

    def _send(self, message: dict[str, object]) -> None:
        try:
            self._socket.send(dumps(message), zmq.NOBLOCK)
        except zmq.Again:  # a PUB socket drops instead, but nothing here may ever wait
            _log.warning("an announcement was not sent: %s", message.get("filename") or message.get("event"))
            return
        self.n_sent += 1

    def close(self) -> None:
        if self._door is not None:
            self._door.close()
        self._socket.close()


def file_announcement(plan: RunPlan, file: ClosedFile) -> dict[str, object]:
    """The message about one data file (`docs/reference/announcements.md`); what is not known is absent."""
    start = plan.start
    message = {
        "filename": file.filename,
        "nimages": file.n_rows,
        "file_number": file.file_index,
        "sample_name": start.sample_name,
        **_run_identity(start),
        "experiment_group": start.experiment_group,
        "user_data": _user_data(start.user),
        "beam_x_pxl": start.beam_center_x,
        "beam_y_pxl": start.beam_center_y,
        "detector_distance_m": start.detector_distance,
        "detector_width_pxl": start.image_size_x,
        "detector_height_pxl": start.image_size_y,
        "image_time_s": start.frame_time,
        "incident_energy_eV": start.incident_energy,
        "pixel_size_m": start.pixel_size_x,
        "saturation": start.saturation_value,
        "underload": start.error_value,
        "space_group_number": start.space_group_number,
        "unit_cell": _unit_cell(start),
    }
    return _present(message)


def run_announcement(
    result: LastRun, start: StartMessage, missing: tuple[Range, ...], files: tuple[str, ...]
) -> dict[str, object]:
    """The message about a finalized (or refused) run."""
    message = {
        "event": "run_finalized",
        "outcome": result.outcome,
        "reasons": result.reasons,
        **_run_identity(start),
        "socket_number": start.socket_number,
        "file_prefix": result.file_prefix,
        "format": result.format,
        "images_expected": result.images_expected,
        "nimages": result.nimages,
        "images_written": result.images_written,
        "images_received": result.images_received,
        "images_missing": result.images_missing,
        "missing": missing,
        "images_never_came": result.images_never_came,
        "images_unexpected": result.images_unexpected,
        "images_dropped": result.images_dropped,
        "files": files,
        "experiment_group": start.experiment_group,
        "user_data": _user_data(start.user),
    }
    return _present(message)


def _run_identity(start: StartMessage) -> dict[str, object]:
    return {"run_name": run_name(start), "run_number": run_number(start)}


def _present(message: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in message.items() if value is not None}


def _user_data(user: object) -> object:
    """The header appendix; a string that holds JSON is embedded as JSON."""
    value = parsed_or_text(user) if isinstance(user, str) else user
    if value is None or len(dumps(value)) > MAX_USER_DATA_BYTES:
        return None
    return value


def _unit_cell(start: StartMessage) -> dict[str, float] | None:
    cell = start.unit_cell
    if cell is None:
        return None
    return {name: getattr(cell, name) for name in ("a", "b", "c", "alpha", "beta", "gamma")}
