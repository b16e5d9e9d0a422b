"""What the session can say about itself, as plain data for status pages."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from jfwriter.wire.messages import StartMessage


class State(enum.StrEnum):
    """IDLE waits for a start; OPEN takes images; DRAINING discards those of a refused or failed run."""

    IDLE = "idle"
    OPEN = "open"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A run that was refused at its start: it has no plan, no files and no report of its own."""

    start: StartMessage
    received_at: float
    """Unix time of receipt in s."""
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """The session between two messages. Run fields are None, counts 0, when no run is held.

    `n_received` counts the images of the held run that came, whatever became of them; `dropped` counts
    the images that came since the latest start and are not written, by reason (`DropReason`). `dropped` and
    `n_unexpected` stay until the next start.
    """

    state: State
    dropped: Mapping[str, int] = field(default_factory=dict)
    serial: int | None = None
    file_prefix: str | None = None
    run_name: str | None = None
    run_number: int | None = None
    socket_number: int | None = None
    format: str | None = None
    started_at: float | None = None
    """Unix time of receipt of the start message in s."""
    n_expected: int | None = None
    n_received: int = 0
    n_accepted: int = 0
    n_unexpected: int = 0
    n_files_open: int = 0
    n_files_full: int = 0
    failure: str | None = None
    """Why the run is refused or failed, for a person."""
