"""What the writer thread tells the event loop: plain data, no HDF5 object and no traceback."""

from __future__ import annotations

from dataclasses import dataclass

from jfwriter.session.orders import ClosedFile, Likeness, RunReport
from jfwriter.session.plan import RunPlan


@dataclass(frozen=True, slots=True)
class FileClosed:
    """A data file stands under its final name."""

    plan: RunPlan
    file: ClosedFile


@dataclass(frozen=True, slots=True)
class ImageLost:
    """An image that the session had accepted could not be stored; the run goes on."""

    serial: int
    image_id: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class ImageSkipped:
    """An image that the session had accepted was not stored, because its run had failed."""

    serial: int


@dataclass(frozen=True, slots=True)
class DuplicateCompared:
    """How an image that came again compares with the first one, which stays."""

    serial: int
    image_id: int
    likeness: Likeness


@dataclass(frozen=True, slots=True)
class RunFailed:
    """The run cannot go on; its further images are thrown away."""

    serial: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The run is finalized; told once for each run that was opened."""

    report: RunReport


@dataclass(frozen=True, slots=True)
class WriterDied:
    """A bug: the thread ends, and so must the daemon."""

    text: str


@dataclass(frozen=True, slots=True)
class WriterEnded:
    """The last event: nothing of the files is touched any more."""


WriterEvent = (
    FileClosed
    | ImageLost
    | ImageSkipped
    | DuplicateCompared
    | RunFailed
    | RunFinished
    | WriterDied
    | WriterEnded
)
