"""Where an open directory stands now. Its descriptor follows it wherever somebody moves it."""

from __future__ import annotations

import os
from typing import TypeAlias

Identity: TypeAlias = tuple[int, int]
"""Device and inode."""

_STEP = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


def identity(descriptor: int) -> Identity:
    """Raises OSError."""
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def lies_below(descriptor: int, root: Identity) -> bool:
    """Whether the way up from the open directory leads past the directory `root`, or begins in it.

    Nothing is asked by name: ".." of a directory is what the file system says. False also where the way up is
    closed, or the directory has been removed.
    """
    try:
        here = os.open(".", _STEP, dir_fd=descriptor)
    except OSError:
        return False
    try:
        child: Identity | None = None
        while (now := identity(here)) != root:
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
