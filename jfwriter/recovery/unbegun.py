"""The journal of a run that was being made when its writer died: no start message, and so no image."""

from __future__ import annotations

import contextlib
import os

from jfwriter.recovery.images import JOURNAL_SUFFIX, read_header
from jfwriter.recovery.material import RUN_NAME, Unusable
from jfwriter.recovery.names import is_of_run
from jfwriter.recovery.opened import opened
from jfwriter.recovery.place import Options, RunPlace
from jfwriter.recovery.result import RunResult, State

_TEMPORARY = ".tmp"


def without_start(place: RunPlace, options: Options) -> RunResult:
    """What becomes of a run of which not even the start message was noted; the lock of its journal is held.

    The start message is in the journal before the first file is made. So the run is empty, unless files
    stand there that may be of it: then the journal has lost what it held, which is told. Raises OSError.
    """
    found = _perhaps_of_the_run(place)
    if found:
        text = f"it does not hold the start of its run, and {found} may be of that run: see what it holds"
        return RunResult(place.path, State.FAILED, reason=f"its journal cannot be used: {text}")
    if options.remove and not options.dry_run:
        with contextlib.suppress(OSError):
            os.unlink(place.name, dir_fd=place.descriptor)
        return RunResult(place.path, State.EMPTY, removed=True)
    return RunResult(place.path, State.EMPTY, raw_material=(place.name,))


def _perhaps_of_the_run(place: RunPlace) -> str:
    """A file that nobody can tell not to be of the run; empty if there is none."""
    matched = RUN_NAME.fullmatch(place.name)
    if matched is None:
        return place.name
    of_others = set()
    for name in place.names:
        if not (name.startswith(f"{matched['basename']}_") and name.endswith(JOURNAL_SUFFIX)):
            continue
        token = _token(place.descriptor, name)
        if token is None or token == matched["token"]:
            return name
        of_others.add(name.removesuffix(JOURNAL_SUFFIX) + _TEMPORARY)
    for name in place.names:
        if name not in of_others and is_of_run(matched["basename"], name):
            return name
    return ""


def _token(directory: int, name: str) -> str | None:
    """Of the run that the journal of a data file belongs to; None if it does not tell."""
    try:
        with opened(directory, name) as journal:
            header = read_header(journal, name)
    except (OSError, Unusable):
        return None
    return None if header is None else header.token
