"""The directory that is measured: whether it can be written to, its room, its file system."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from jfwriter.errors import StorageUnavailable

_IN_MEMORY = frozenset({"tmpfs", "ramfs"})


@dataclass(frozen=True, slots=True)
class Place:
    """`room_bytes`: what a measurement may use there, less than all that is free."""

    directory: Path
    file_system: str
    room_bytes: int

    @property
    def in_memory(self) -> bool:
        return self.file_system in _IN_MEMORY


def look_at(directory: Path, needed_bytes: int) -> Place:
    """Raises StorageUnavailable if nothing can be written there, or not `needed_bytes`."""
    try:
        directory = directory.resolve(strict=True)
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(b"\0")
        free_bytes = shutil.disk_usage(directory).free
    except OSError as error:
        raise StorageUnavailable(
            f"{directory}: cannot be written to: {error.strerror or error}; name another with --directory"
        ) from error
    place = Place(directory, _file_system(directory), _room(free_bytes, directory))
    if place.room_bytes < needed_bytes:
        raise StorageUnavailable(
            f"{directory}: {place.room_bytes / 1e9:.1f} GB can be used there (half of what is free), "
            f"{needed_bytes / 1e9:.1f} GB are needed; make room, name another --directory or fewer --images"
        )
    return place


def _room(free_bytes: int, directory: Path) -> int:
    """Half of what is free: others write there too, and in memory it is memory that programs need."""
    if _file_system(directory) in _IN_MEMORY:
        free_bytes = min(free_bytes, os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return free_bytes // 2


def _file_system(directory: Path) -> str:
    """Type of the file system as the kernel calls it; "unknown" where it does not say."""
    best, name = -1, "unknown"
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return name
    for line in lines:
        _, mount, kind, *_ = line.split(" ")
        point = mount.replace("\\040", " ")
        inside = directory == Path(point) or directory.is_relative_to(point)
        if inside and len(point) >= best:
            best, name = len(point), kind
    return name
