"""The halves of a run that went on in another root directory: found by name, locked, and read together.

Where the other half is, a journal tells only for people: it is looked for beside the one that was found, and
below the other root directory that the recovery was given, never where a file says.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from jfwriter.errors import RunRefused
from jfwriter.hdf5.files_root import FilesRoot
from jfwriter.hdf5.link_walk import open_below
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.journal.run_journal import SECOND as SECOND_INFIX
from jfwriter.journal.run_journal import SUFFIX
from jfwriter.recovery.material import (
    FIRST,
    NOTES_SUFFIX,
    RUN_NAME,
    SECOND,
    SECOND_ALONE,
    NotBegun,
    Origin,
    RunMaterial,
    Unusable,
    load_run,
    load_second,
)
from jfwriter.recovery.opened import CannotLock, OpenedFile, opened, size_of
from jfwriter.recovery.place import Options, RunPlace, ownership
from jfwriter.session.plan import RunPlan


@dataclass(frozen=True, slots=True)
class Raw:
    """What there is of one run; `places`: where it was begun, then where it went on, as far as at hand."""

    material: RunMaterial
    places: tuple[RunPlace, ...]
    lacks: str = ""
    """The half that is not at hand, in words; empty: there is none."""

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Of what is noted beside each of the places."""
        if self.material.begun is None or len(self.places) > 1:
            return (FIRST, SECOND)[: len(self.places)]
        return (SECOND_ALONE,)


def gather(place: RunPlace, options: Options, stack: contextlib.ExitStack, *, elsewhere: bool = False) -> Raw:
    """The run of the journal at `place`; its journals are locked, and all is held open, until `stack` ends.

    `elsewhere`: what is made of a run that did not go on shall stand in the other root directory. Raises
    NotBegun, Unusable, InUse, CannotLock, OSError, and FailRun for a directory that cannot be made there.
    """
    journal = stack.enter_context(opened(place.descriptor, place.name, lock=True, force=options.force))
    if is_second(place.name):
        return _from_second(place, journal, options, stack)
    material = load_run(journal, place.name)
    second = _find(place, name_of_second(place.name), material.plan, stack)
    if second is None or size_of(second.descriptor, second.name) is None:
        lacks = _second_half(material, place)
        if elsewhere and not lacks and place.other is not None:
            second = _make(place.other, name_of_second(place.name), material, stack)
        elif second is None or size_of(second.descriptor, second.name + NOTES_SUFFIX) is None:
            second = None
        return Raw(material, (place,) if second is None else (place, second), lacks if second is None else "")
    try:
        other = stack.enter_context(opened(second.descriptor, second.name, lock=True, force=options.force))
        load_second(material, other, second.name)
    except NotBegun:  # no file was made there yet
        return Raw(material, (place, second))
    except (Unusable, CannotLock, OSError) as error:
        half = _second_half(material, second) or f"the half in {second.absolute!a}"
        return Raw(material, (place,), f"{half}, whose journal cannot be used: {error}")
    return Raw(material, (place, second))


def is_second(name: str) -> bool:
    """Whether a journal of that name is the second one of its run."""
    matched = RUN_NAME.fullmatch(name)
    return matched is not None and matched["second"] is not None


def name_of_second(name: str) -> str:
    """Of the second journal of the run whose first one is called `name`."""
    return f"{name.removesuffix(SUFFIX)}{SECOND_INFIX}{SUFFIX}"


def _name_of_first(name: str) -> str:
    return f"{name.removesuffix(SECOND_INFIX + SUFFIX)}{SUFFIX}"


def _from_second(place: RunPlace, journal: OpenedFile, options: Options, stack: contextlib.ExitStack) -> Raw:
    """Of a run whose first journal was not found on the way."""
    alone = load_run(journal, place.name, SECOND_ALONE)
    begun = alone.begun
    if begun is None:
        raise Unusable("it does not tell where its run was begun")
    first = _find(place, _name_of_first(place.name), alone.plan, stack)
    half = (
        f"the half that was begun in {begun.directory!a} "
        f"({begun.n_images} images in {begun.n_files} files, and what was open)"
    )
    if first is None:
        return Raw(alone, (place,), "" if alone.has_ended else half)
    if size_of(first.descriptor, first.name) is None:
        if alone.has_ended or not begun.has_journal:
            return Raw(load_run(journal, place.name, SECOND), (first, place))
        return Raw(alone, (place,), f"{half}, whose journal is not there")
    try:
        opening = opened(first.descriptor, first.name, lock=True, force=options.force)
        material = load_run(stack.enter_context(opening), first.name)
    except (Unusable, CannotLock, OSError) as error:
        return Raw(alone, (place,), f"{half}, whose journal cannot be used: {error}")
    load_second(material, journal, place.name)
    return Raw(material, (first, place))


def _second_half(material: RunMaterial, place: RunPlace) -> str:
    """In words, if the run of the first journal has one; also where that could not be noted."""
    directory = material.went_on_in if material.is_followed else ""
    told = material.settings.files.second_root_dir
    if told and not directory:
        there = Path(told, *material.plan.directory, name_of_second(place.name))
        directory = f"{there.parent}/" if there.is_file() else ""
    return f"the half that went on in {directory!a}" if directory else ""


def _make(other: Path, name: str, material: RunMaterial, stack: contextlib.ExitStack) -> RunPlace:
    """A directory for what is made of the run below the root directory `other`."""
    plan = material.plan
    with RunDirectory.open(FilesRoot(other), plan, ownership(material.settings)) as directory:
        descriptor = os.dup(directory.descriptor)
    stack.callback(os.close, descriptor)
    return _place(descriptor, name, plan, other)


def _place(descriptor: int, name: str, plan: RunPlan, top: Path) -> RunPlace:
    with os.scandir(descriptor) as entries:
        names = sorted(entry.name for entry in entries)
    return RunPlace(descriptor, "/".join(plan.directory), name, names, top)


def _find(place: RunPlace, name: str, plan: RunPlan, stack: contextlib.ExitStack) -> RunPlace | None:
    """Where the journal `name` should be: beside that at `place`, or in the other root directory, which is
    None if the run has no directory there."""
    if name in place.names:
        # What there is of the files' journals is listed once.
        return RunPlace(place.descriptor, place.shown, name, (), place.top)
    if place.other is None:
        return None
    try:
        descriptor = open_below(place.other, "/".join(plan.directory))
    except (RunRefused, OSError):
        return None
    stack.callback(os.close, descriptor)
    return _place(descriptor, name, plan, place.other)
