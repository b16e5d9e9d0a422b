"""Where compiled kernels are kept: a directory for each state of the source they come from.

Numba looks at the file of a kernel only. A helper or a number of another file is compiled into it as well, so
that after an upgrade the kernels of the version before could go on running. Here the name of the directory
tells the source of the whole room (folder) that the kernel stands in.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba

config: Any = numba.config
_KEPT = 3
"""States of a room whose kernels are kept: one may go back to the version before."""

_SHARED = Path(__file__).with_name("jit.py")
_lock = threading.RLock()


def directory_for(function: Callable[..., object]) -> str | None:
    """A directory that exists and can be written; None if there is none."""
    room = Path(inspect.getfile(function)).resolve().parent
    return _directory_of(room, config.CACHE_DIR)


@contextmanager
def cached_in(directory: str) -> Iterator[None]:
    """Numba caches there what is compiled within. One thread at a time."""
    with _lock:
        before, config.CACHE_DIR = config.CACHE_DIR, directory
        try:
            yield
        finally:
            config.CACHE_DIR = before


@functools.cache
def _directory_of(room: Path, wanted: str) -> str | None:
    try:
        name = f"jfwriter-{room.name}-{_digest(room)}"
    except OSError:
        return None
    for parent in _parents(room, wanted):
        directory = parent / name
        try:
            if not directory.exists():
                directory.mkdir(parents=True, exist_ok=True)
                _remove_old(directory)
            tempfile.TemporaryFile(dir=directory).close()
        except OSError:
            continue
        return str(directory)
    return None


def _parents(room: Path, wanted: str) -> Iterator[Path]:
    """$NUMBA_CACHE_DIR, beside the source, in the user's cache."""
    if wanted:
        yield Path(wanted)
    yield room / "__pycache__"
    cache = os.environ.get("XDG_CACHE_HOME")
    try:
        yield (Path(cache) if cache else Path.home() / ".cache") / "jfwriter"
    except RuntimeError:  # no home
        return


def _digest(room: Path) -> str:
    digest = hashlib.sha256()
    for file in (*sorted(room.glob("*.py")), _SHARED):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _remove_old(directory: Path) -> None:
    pattern = directory.name[:-16] + "?" * 16
    others = [other for other in directory.parent.glob(pattern) if other != directory]
    for other in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT - 1 :]:
        shutil.rmtree(other, ignore_errors=True)
