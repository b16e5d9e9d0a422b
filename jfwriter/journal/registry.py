"""Where unfinished runs are, for a writer that starts: one small file for each below the root.

`<root>/.jfwriter/<token>` holds the path of the journal of a run, relative to the root. A root holds years of
data, and to walk through all of it for the run that a crash has left takes hours on a network file system.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

DIRECTORY = ".jfwriter"
MAX_BYTES = 4096
MAX_ENTRIES = 10_000
_TOKEN = re.compile(r"[0-9a-f]{16}")


def add(root: str | Path, token: str, path: str) -> None:
    """Enter the run `token`, whose journal is at `path` relative to the root. Raises OSError."""
    with contextlib.suppress(FileExistsError):
        (Path(root) / DIRECTORY).mkdir()
    with _opened(root) as directory:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(token, flags, 0o666, dir_fd=directory)
        try:
            os.write(descriptor, path.encode())
        finally:
            os.close(descriptor)


def remove(root: str | Path, token: str) -> None:
    """Forget a run, and the directory if it was the last one. Never raises."""
    with contextlib.suppress(OSError):
        with _opened(root) as directory:
            os.unlink(token, dir_fd=directory)
        (Path(root) / DIRECTORY).rmdir()


def entries(root: str | Path) -> list[tuple[str, str]]:
    """(token, path) of the unfinished runs, as far as they can be read; nothing of it is trusted."""
    found = []
    with contextlib.suppress(OSError), _opened(root) as directory:
        with os.scandir(directory) as listed:
            names = sorted(entry.name for entry in listed)
        for name in names[:MAX_ENTRIES]:
            path = _read(directory, name) if _TOKEN.fullmatch(name) else None
            if path:
                found.append((name, path))
    return found


def _read(directory: int, name: str) -> str | None:
    try:
        descriptor = os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory
        )
        try:
            return os.read(descriptor, MAX_BYTES).decode()
        finally:
            os.close(descriptor)
    except (OSError, UnicodeDecodeError):
        return None


@contextlib.contextmanager
def _opened(root: str | Path) -> Iterator[int]:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(Path(root) / DIRECTORY, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
