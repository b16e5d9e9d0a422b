"""Group and mode of the files and directories that the writer makes, where the settings ask for them."""

from __future__ import annotations

import grp
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from jfwriter.errors import StorageUnavailable
from jfwriter.settings import FilesSettings


@dataclass(frozen=True, slots=True)
class Ownership:
    """`group_id`, `mode`: None leaves what the system gives (umask; the group of a setgid directory)."""

    group_id: int | None = None
    mode: int | None = None

    @classmethod
    def of(cls, settings: FilesSettings) -> Ownership:
        """Raises StorageUnavailable if this process may not give files to the group."""
        return cls(_group_id(settings.group), settings.file_mode)

    def of_file(self, descriptor: int) -> None:
        """Before the file gets its final name. Raises OSError."""
        if self.group_id is not None:
            os.fchown(descriptor, -1, self.group_id)
        if self.mode is not None:
            os.fchmod(descriptor, self.mode)

    def of_directory(self, descriptor: int) -> None:
        """Of a new directory, given as O_PATH: who may read files may enter it. Raises OSError.

        A setgid bit that it got from the directory above stays.
        """
        path = Path(f"/proc/self/fd/{descriptor}")
        inherited = path.stat().st_mode & stat.S_ISGID
        if self.group_id is not None:
            os.chown(path, -1, self.group_id)
        if self.mode is not None:
            path.chmod(self.mode | (self.mode & 0o444) >> 2 | 0o300 | inherited)


AS_THE_SYSTEM_DOES = Ownership()


def _group_id(group: str | int | None) -> int | None:
    if group is None:
        return None
    try:
        group_id = grp.getgrnam(group).gr_gid if isinstance(group, str) else group
    except KeyError:
        raise StorageUnavailable(f"files.group: there is no group {group!r} on this machine") from None
    if os.geteuid() != 0 and group_id not in {os.getegid(), *os.getgroups()}:
        raise StorageUnavailable(
            f"files.group: the writer's user is not in group {group!r} and may not give files to it; "
            "add it (SupplementaryGroups= of the unit)"
        )
    return group_id
