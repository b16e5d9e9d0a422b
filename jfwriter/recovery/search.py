"""Finds what crashes have left below a directory, never through a symbolic link."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from jfwriter.errors import RunRefused
from jfwriter.hdf5.link_walk import Walk
from jfwriter.journal import registry
from jfwriter.journal.run_journal import SUFFIX
from jfwriter.recovery.images import JOURNAL_SUFFIX, read_header
from jfwriter.recovery.material import NOTES_SUFFIX, RUN_NAME, Unusable
from jfwriter.recovery.opened import InUse, is_held, opened, size_of
from jfwriter.recovery.place import Options, RunPlace
from jfwriter.recovery.result import RunResult, State
from jfwriter.recovery.run import recover_run


def recover_below(top: Path, options: Options) -> Iterator[RunResult]:
    """Recover every run below `top`, one after another; the directories in the order of their names.

    What cannot be opened is told as a failed run. Raises OSError if `top` cannot be read.
    """
    unreadable: list[OSError] = []
    os.scandir(top).close()
    for directory, below, names, descriptor in os.fwalk(top, onerror=unreadable.append):
        below.sort()
        shown = os.path.relpath(directory, top)
        shown = "" if shown == "." else shown
        yield from _in_directory(top, shown, descriptor, sorted(names), options)
        while unreadable:
            error = unreadable.pop()
            yield RunResult(f"{error.filename or shown}", State.FAILED, reason=error.strerror or str(error))


def recover_known(root: Path, options: Options) -> Iterator[RunResult]:
    """Recover the runs that the writers of this root have left unfinished, without a search."""
    known: dict[str, list[tuple[str, str]]] = {}
    for token, path in registry.entries(root):
        directory, _, name = path.rpartition("/")
        known.setdefault(directory, []).append((token, name))
    for directory, runs in sorted(known.items()):
        try:
            descriptor = open_below(root, directory)
        except (RunRefused, OSError) as error:
            yield RunResult(_printable(directory), State.FAILED, reason=_printable(str(error)))
            continue
        try:
            with os.scandir(descriptor) as entries:
                names = sorted(entry.name for entry in entries)
            yield from _in_directory(root, directory, descriptor, names, options)
        finally:
            os.close(descriptor)
        for token, name in runs:
            if name not in names and not options.dry_run:
                registry.remove(root, token)


def waiting(root: Path) -> list[str]:
    """Paths, relative to `root`, of the journals of unfinished runs that no living writer holds."""
    found = []
    for _, path in registry.entries(root):
        directory, _, name = path.rpartition("/")
        try:
            descriptor = open_below(root, directory)
        except (RunRefused, OSError):
            continue
        try:
            is_there = size_of(descriptor, name) is not None
            if (
                is_there
                and size_of(descriptor, name + NOTES_SUFFIX) is None
                and not is_held(descriptor, name)
            ):
                found.append(path)
        finally:
            os.close(descriptor)
    return found


def open_below(root: Path, path: str) -> int:
    """Descriptor of the directory `path` below `root`. Raises RunRefused, OSError."""
    parts = tuple(part for part in path.split("/") if part)
    if {".", ".."} & {*parts}:
        raise RunRefused("path", f"directory {path!a} is no path below the root")
    with contextlib.closing(Walk(root)) as walk:
        walk.descend(parts)
        if walk.missing:
            raise FileNotFoundError(errno.ENOENT, f"directory {path!a} is gone")
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=walk.descriptor)


def _in_directory(
    top: Path, shown: str, descriptor: int, names: list[str], options: Options
) -> Iterator[RunResult]:
    tokens = set()
    for name in names:
        if not name.endswith(SUFFIX):
            continue
        result = recover_run(RunPlace(descriptor, shown, name, names), options)
        matched = RUN_NAME.fullmatch(name)
        if matched is not None:
            tokens.add(matched["token"])
            settled = result.state not in {State.IN_USE, State.FAILED, State.RECOVERABLE}
            if settled and not options.dry_run:
                registry.remove(top, matched["token"])
        yield replace(result, problems=tuple(_printable(text) for text in result.problems))
    for name in names:
        if name.endswith(JOURNAL_SUFFIX):
            yield from _orphan(descriptor, shown, name, tokens)


def _orphan(descriptor: int, shown: str, name: str, tokens: set[str]) -> Iterator[RunResult]:
    """The journal of a data file whose run has none here."""
    path = "/".join(part for part in (shown, name) if part)
    try:
        with opened(descriptor, name, lock=True, force=True) as journal:
            header = read_header(journal, name)
    except FileNotFoundError:
        return
    except InUse:
        return
    except (OSError, Unusable) as error:
        yield RunResult(path, State.FAILED, reason=f"its journal cannot be used: {error}")
        return
    if header is not None and header.token not in tokens:
        text = "the journal of its run is not beside it: without the start message no file can be made"
        yield RunResult(path, State.FAILED, reason=text)


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)
