"""Small real file systems, where the tests may mount them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def tmpfs(place: Path, options: str) -> Iterator[Path]:
    """A tmpfs at `place`, which is made; skips where nothing may be mounted. Gone at the end."""
    place.mkdir(exist_ok=True)
    mounted = run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place))
    if mounted.returncode:
        pytest.skip(f"nothing may be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        run("umount", "-l", str(place))


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def remount(place: Path, options: str) -> None:
    done = run("mount", "-o", f"remount,{options}", str(place))
    assert done.returncode == 0, done.stderr


def unmount(place: Path) -> None:
    """As `umount -l`: what is open stays usable, the path leads to the empty mount point."""
    done = run("umount", "-l", str(place))
    assert done.returncode == 0, done.stderr
