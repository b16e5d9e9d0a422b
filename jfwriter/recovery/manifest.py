"""The manifest of a run that is recovered: whether one stands there, and whose it is."""

from __future__ import annotations

import enum
import json

from jfwriter.hdf5.manifest import publish_manifest
from jfwriter.nexus import times
from jfwriter.recovery.opened import opened
from jfwriter.recovery.place import RunPlace
from jfwriter.recovery.rebuild import run_directory
from jfwriter.session.plan import RunPlan
from jfwriter.settings import Settings

MAX_BYTES = 1 << 20


class Standing(enum.Enum):
    """What stands under the name of the manifest."""

    NOTHING = enum.auto()
    OWN = enum.auto()
    """One that was written for this very run, e.g. when it failed: a recovery writes it again."""
    FOREIGN = enum.auto()


def standing(directory: int, plan: RunPlan) -> Standing:
    """In the open `directory` of the run. Raises nothing."""
    try:
        with opened(directory, plan.manifest_name) as file:
            told = json.loads(file.file.read(MAX_BYTES))
    except FileNotFoundError:
        return Standing.NOTHING
    except (OSError, ValueError, RecursionError):
        return Standing.FOREIGN
    start = plan.start
    wanted = {
        "format": "jfwriter manifest",
        "file_prefix": plan.prefix,
        "series_id": start.series_id,
        "series_unique_id": start.series_unique_id,
        "socket_number": start.socket_number,
        "started_at": times.from_unix(plan.received_at),
    }
    is_own = isinstance(told, dict) and all(told.get(key, ...) == value for key, value in wanted.items())
    return Standing.OWN if is_own else Standing.FOREIGN


def write_noted(where: RunPlace, plan: RunPlan, settings: Settings, content: bytes) -> None:
    """Publish the manifest that the writer had noted and not written. Raises StorageError."""
    place = run_directory(where, settings)
    try:
        publish_manifest(place, plan, content)
    finally:
        place.close()
