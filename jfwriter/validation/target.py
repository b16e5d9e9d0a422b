"""From what a person names (a master, a data file, a prefix, a directory) to the runs that are meant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from jfwriter.errors import UsageError

MASTER_END = "_master.h5"
MANIFEST_END = "_manifest.json"
_DATA_FILE = re.compile(r"(?P<prefix>.+)_data_(?P<number>\d{6,9})\.h5")
MAX_RUNS = 10_000


@dataclass(frozen=True, slots=True)
class Target:
    """A run in `folder`. `master` may not exist; `data_files` are those of its prefix that are there."""

    folder: Path
    prefix: str
    data_files: tuple[str, ...] = ()
    alone: str | None = None
    """The one file that is looked at, whatever else there is."""

    @property
    def master(self) -> Path:
        return self.folder / f"{self.prefix}{MASTER_END}"

    @property
    def name(self) -> str:
        return str(self.folder / (self.alone or self.prefix))


def file_number(name: str) -> int | None:
    """Number in the name of a data file, counted from 1."""
    match = _DATA_FILE.fullmatch(name)
    return None if match is None else int(match["number"])


def find_runs(path: Path) -> list[Target]:
    """The runs that `path` means. Raises UsageError if there is none."""
    if path.is_dir():
        return _of_directory(path)
    match = _DATA_FILE.fullmatch(path.name)
    if path.name.endswith(MASTER_END):
        return [_of_prefix(path.parent, path.name.removesuffix(MASTER_END))]
    if path.is_file():
        prefix = match["prefix"] if match else path.stem
        return [Target(path.parent, prefix, (path.name,), alone=path.name)]
    if match is not None:
        raise UsageError(f"{path}: no such file")
    target = _of_prefix(path.parent, path.name)
    if not target.master.exists() and not target.data_files:
        raise UsageError(f"{path}: no file, no directory, and no run of this prefix")
    return [target]


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise UsageError(f"{folder}: cannot be looked into: {error.strerror}") from error


def _of_prefix(folder: Path, prefix: str) -> Target:
    names = _names(folder)
    return Target(folder, prefix, _data_files(names, prefix))


def _data_files(names: list[str], prefix: str) -> tuple[str, ...]:
    own = [name for name in names if (m := _DATA_FILE.fullmatch(name)) and m["prefix"] == prefix]
    return tuple(sorted(own, key=lambda name: file_number(name) or 0))


def _of_directory(folder: Path) -> list[Target]:
    names = _names(folder)
    prefixes = {name.removesuffix(MASTER_END) for name in names if name.endswith(MASTER_END)}
    prefixes |= {match["prefix"] for name in names if (match := _DATA_FILE.fullmatch(name))}
    prefixes |= {name.removesuffix(MANIFEST_END) for name in names if name.endswith(MANIFEST_END)}
    if not prefixes:
        raise UsageError(f"{folder}: no master and no data file of a run in this directory")
    if len(prefixes) > MAX_RUNS:
        raise UsageError(f"{folder}: {len(prefixes)} runs; at most {MAX_RUNS} are looked at in one go")
    return [Target(folder, prefix, _data_files(names, prefix)) for prefix in sorted(prefixes)]
