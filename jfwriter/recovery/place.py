"""What a recovery is asked to do, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """`remove`: take the raw material away where all of it is recovered. `force`: also where the file system
    knows no locks. `overwrite`: replace files of the run's names, if its start message said so."""

    dry_run: bool = False
    remove: bool = False
    force: bool = False
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class RunPlace:
    """The journal `name` of a run in the open directory `descriptor`, called `shown` relative to the searched
    one; `names` are all files there."""

    descriptor: int
    shown: str
    name: str
    names: Sequence[str]

    @property
    def path(self) -> str:
        return "/".join(part for part in (self.shown, self.name) if part)
