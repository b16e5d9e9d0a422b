"""What the journal of a run tells, checked: it is input like any other, and may be torn or forged."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import pydantic
from pydantic import Field

from jfwriter.errors import JfwriterError, SettingsError
from jfwriter.hdf5.file_facts import FileFacts, StoredFile, from_json
from jfwriter.journal.records import Kind, Reader, Record
from jfwriter.recovery.opened import OpenedFile
from jfwriter.session.plan import RunPlan
from jfwriter.session.planning import make_plan
from jfwriter.settings import Settings, parse
from jfwriter.wire.decode import decode
from jfwriter.wire.messages import CalibrationMessage, EndMessage, StartMessage

RUN_NAME = re.compile(
    r"(?P<basename>.+)\.(?P<token>[0-9a-f]{16})(?P<second>\.second)?\.run\.journal", re.DOTALL
)
NOTES_SUFFIX = ".recovered"
MAX_NOTES = 1_000_000


class Unusable(Exception):
    """Nothing can be made of the journal; `str()` says why."""


class NotBegun(Unusable):
    """The journal ends before its start message does: what it holds is how such a journal begins."""


class _Header(pydantic.BaseModel):
    version: int
    token: str
    boot_id: str = ""
    received_at: Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
    settings: dict[str, dict[str, Any]]


class Begun(pydantic.BaseModel):
    """Of a run whose journal is its second one: where it was begun, and what stood there then."""

    directory: str
    has_journal: bool
    n_files: Annotated[int, Field(ge=0, lt=1 << 62)]
    n_images: Annotated[int, Field(ge=0, lt=1 << 62)]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where records stand. `in_second`: beside the files with which a run went on; `sees_first`: the
    directory in which it was begun is at hand."""

    in_second: bool = False
    sees_first: bool = True


FIRST, SECOND, SECOND_ALONE = Origin(), Origin(in_second=True), Origin(sees_first=False)


@dataclass(slots=True)
class RunMaterial:
    """One run as its journals tell of it."""

    token: str
    boot_id: str
    settings: Settings
    plan: RunPlan
    closings: dict[tuple[bool, bool, int], StoredFile] = field(default_factory=dict)
    """Data files that have got their final names, or were about to: by whether they are in the second
    directory, whether they are parts, and index."""
    calibrations: list[CalibrationMessage] = field(default_factory=list)
    end: EndMessage | None = None
    master_bytes: int | None = None
    """Size of the master that has got its final name, or was about to."""
    manifest: bytes | None = None
    """The manifest that was about to be written, when all else stood."""
    went_on_in: str = ""
    """Directory in which the run went on after a failure of its storage."""
    is_followed: bool = False
    """Whether it has a journal there."""
    begun: Begun | None = None
    has_ended: bool = False
    """Nothing but journals was left to be removed."""
    temporary_names: set[str] = field(default_factory=set)
    """Files that hold nothing that is not elsewhere, too: a master in work, what an earlier recovery left."""
    opening: set[str] = field(default_factory=set)
    """Temporary names of data files that were about to be made, each with its journal before it."""
    recovered: dict[str, Any] | None = None
    """What an earlier recovery has told at its end."""
    is_torn: bool = False
    problems: list[str] = field(default_factory=list)

    def note(self, record: Record, origin: Origin) -> None:
        """Enter one record of the run's journal, or of the notes of a recovery; damaged ones are told."""
        try:
            self._note(record, origin)
        except (ValueError, TypeError, KeyError, RecursionError, JfwriterError) as error:
            self.problems.append(f"a record of kind {record.kind} is not understood: {_first_line(error)}")

    def _note(self, record: Record, origin: Origin) -> None:
        match record.kind:
            case Kind.CLOSING | Kind.PART | Kind.CLOSED_BEFORE:
                self._note_file(record, origin)
            case Kind.CALIBRATION:
                message = decode(record.body, self.settings.limits)
                if isinstance(message, CalibrationMessage):
                    self.calibrations.append(message)
            case Kind.END:
                message = decode(record.body, self.settings.limits)
                if isinstance(message, EndMessage):
                    self.end = message
            case Kind.MANIFEST:
                self.manifest = record.body
            case Kind.WENT_ON | Kind.BEGUN | Kind.ENDED:
                self._note_other(record.kind, json.loads(record.body))
            case Kind.MASTER | Kind.TEMPORARY | Kind.OPENING:
                self._note_name(record.kind, json.loads(record.body))
            case Kind.RECOVERED:
                self.recovered = dict(json.loads(record.body))

    def _note_other(self, kind: int, told: Mapping[str, Any]) -> None:
        """Of the other half of the run."""
        if kind == Kind.WENT_ON:
            self.went_on_in = str(told["directory"])
            self.is_followed = bool(told.get("is_followed"))
        elif kind == Kind.BEGUN:
            self.begun = Begun.model_validate(told)
        else:
            self.has_ended = True

    def _note_file(self, record: Record, origin: Origin) -> None:
        is_here = record.kind == Kind.CLOSING
        if not is_here and not origin.sees_first:
            return
        facts = from_json(json.loads(record.body))
        _check_facts(facts, self.plan, self.settings)
        stored = StoredFile(facts, in_second=is_here and origin.in_second, is_part=record.kind == Kind.PART)
        self.closings[stored.in_second, stored.is_part, facts.file_index] = stored

    def _note_name(self, kind: int, told: Mapping[str, Any]) -> None:
        name = str(told["temporary_name"])
        if kind == Kind.MASTER:
            self.master_bytes = int(told["size_bytes"])
        (self.opening if kind == Kind.OPENING else self.temporary_names).add(name)


def load_run(opened: OpenedFile, name: str, origin: Origin = FIRST) -> RunMaterial:
    """The journal of a run, `name` its file name. Raises Unusable."""
    opened.file.seek(0)
    matched = RUN_NAME.fullmatch(name)
    if matched is None:
        raise Unusable("its name is not that of a journal")
    reader = Reader(opened.file, opened.size_bytes)
    records = iter(reader)
    header, start = next(records, None), next(records, None)
    if start is None and (header is None or header.kind == Kind.RUN) and reader.is_cut:
        raise NotBegun("it ends before the start message of its run")
    material = _begin(header, start)
    if (material.plan.basename, material.token) != (matched["basename"], matched["token"]):
        raise Unusable("it belongs to another run than its name says")
    for number, record in enumerate(records):
        if number >= MAX_NOTES:
            raise Unusable(f"it has more than {MAX_NOTES} records")
        material.note(record, origin)
    material.is_torn = reader.is_torn
    return material


def load_second(material: RunMaterial, opened: OpenedFile, name: str) -> None:
    """Add what the second journal of the run tells, `name` its file name. Raises Unusable."""
    second = load_run(opened, name, SECOND)
    if (second.token, second.plan.directory) != (material.token, material.plan.directory):
        raise Unusable("it belongs to another run than its name says")
    material.closings |= second.closings
    material.calibrations = second.calibrations or material.calibrations
    material.end = second.end or material.end
    material.master_bytes = second.master_bytes
    material.manifest = second.manifest or material.manifest
    material.temporary_names |= second.temporary_names
    material.opening |= second.opening
    material.begun, material.has_ended = second.begun, second.has_ended
    material.problems += second.problems


def load_notes(material: RunMaterial, opened: OpenedFile, origin: Origin) -> int:
    """Add what an earlier recovery of the run has noted; the length of its whole records in bytes."""
    reader = Reader(opened.file, opened.size_bytes)
    for record in reader:
        material.note(record, origin)
    return reader.n_bytes


def _begin(header: Record | None, start: Record | None) -> RunMaterial:
    if header is None or start is None or header.kind != Kind.RUN or start.kind != Kind.START:
        raise Unusable("it does not hold the start of its run")
    try:
        told = _Header.model_validate(json.loads(header.body))
        settings = _settings(told.settings)
        message = decode(start.body, settings.limits)
        if not isinstance(message, StartMessage):
            raise Unusable("its start message is none")
        plan = make_plan(message, settings, 1, told.received_at)
    except (ValueError, TypeError, KeyError, RecursionError, JfwriterError) as error:
        raise Unusable(f"the start of its run is not understood: {_first_line(error)}") from None
    if not plan.writes_files:
        raise Unusable("its run writes no files")
    return RunMaterial(told.token, told.boot_id, settings, plan)


def _settings(sections: dict[str, dict[str, Any]]) -> Settings:
    """The sections that say what a run is; settings that this version does not know are left out."""
    wanted: dict[str, object] = {
        name: dict(sections.get(name, {})) for name in ("files", "limits", "analysis")
    }
    try:
        return parse(wanted, "journal")
    except SettingsError:
        known: dict[str, object] = {}
        for name in wanted:
            fields = type(getattr(Settings(), name)).model_fields
            known[name] = {key: value for key, value in sections.get(name, {}).items() if key in fields}
        return parse(known, "journal")


def _check_facts(facts: FileFacts, plan: RunPlan, settings: Settings) -> None:
    """Raises ValueError for a file that cannot be of this run."""
    per_file, limits = plan.images_per_file, settings.limits
    last = facts.file_index * per_file + facts.n_rows
    if last > limits.max_images + limits.max_unexpected_images or (per_file and facts.n_rows > per_file):
        raise ValueError(f"data file {facts.file_index + 1} of {facts.n_rows} rows is beyond the run")
    if not per_file and facts.file_index:
        raise ValueError(f"data file {facts.file_index + 1} of a run of one file")
    end = 0
    for first, final in facts.rows:
        if not end <= first <= final < facts.n_rows:
            raise ValueError(f"data file {facts.file_index + 1}: rows {first} to {final} of {facts.n_rows}")
        end = final + 1
    if any(shape != plan.shape for shape in (channel.shape for channel in facts.channels)):
        raise ValueError(f"data file {facts.file_index + 1}: images of another shape than the run's")
    facts.formats()
    facts.stored()


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
