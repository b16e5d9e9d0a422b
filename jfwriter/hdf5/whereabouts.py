"""Where the open directory of a run stands now: its descriptor follows it wherever somebody moves it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TypeAlias

from jfwriter.errors import RunRefused, StorageError
from jfwriter.hdf5.link_walk import Walk

Node: TypeAlias = tuple[int, int]
"""Device and inode of a directory."""

_STEP = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class Whereabouts:
    """Of the directory `parts` below `root`, which was walked to just now. Writer thread only."""

    def __init__(self, root: Path, parts: tuple[str, ...], walk: Walk) -> None:
        """Raises OSError."""
        self._root = root
        self._parts = parts
        self._inside = node(walk.root)

    def check_inside(self, descriptor: int) -> None:
        """Raises StorageError (reason "path") if somebody has moved the open directory out of the root."""
        if not lies_below(descriptor, self._inside):
            shown = "/".join(self._parts) or "(root)"
            raise StorageError("path", f"directory {shown} was moved out of the root directory")

    def has_moved(self, descriptor: int) -> bool:
        """Whether the way to the open directory, as people know it, leads elsewhere by now, or nowhere."""
        try:
            with contextlib.closing(Walk(self._root)) as walk:
                walk.descend(self._parts)
                return bool(walk.missing) or node(walk.descriptor) != node(descriptor)
        except (OSError, RunRefused):
            return True


def node(descriptor: int) -> Node:
    """Raises OSError."""
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def lies_below(descriptor: int, root: Node) -> bool:
    """Whether the way up from the open directory leads past the directory `root`, or begins in it.

    Nothing is asked by name: ".." of a directory is what the file system says. False also where the way up is
    closed, or the directory has been removed.
    """
    try:
        here = os.open(".", _STEP, dir_fd=descriptor)
    except OSError:
        return False
    try:
        child: Node | None = None
        while (now := node(here)) != root:
            if now == child:  # the top is its own parent
                return False
            child = now
            parent = os.open("..", _STEP, dir_fd=here)
            os.close(here)
            here = parent
    except OSError:
        return False
    finally:
        os.close(here)
    return True
