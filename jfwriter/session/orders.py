"""What the session decides: orders to the writer thread and discards for the counters."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from jfwriter.session.image_status import ImageStatus, Marks
from jfwriter.session.plan import RunPlan
from jfwriter.wire.messages import CalibrationMessage, EndMessage, ImageMessage

Range = tuple[int, int]
"""First and last image number, both included."""


class Outcome(enum.StrEnum):
    """The verdict on a finished run."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    CANCELLED = "cancelled"
    FAILED = "failed"


class DropReason(enum.StrEnum):
    """Why a message or image was not written; the labels of `images_dropped` and of the counters."""

    NO_RUN = "no_run"
    OTHER_SERIES = "other_series"
    AFTER_END = "after_end"
    DUPLICATE = "duplicate"
    TOO_FAR = "image_id_too_far"
    WRONG_SHAPE = "wrong_shape"
    WRONG_DTYPE = "wrong_dtype"
    WRONG_CHANNEL = "wrong_channel"
    BAD_PAYLOAD = "bad_payload"
    RUN_REFUSED = "run_refused"
    RUN_FAILED = "run_failed"
    WRITE_FAILED = "write_failed"
    REPEATED_START = "repeated_start"
    BAD_CALIBRATION = "bad_calibration"
    FILE_GONE = "file_gone"


STATUS_OF: Mapping[DropReason, ImageStatus] = {
    DropReason.DUPLICATE: ImageStatus.DUPLICATE,
    DropReason.WRONG_SHAPE: ImageStatus.WRONG_SHAPE,
    DropReason.WRONG_DTYPE: ImageStatus.WRONG_DTYPE,
    DropReason.WRONG_CHANNEL: ImageStatus.WRONG_CHANNEL,
    DropReason.BAD_PAYLOAD: ImageStatus.BAD_PAYLOAD,
    DropReason.WRITE_FAILED: ImageStatus.WRITE_FAILED,
    DropReason.RUN_FAILED: ImageStatus.RUN_FAILED,
    DropReason.FILE_GONE: ImageStatus.FILE_GONE,
}
"""What an image of the run is called that was dropped; what has no place in the run is counted only."""


@dataclass(frozen=True, slots=True)
class OpenRun:
    plan: RunPlan


@dataclass(frozen=True, slots=True)
class WriteImage:
    """Write `image` at `row` of data file `file_index`; `channels` in storage order (first = main data)."""

    file_index: int
    row: int
    image: ImageMessage


@dataclass(frozen=True, slots=True)
class CompareImage:
    """`image` came again: does it differ from what stands at `row` of data file `file_index`? It is not
    written."""

    file_index: int
    row: int
    image: ImageMessage


@dataclass(frozen=True, slots=True)
class WriteCalibration:
    message: CalibrationMessage


@dataclass(frozen=True, slots=True)
class CloseFile:
    """The data file is full: close, sync, publish, announce."""

    file_index: int


@dataclass(frozen=True, slots=True)
class FinishRun:
    """Close what is open with `n_images` rows in all, write the master, publish.

    `missing` are the images below `n_images` that this writer should have got and has not; the writer adds
    those that it could not write. `outcome` is the session's verdict; the writer lowers it to INCOMPLETE or
    FAILED when writing or finishing went wrong. `dropped` counts the images that the session discarded, by
    reason; the writer adds those that it could not keep, so that in the report of every run the images
    received are those written and those dropped.
    """

    n_images: int
    missing: tuple[Range, ...]
    end: EndMessage | None
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    """Means over the images of this writer and counts of its analysis; added by the writer thread."""
    n_received: int = 0
    """Image messages that came since the start of the run, whatever became of them."""
    n_never_came: int = 0
    """Planned images of this writer from `n_images` on: behind the end of the files."""
    n_unexpected: int = 0
    """Accepted images beyond the planned number."""
    n_calibrations_dropped: int = 0
    marks: Marks = field(default_factory=Marks, compare=False)
    """What became of the images that were not accepted, or came twice; the writer enters its own losses."""
    gaps_are_wanted: bool = False
    """The missing images were left out by the sender on purpose."""


@dataclass(frozen=True, slots=True)
class Discard:
    """The message is dropped and counted under `reason`; `text` for the log, once per series and reason."""

    reason: DropReason
    text: str
    series: str = ""
    """Of a message that is not of the held run: the run that it names."""


Order = OpenRun | WriteImage | CompareImage | WriteCalibration | CloseFile | FinishRun | Discard


class Likeness(enum.StrEnum):
    """How an image that came again compares with the first one, by the checksum of the stored bytes."""

    SAME = "same"
    DIFFERS = "differs"
    UNKNOWN = "unknown"
    """The data file of the first one is closed, or could not store it."""


@dataclass(frozen=True, slots=True)
class ClosedFile:
    """A data file that stands under its final name. `filename` is relative to the root."""

    filename: str
    file_index: int
    n_rows: int
    n_written: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run ended, as plain data for status, announcements and logs."""

    plan: RunPlan
    outcome: Outcome
    reasons: tuple[str, ...]
    n_images: int
    n_written: int
    missing: tuple[Range, ...]
    files: tuple[str, ...] = ()
    """Final names relative to the root, data files first, the master last."""
    manifest: str = ""
    """Final name of the manifest relative to the root; empty if there is none."""
    written_bytes: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    problems: Mapping[str, int] = field(default_factory=dict)
    """Values of messages that could not be stored as they were, by dataset path."""
    n_received: int = 0
    """Images received: `n_written` and all of `dropped`."""
    n_never_came: int = 0
    n_unexpected: int = 0
    n_calibrations_dropped: int = 0
    by_status: Mapping[str, int] = field(default_factory=dict)
    """How many of the `n_images` images have which status (`ImageStatus.word`)."""
    failure: str = ""
    """Outcome FAILED: the fixed word of what went wrong."""
    refused: bool = False
    """The failure was found before any file was made."""
