"""What `/status` answers, as immutable data. The OpenAPI description is made from these classes.

Field names that other tools know (`nimages`, `performance_MBs`, ...) stay as they are.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pydantic import ConfigDict

_SCHEMA = ConfigDict(use_attribute_docstrings=True, extra="forbid")


class State(enum.StrEnum):
    """What the writer does. `draining`: messages are received and thrown away, because the run was refused
    or has failed; or the writer is being stopped and brings to disk what it has."""

    IDLE = "idle"
    WRITING = "writing"
    FINALIZING = "finalizing"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class LastRun:
    """How a run ended."""

    __pydantic_config__ = _SCHEMA

    outcome: str
    """`complete`, `incomplete`, `cancelled` or `failed`."""
    reasons: list[str]
    """Why it is not complete, and what else a person should know."""
    file_prefix: str | None
    """Relative to the root; null if the run wrote no files."""
    run_name: str
    """`run_name` of the start message, else the name of its series."""
    run_number: int
    """`run_number` of the start message, else the number of its series."""
    socket_number: int | None
    """Which of several writers this is, as the start message said."""
    format: str
    """`NXmxLegacy`, `NXmxVDS`, `NXmxIntegrated`, `NXmxOnlyData` or `NoFileWritten`."""
    images_expected: int | None
    """As the start message said."""
    nimages: int
    """Length of the run in images, missing ones included."""
    images_received: int
    """Image messages since its start: `images_written` and all of `images_dropped`."""
    images_written: int
    """Images in files that stand under their final names; of a run without files, the images taken."""
    images_missing: int
    """Images below `nimages` that this writer should have and has not."""
    missing: list[tuple[int, int]]
    """The first 100 ranges of missing images; first and last number of each, both included."""
    images_by_status: dict[str, int]
    """How many of the `nimages` images have which status, as `image_status` of the master has it for each:
    `written`, `duplicate`, `never_came`, `bad_payload` ...; empty if the run wrote no files."""
    images_never_came: int
    """Planned images of this writer from `nimages` on; all that were planned, if the run was refused."""
    images_unexpected: int
    """Images beyond the planned number; they are written."""
    images_dropped: dict[str, int]
    """Images that came and are not in a file, by reason."""
    calibrations_dropped: int
    """Calibration images that were rejected."""
    quantities_left_out: dict[str, int]
    """Values of messages that could not be stored as they were, by dataset; the first 100 datasets."""
    files: list[str]
    """Final names relative to the root: data files first, the master last; at most the first 1000."""
    written_bytes: int
    """Size of the files."""
    finished_at: float
    """Unix time in s."""


@dataclass(frozen=True, slots=True)
class Input:
    """One address that messages are received from."""

    __pydantic_config__ = _SCHEMA

    address: str
    """ZeroMQ address of the sender."""
    connected: bool
    """Whether a sender is there."""
    multipart_messages: int
    """Messages of several parts: refused."""
    broken_connections: int
    """Connections that ended with a message over the size limit or an error of protocol."""
    failed_handshakes: int
    """Connections that were not made, because the CURVE keys do not fit or one side alone uses CURVE."""


@dataclass(frozen=True, slots=True)
class Republishing:
    """The PUSH socket that sends every message on."""

    __pydantic_config__ = _SCHEMA

    endpoint: str
    """ZeroMQ address that consumers connect to."""
    sent: int
    """Messages sent on."""
    not_republished: int
    """Messages that nobody took: no consumer, or its queue was full."""
    waiting_bytes: int
    """Messages behind a start or end that is being tried."""
    refused_connections: int
    """Connections of programs without the right CURVE key."""


@dataclass(frozen=True, slots=True)
class Announcements:
    """The PUB socket that announces files."""

    __pydantic_config__ = _SCHEMA

    endpoint: str
    """ZeroMQ address that subscribers connect to."""
    sent: int
    """Announcements made."""
    refused_connections: int
    """Connections of programs without the right CURVE key."""


@dataclass(frozen=True, slots=True)
class Notifications:
    """Messages to the senders that asked to be told of the end of their run."""

    __pydantic_config__ = _SCHEMA

    sent: int
    """Senders that were told."""
    failed: int
    """Senders that could not be reached, or named an address that is not allowed."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """Analysis of the latest run. Averages are over its last 1000 images, of those whose message or analysis
    tells the figure; null where none does."""

    __pydantic_config__ = _SCHEMA

    quantities: list[str]
    """What is computed here, for all images or those that lack it."""
    images_analysed: int
    """Images of which something was computed."""
    images_skipped: int
    """Images written without analysis, because too many waited for theirs, or the writer was behind."""
    images_failed: int
    """Images whose pixels do not unpack."""
    images_waiting: int
    """Images that wait for their analysis or are in it."""
    problems: list[str]
    """What is not computed in this run, and why."""
    averaged_images: int
    """Images that the averages are made of."""
    spots: float | None
    """Spots per image."""
    hit_rate: float | None
    """Share of images with at least analysis.min_spots_for_hit spots."""
    indexing_rate: float | None
    """Share of indexed images."""
    background_estimate: float | None
    """Photons per pixel in 3 to 5 Å."""
    saturated_pixels: float | None
    """Per image."""
    error_pixels: float | None
    """Per image."""
    roi_beam_pixels: float | None
    """Valid pixels of the region of interest called `beam`."""
    roi_beam_sum: float | None
    """Sum over that region."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Counters since the process was started."""

    __pydantic_config__ = _SCHEMA

    messages: dict[str, int]
    """Messages by type; `unknown` for types that are none of the stream's."""
    bad_messages: dict[str, int]
    """Messages that could not be decoded, by kind."""
    ignored_fields: int
    """Fields of good messages that had a wrong type or value and were ignored."""
    images_received: int
    """Image messages that could be decoded."""
    images_written: int
    """Images handed to their file, also to one that could not be finalized later."""
    images_dropped: dict[str, int]
    """Images that came and were not written, by reason."""
    messages_dropped: dict[str, int]
    """Messages of every type that led to nothing, by reason; images included."""
    written_bytes: int
    """Image data written."""
    images_analysed: int
    """Images of which something was computed."""
    analysis_skipped: int
    """Images written without analysis, because too many waited for theirs, or the writer was behind."""
    files_closed: int
    """Data files finalized."""
    runs: dict[str, int]
    """Finished runs by outcome."""
    runs_refused: dict[str, int]
    """Runs that were refused, by reason; also start messages that could not be decoded, by kind."""
    runs_failed: dict[str, int]
    """Runs that failed while they were written, by reason."""
    images_unexpected: int
    """Images beyond the planned number, of finished runs."""
    quantities_left_out: int
    """Values that could not be stored as they were, of finished runs."""
    receiving_pauses: int
    """How often receiving stopped because the byte budget was used up."""
    http_refused: dict[str, int]
    """HTTP requests that were refused, and connections that were cut, by reason."""


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the writer. What names a run is null when no run is held; the counters of images and files
    stay until the next run starts."""

    __pydantic_config__ = _SCHEMA

    state: State
    """`idle`, `writing`, `finalizing` or `draining`."""
    version: str
    """Version of jfwriter."""
    uptime_s: float
    """Time since the start of the process."""
    file_prefix: str | None
    """Relative to the root; null when no run is open or it writes no files."""
    run_name: str | None
    """`run_name` of the start message, else the name of its series."""
    run_number: int | None
    """`run_number` of the start message, else the number of its series."""
    socket_number: int | None
    """Which of several writers this is, as the start message said."""
    format: str | None
    """`NXmxLegacy`, `NXmxVDS`, `NXmxIntegrated`, `NXmxOnlyData` or `NoFileWritten`."""
    nimages: int
    """Images written."""
    images_synced: int
    """Of these, images that the journal knows to be on the disk: no crash loses them."""
    images_expected: int | None
    """`number_of_images` of the start message."""
    images_received: int
    """Image messages of the run, whatever became of them."""
    images_unexpected: int
    """Images beyond the planned number; they are written."""
    images_waiting: int
    """Images taken and not yet written."""
    images_missing: int | None
    """Images below the highest one so far that are neither written nor waiting; null where other writers may
    have them."""
    missing: list[tuple[int, int]]
    """The first 100 ranges of them, of the last million images; at most a second old."""
    images_dropped: dict[str, int]
    """Images that came and were not written, by reason."""
    duplicates: dict[str, int]
    """Images that came again, by how they compare with the first one, which stays: `same`, `differs`,
    `unknown` (its data file is closed or lacks it); empty where `files.checksum` is off."""
    performance_MBs: float  # noqa: N815 the name that existing scripts read
    """Stored image data over the last seconds, 10^6 bytes per second."""
    performance_Hz: float  # noqa: N815 the name that existing scripts read
    """Images written per second over the last seconds."""
    queue_bytes: int
    """Received messages that wait for the disk."""
    byte_budget_bytes: int
    """Receiving stops when `queue_bytes` reaches this."""
    receiving_paused: bool
    """Whether receiving has stopped for that reason."""
    oldest_image_age_s: float
    """How long the oldest message in the queue has waited; 0 when the queue is empty."""
    event_loop_lag_s: float
    """Longest delay of the event loop over the last seconds."""
    files_closed: int
    """Data files that stand under their final names."""
    last_files: list[str]
    """The last ten files, newest first."""
    runs_to_recover: int
    """Runs that a crash or a failure has left below the root, for `jfwriter recover`."""
    warnings: list[str]
    """What a person should look at now."""
    analysis: Analysis
    """What was computed, and moving averages."""
    inputs: list[Input]
    """The addresses that are received from."""
    republish: Republishing | None
    """Null when republishing is off."""
    announcements: Announcements | None
    """Null when announcements are off."""
    notifications: Notifications
    """Messages to senders that asked to be told of the end."""
    totals: Totals
    """Counters that no new run resets."""
    last_run: LastRun | None
    """The run that ended last; null before the first one."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the writer can write."""

    __pydantic_config__ = _SCHEMA

    healthy: bool
    """True: a run that started now could be written."""
    problems: list[str]
    """Why it cannot; empty when healthy."""


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """Every answer that is an error."""

    __pydantic_config__ = _SCHEMA

    error: str
    """A fixed word, e.g. `idle` or `not_found`."""
    message: str
    """For a person."""
