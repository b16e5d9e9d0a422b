"""`<prefix>_manifest.json`: what a run became, for programs that do not want to open its files.

Written when everything else is done, also for a run that failed or was cancelled
(`docs/reference/manifest.md`).
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from jfwriter.errors import FailRun, StorageError
from jfwriter.hdf5.faults import storage_error
from jfwriter.hdf5.losses import base_name
from jfwriter.hdf5.publish import PendingFile
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.hdf5.storage import Storage
from jfwriter.journal.interface import Journal
from jfwriter.nexus import times
from jfwriter.session.orders import ClosedFile, Outcome, RunReport
from jfwriter.session.plan import RunPlan
from jfwriter.software import SOFTWARE

_log = logging.getLogger(__name__)

VERSION = 1
MAX_RANGES = 10_000
"""Ranges of missing images that are listed; image_status of the master has them all."""


Place: TypeAlias = Callable[[], AbstractContextManager[RunDirectory]]
"""Opens a directory of the run; raises RunRefused, StorageError."""


def places_of(storage: Storage, plan: RunPlan) -> list[Place]:
    """Where the manifest may stand, the first choice first."""
    roots = [root for root in (storage.first, storage.second) if root is not None]
    return [partial(RunDirectory.reopen, root, plan, storage.ownership) for root in roots]


def with_manifest(
    places: Sequence[Place],
    report: RunReport,
    files: Sequence[ClosedFile],
    master_bytes: int | None,
    journal: Journal | None = None,
    *,
    overwrite: bool,
) -> RunReport:
    """Write the manifest; `report` with what came of it. A run whose manifest is missing is not complete.

    `files` are the published data files, `master_bytes` the size of the master, None if there is none.
    `overwrite`: one that stands there is replaced.
    """
    plan = report.plan
    content = json.dumps(manifest(report, files, master_bytes, time.time()), indent=1).encode() + b"\n"
    problem = _write(places, plan, content, journal, overwrite=overwrite)
    if not problem:
        return replace(report, manifest="/".join((*plan.directory, plan.manifest_name)))
    _log.error("%s: no manifest: %s", plan.prefix, problem)
    outcome = Outcome.INCOMPLETE if report.outcome is Outcome.COMPLETE else report.outcome
    return replace(report, outcome=outcome, reasons=(*report.reasons, f"no manifest: {problem}"))


def _write(
    places: Sequence[Place], plan: RunPlan, content: bytes, journal: Journal | None, *, overwrite: bool
) -> str:
    """In the first of `places` that takes it; returns why none did, empty if one has."""
    problem = ""
    if journal is not None:
        journal.manifest(content)
    for place in places:
        try:
            with place() as directory:
                publish_manifest(directory, plan, content, journal, overwrite=overwrite)
        except FailRun as error:
            problem = problem or str(error)
        else:
            return ""
    return problem


def manifest(
    report: RunReport, files: Sequence[ClosedFile], master_bytes: int | None, written_at_s: float
) -> Mapping[str, object]:
    """Its content, plain JSON."""
    plan, start = report.plan, report.plan.start
    return {
        "format": "jfwriter manifest",
        "version": VERSION,
        "creator": SOFTWARE.release_text,
        "file_prefix": plan.prefix,
        "layout": plan.format.name,
        "run_name": start.run_name or start.series_unique_id,
        "run_number": start.series_id if start.run_number is None else start.run_number,
        "series_id": start.series_id,
        "series_unique_id": start.series_unique_id,
        "socket_number": start.socket_number,
        "started_at": times.from_unix(plan.received_at),
        "written_at": times.from_unix(written_at_s),
        "outcome": str(report.outcome),
        "reasons": list(report.reasons),
        "images_expected": plan.n_images_planned,
        "n_images": report.n_images,
        "images_received": report.n_received,
        "images_written": report.n_written,
        "images_never_came": report.n_never_came,
        "images_unexpected": report.n_unexpected,
        "images_by_status": dict(report.by_status),
        "images_dropped": dict(report.dropped),
        "n_missing": sum(last - first + 1 for first, last in report.missing),
        "missing": [list(pair) for pair in report.missing[:MAX_RANGES]],
        "checksum": "crc32" if plan.checksums else None,
        "files": _files(plan, files, master_bytes),
    }


def _files(plan: RunPlan, files: Sequence[ClosedFile], master_bytes: int | None) -> list[dict[str, object]]:
    """Data files in order, the master last. `first_image` and what follows are of the image rows."""
    listed: list[dict[str, object]] = [
        {
            "name": file.filename if file.filename.startswith("/") else base_name(file),
            "role": "single" if plan.is_integrated else "data",
            "size_bytes": file.size_bytes,
            "first_image": file.file_index * plan.images_per_file,
            "n_images": file.n_rows,
            "images_written": file.n_written,
        }
        for file in sorted(files, key=lambda file: file.file_index)
    ]
    if master_bytes is not None:
        listed.append({"name": plan.master_name, "role": "master", "size_bytes": master_bytes})
    return listed


def publish_manifest(
    directory: RunDirectory,
    plan: RunPlan,
    content: bytes,
    journal: Journal | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Under a temporary name, synced, then renamed. Raises StorageError."""
    pending = PendingFile(directory, plan.manifest_name)
    if journal is not None:
        journal.making(pending.temporary_name)
    try:
        _create(directory.descriptor, pending.temporary_name, content)
    except OSError as error:
        pending.discard()
        failure: StorageError | None = storage_error(error, f"{plan.manifest_name} cannot be written")
    else:
        failure = None
    if failure is not None:
        raise failure
    try:
        pending.publish(overwrite=overwrite, sync=plan.sync)
    except StorageError:
        pending.discard()
        raise


def _create(directory: int, name: str, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(name, flags, 0o666, dir_fd=directory), "wb") as file:  # noqa: PTH123 a descriptor
        file.write(content)
