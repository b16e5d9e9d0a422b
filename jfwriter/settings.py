"""Settings of the daemon: one TOML file, frozen models, nothing global.

Every field says its unit in its name, its default and its meaning here; `docs/reference/settings.md` is
made from this module.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field
from pydantic_core import PydanticCustomError

from jfwriter.analysis_settings import AnalysisSettings
from jfwriter.errors import SettingsError, SettingsProblem
from jfwriter.settings_section import Section
from jfwriter.socket_settings import (
    AnnounceSettings,
    CurveSettings,
    HttpSettings,
    InputSettings,
    RepublishSettings,
)
from jfwriter.toml_lines import line_of

Positive = Annotated[int, Field(ge=1)]


class FilesSettings(Section):
    """What is written, and where."""

    root_dir: str = "."
    """Directory that all file prefixes are relative to; no file is ever written outside it."""
    default_format: Literal["NXmxOnlyData", "NXmxLegacy", "NXmxVDS", "NXmxIntegrated", "NoFileWritten"] = (
        "NXmxLegacy"
    )
    """Layout of a run whose start message names none."""
    default_prefix: str = ""
    """File prefix of a run whose start message carries none, as plain DECTRIS Stream V2 senders do: text
    with {series_id} (also {series_id:06d}), {series_unique_id} and {date} (of receipt, UTC, YYYY-MM-DD);
    "/" makes sub-directories. Empty: no file is written for such a run."""
    default_images_per_file: Annotated[int, Field(ge=0)] = 1000
    """Images per data file of a run whose start message does not say; 0 is one file."""
    default_max_spot_count: Annotated[int, Field(ge=1, le=10_000)] = 250
    """Width of the spot arrays of a run whose start message does not say."""
    max_lattices_extra: Annotated[int, Field(ge=1, le=64)] = 4
    """Stored extra lattices per image (second dimension of latticeIndexedExtra)."""
    fill_gaps: bool = True
    """Write one chunk of fill values for each image that never came. XDS (neggia) needs it: it ends at an
    absent chunk. Costs one compressed empty image each."""
    sync: bool = True
    """fsync files and directories before a file is announced."""
    compress_raw_images: Literal["none", "bslz4"] = "none"
    """Compression of images that arrive uncompressed."""
    n_writers: Annotated[int, Field(ge=0, le=1024)] = 0
    """Writers that share one run by file number (file k goes to socket k modulo n). 0: not known; then it is
    guessed from the files that came, and a run with socket numbers of which no image of some file came here
    is not called complete. Set 1 for a single writer. On the command line: --n-writers."""
    checksum: Literal["none", "crc32"] = "none"
    """Store a checksum of each image as it is packed in the file, for `jfwriter validate --deep`. crc32 takes
    about 0.05 ms for 1.5 MB, or ten times that on processors other than x86-64 and ARM."""
    direct_io: bool = False
    """Write images of 256 KiB and more past the page cache (O_DIRECT). Takes a third less CPU, and an image
    is on the device sooner; but then it is read from there, and a burst finds no room in the system's memory,
    only in memory.byte_budget_bytes. `jfwriter bench --direct` shows what it does on your storage. Where it
    is not possible, that is logged once, and the page cache used."""
    manifest: bool = False
    """When a run is over, write what became of it to <prefix>_manifest.json beside its files."""
    umask: Annotated[int, Field(ge=0, le=0o777)] | None = None
    """File mode creation mask of the process; not set: inherited."""
    file_mode: Annotated[int, Field(ge=0o400, le=0o777)] | None = None
    """Mode of the files, e.g. 0o640, whatever the umask; directories that the writer makes may also be
    entered by who may read. Not set: as the umask gives it."""
    group: str | int | None = None
    """Group of the files and of directories that the writer makes, name or number; the writer's user must be
    in it. Not set: the system's choice (in a setgid directory, the directory's group)."""
    root_guard: Annotated[str, Field(pattern=r"^[^/]*$")] = ""
    """Name of a file that must stand in each root directory: if it is not there, the file system is not
    mounted and nothing is written. Empty: the root must be the very directory that it was at the start, which
    a network file system that was mounted again is not."""
    second_root_dir: str = ""
    """Where the next data files go when the root directory is full or fails in mid-run, under the same
    prefix; best on other storage. Empty: the run fails."""
    preflight: Literal["off", "warn", "refuse"] = "warn"
    """What to do at the start of a run whose announced images the free space (or the inodes) will not hold,
    going by what the images of the runs before were compressed to."""

    @pydantic.field_validator("default_prefix")
    @classmethod
    def _known_fields(cls, template: str) -> str:
        try:
            filled = template.format_map({"series_id": 1, "series_unique_id": "a", "date": "2000-01-01"})
        except (KeyError, ValueError, IndexError, AttributeError, TypeError) as error:
            expected = "text with {series_id}, {series_unique_id} or {date}"
            raise ValueError(f"expected {expected}; cannot be filled in: {error}") from error
        if template and not {"", ".", ".."}.isdisjoint(filled.split("/")):
            raise ValueError("expected a path below the root, without an empty part, '.' or '..'")
        if not filled.isprintable():
            raise ValueError("expected a path without control or invisible characters")
        return template


class JournalSettings(Section):
    """What survives when the process is killed or the machine loses power: side files of the run in work."""

    enabled: bool = True
    """Keep a journal of each run beside its files; `jfwriter recover` makes files of what a crash leaves."""
    sync_interval_s: Annotated[float, Field(ge=0.01, le=3600)] = 1.0
    """Images are brought to disk so often while they are written. A power cut loses those of this time."""
    recover_at_start: bool = False
    """Recover the runs that a crash has left when the writer is started, in the background."""


class MemorySettings(Section):
    """What the daemon may hold."""

    byte_budget_bytes: Annotated[int, Field(ge=1 << 20)] = 2 << 30
    """Received images that wait for the disk. Full: receiving stops until the disk has caught up."""


class ServiceSettings(Section):
    """The life of the process."""

    shutdown_deadline_s: Annotated[float, Field(gt=0)] = 60.0
    """After SIGTERM: time to bring everything to disk; then open files are closed as they are, exit 1."""
    idle_warning_s: Annotated[float, Field(gt=0)] = 60.0
    """A run that is open and got no message for so long is reported in /status and the log."""
    storage_give_up_s: Annotated[float, Field(gt=0)] = 300.0
    """The storage may keep the writer waiting for so long in one operation; then the runs that wait for it
    are given up as failed, their messages are received, republished, counted and thrown away, and starts
    are refused until the storage has answered."""
    storage_stall_limit_s: Annotated[float, Field(gt=0)] = 600.0
    """Under systemd with WatchdogSec: the storage may keep the writer waiting for so long in one operation;
    then the service manager is told nothing more and restarts the writer."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe message that is logged."""


class LimitSettings(Section):
    """Bounds for what a message may ask for. Over a limit: the message is refused and counted."""

    max_message_bytes: Positive = 1 << 30
    """Size of one ZeroMQ message; larger ones are refused by the socket."""
    max_metadata_bytes: Positive = 16 << 20
    """A message without its binary arrays."""
    max_nesting: Annotated[int, Field(ge=4, le=200)] = 32
    """Depth of nested arrays and maps."""
    max_image_pixels: Positive = 1 << 28
    """Pixels of one image, mask or map."""
    max_channels: Annotated[int, Field(ge=1, le=64)] = 16
    """Image channels."""
    max_spots: Positive = 10_000
    """Spots of one image that are read; the strongest max_spot_count of them are stored."""
    max_azint_bins: Positive = 1 << 20
    """Bins of the azimuthal integration."""
    max_rois: Annotated[int, Field(ge=1, le=16)] = 16
    """Regions of interest (16 bits in roi_map)."""
    max_images: Positive = 100_000_000
    """Images of one run."""
    max_unexpected_images: Annotated[int, Field(ge=0)] = 10_000
    """Images beyond number_of_images that are still written."""


class Settings(Section):
    """The whole configuration file."""

    input: InputSettings = InputSettings()
    files: FilesSettings = FilesSettings()
    analysis: AnalysisSettings = AnalysisSettings()
    journal: JournalSettings = JournalSettings()
    republish: RepublishSettings = RepublishSettings()
    announce: AnnounceSettings = AnnounceSettings()
    curve: CurveSettings = CurveSettings()
    http: HttpSettings = HttpSettings()
    memory: MemorySettings = MemorySettings()
    service: ServiceSettings = ServiceSettings()
    limits: LimitSettings = LimitSettings()

    @pydantic.model_validator(mode="after")
    def _keys_for_curve(self) -> Self:
        for name in ("republish", "announce"):
            if getattr(self, name).curve and not self.curve.secret_key_file:
                text = "{section}.curve needs a key: set curve.secret_key_file"
                raise PydanticCustomError("no_key", text, {"section": name})
        return self

    @pydantic.model_validator(mode="after")
    def _different_ports(self) -> Self:
        names: dict[int, str] = {}
        for name in ("republish", "announce", "http"):
            port = getattr(self, name).port
            if port and names.setdefault(port, name) != name:
                raise PydanticCustomError(
                    "same_port", "{first}.port and {second}.port are both {port}: expected different ports",
                    {"first": names[port], "second": name, "port": port},
                )  # fmt: skip
        return self


def load(path: Path) -> Settings:
    """Read and check a TOML file.

    Raises SettingsError naming the file and, for each problem, the line, the setting, what was expected and
    what came.
    """
    try:
        text = path.read_bytes().decode("utf-8")
        table = tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror or error}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 text: {error}") from error
    return parse(table, str(path), text)


def parse(table: dict[str, object], source: str, text: str = "") -> Settings:
    """Check settings given as a table; `source` names it in errors, `text` is the TOML it was read from."""
    try:
        return Settings.model_validate(table)
    except pydantic.ValidationError as error:
        problems = tuple(_problem(item, text) for item in error.errors(include_url=False))
        lines = [f"{source}: {problem}" for problem in problems]
        raise SettingsError("\n".join(lines), problems) from error


def _problem(item: object, text: str) -> SettingsProblem:
    assert isinstance(item, dict)  # noqa: S101 pydantic's documented type
    # A table of an array is told by its place, and then by its type, which is no name in the file.
    location = item["loc"]
    path = tuple(
        str(part) for i, part in enumerate(location) if i < 2 or not isinstance(location[i - 1], int)
    )
    return SettingsProblem(line_of(text, path), ".".join(path) or "the file", _explanation(item))


def _explanation(item: dict[str, Any]) -> str:
    if item["type"] == "extra_forbidden":
        return "unknown setting; check its spelling and section"
    if item["type"] in {"same_port", "no_token", "no_key", "keys"}:
        return str(item["msg"])
    expectation = item["ctx"]["error"] if item["type"] == "value_error" else item["msg"]
    return f"{expectation}, got {item['input']!r}"
