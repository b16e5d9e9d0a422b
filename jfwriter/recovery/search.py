"""Finds what crashes have left below a directory, never through a symbolic link."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from jfwriter.errors import RunRefused
from jfwriter.hdf5.link_walk import open_below
from jfwriter.journal import registry
from jfwriter.journal.run_journal import SUFFIX
from jfwriter.recovery.images import JOURNAL_SUFFIX, read_header
from jfwriter.recovery.material import NOTES_SUFFIX, RUN_NAME, Unusable
from jfwriter.recovery.opened import InUse, is_held, opened, size_of
from jfwriter.recovery.place import Options, RunPlace
from jfwriter.recovery.result import RunResult, State
from jfwriter.recovery.run import recover_run


def recover_below(top: Path, options: Options, second: Path | None = None) -> Iterator[RunResult]:
    """Recover every run below `top`, then below `second`, one after another; the directories in the order of
    their names. A run that was begun below one of them and went on below the other is one.

    What cannot be opened is told as a failed run. Raises OSError if `top` cannot be read and there is no
    `second`.
    """
    for search in _searches(top, options, second):
        yield from search.all()


def recover_known(root: Path, options: Options, second: Path | None = None) -> Iterator[RunResult]:
    """Recover the runs that the writers of these roots have left unfinished, without a search."""
    for search in _searches(root, options, second):
        yield from search.known()


def waiting(roots: Sequence[Path]) -> list[str]:
    """Paths, relative to their root, of the journals of unfinished runs that no living writer holds; of a run
    that went on in another root one."""
    found: dict[str, str] = {}
    settled = set()
    for root in roots:
        for token, path in registry.entries(root):
            state = _look(root, path)
            if state is not None:
                found.setdefault(token, path)
            if state is False:
                settled.add(token)
    return [path for token, path in found.items() if token not in settled]


def _look(root: Path, path: str) -> bool | None:
    """Whether the run of a journal waits for a recovery; None if there is no such journal."""
    directory, _, name = path.rpartition("/")
    try:
        descriptor = open_below(root, directory)
    except (RunRefused, OSError):
        return None
    try:
        if size_of(descriptor, name) is None:
            return None
        return size_of(descriptor, name + NOTES_SUFFIX) is None and not is_held(descriptor, name)
    finally:
        os.close(descriptor)


def _searches(top: Path, options: Options, second: Path | None) -> Iterator[_Search]:
    seen: set[str] = set()
    yield _Search(top, second, options, seen)
    if second is not None:
        yield _Search(second, top, options, seen)


class _Search:
    """Below one of the root directories; `seen` are the tokens of the runs that were found in both."""

    def __init__(self, top: Path, other: Path | None, options: Options, seen: set[str]) -> None:
        self._top = top
        self._other = other
        self._options = options
        self._seen = seen

    def all(self) -> Iterator[RunResult]:
        unreadable: list[OSError] = []
        try:
            os.scandir(self._top).close()
        except OSError as failure:
            if self._other is None:
                raise
            reason = failure.strerror or str(failure)
            yield RunResult(_printable(str(self._top)), State.FAILED, reason=reason)
            return
        for directory, below, names, descriptor in os.fwalk(self._top, onerror=unreadable.append):
            below.sort()
            shown = os.path.relpath(directory, self._top)
            shown = "" if shown == "." else shown
            yield from self._in_directory(shown, descriptor, sorted(names))
            while unreadable:
                error = unreadable.pop()
                reason = error.strerror or str(error)
                yield RunResult(f"{error.filename or shown}", State.FAILED, reason=reason)

    def known(self) -> Iterator[RunResult]:
        known: dict[str, list[tuple[str, str]]] = {}
        for token, path in registry.entries(self._top):
            directory, _, name = path.rpartition("/")
            known.setdefault(directory, []).append((token, name))
        for directory, runs in sorted(known.items()):
            try:
                descriptor = open_below(self._top, directory)
            except (RunRefused, OSError) as error:
                yield RunResult(_printable(directory), State.FAILED, reason=_printable(str(error)))
                continue
            try:
                with os.scandir(descriptor) as entries:
                    names = sorted(entry.name for entry in entries)
                yield from self._in_directory(directory, descriptor, names)
            finally:
                os.close(descriptor)
            for token, name in runs:
                if name not in names and not self._options.dry_run:
                    registry.remove(self._top, token)

    def _in_directory(self, shown: str, descriptor: int, names: list[str]) -> Iterator[RunResult]:
        tokens = set()
        for name in names:
            if not name.endswith(SUFFIX):
                continue
            matched = RUN_NAME.fullmatch(name)
            if matched is not None:
                tokens.add(matched["token"])
                if matched["token"] in self._seen:
                    continue
            place = RunPlace(descriptor, shown, name, names, self._top, self._other)
            result = recover_run(place, self._options)
            if matched is not None:
                if result.file_prefix or result.state is State.IN_USE:  # else its journal could not be read
                    self._seen.add(matched["token"])
                self._settle(matched["token"], result)
            yield replace(result, problems=tuple(_printable(text) for text in result.problems))
        for name in names:
            if name.endswith(JOURNAL_SUFFIX):
                yield from _orphan(descriptor, shown, name, tokens)

    def _settle(self, token: str, result: RunResult) -> None:
        """Nobody need look for the run any more, in either root."""
        is_settled = result.state not in {State.IN_USE, State.FAILED, State.RECOVERABLE}
        if not is_settled or result.lacks or self._options.dry_run:
            return
        for root in filter(None, (self._top, self._other)):
            registry.remove(root, token)


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
