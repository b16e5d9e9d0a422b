"""What a recovery is asked to do, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jfwriter.errors import StorageUnavailable
from jfwriter.hdf5.ownership import AS_THE_SYSTEM_DOES, Ownership
from jfwriter.settings import Settings


@dataclass(frozen=True, slots=True)
class Options:
    """`remove`: take the raw material away where all of it is recovered. `force`: also where the file system
    knows no locks. `overwrite`: replace files of the run's names, if its start message said so. `half`: also
    a run that went on in another root directory, with what is found of it in one of them."""

    dry_run: bool = False
    half: bool = False
    remove: bool = False
    force: bool = False
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class RunPlace:
    """The journal `name` of a run in the open directory `descriptor`, called `shown` relative to the searched
    one, `top`; `names` are all files there. `other`: the root directory where another half of it may be."""

    descriptor: int
    shown: str
    name: str
    names: Sequence[str]
    top: Path
    other: Path | None = None

    @property
    def absolute(self) -> str:
        """The directory's path with a slash at its end."""
        top = str(self.top.absolute()).rstrip("/")
        return f"{top}/{self.shown}/" if self.shown else f"{top}/"

    @property
    def path(self) -> str:
        return "/".join(part for part in (self.shown, self.name) if part)


def ownership(settings: Settings) -> Ownership:
    """Group and mode of what is made."""
    try:
        return Ownership.of(settings.files)
    except StorageUnavailable:  # not this user's to give
        return AS_THE_SYSTEM_DOES
