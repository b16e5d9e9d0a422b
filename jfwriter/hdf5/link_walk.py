"""Goes down from the root directory step by step, through links that stay inside it and no others.

The kernel never follows a link here: a link is read and its target is walked like the rest, from the open
directory that holds it. Whoever exchanges a directory for a link between two steps gains nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import deque
from pathlib import Path

from jfwriter.errors import RunRefused

_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MAX_LINKS = 40
"""As many as the kernel follows in one path."""


def open_step(parent: int, part: str) -> int:
    """Descriptor of the directory `part` of the open directory `parent`; a link raises NotADirectoryError."""
    return os.open(part, _STEP, dir_fd=parent)


class Walk:
    """Open directories from the root to where the walk has come; `close` lets go of all of them."""

    def __init__(self, root: str | Path) -> None:
        """Raises RunRefused if the root itself cannot be opened. It may be a link: the operator chose it."""
        root = Path(root)
        self._names = {str(root.absolute()).rstrip("/"), os.path.realpath(root).rstrip("/")}
        self._missing: list[str] = []
        try:
            self._open = [os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)]
        except OSError as error:
            text = f"the root directory cannot be opened: {os.strerror(error.errno or 0)}"
            raise RunRefused("not_found", text) from None

    def close(self) -> None:
        while self._open:
            os.close(self._open.pop())

    @property
    def descriptor(self) -> int:
        """The deepest directory so far (O_PATH)."""
        return self._open[-1]

    @property
    def root(self) -> int:
        """The root directory (O_PATH)."""
        return self._open[0]

    @property
    def missing(self) -> tuple[str, ...]:
        """The last parts of the walk, which do not exist."""
        return tuple(self._missing)

    def enter(self, descriptor: int) -> None:
        """Go on in a directory that was made meanwhile."""
        self._open.append(descriptor)

    def descend(self, parts: tuple[str, ...]) -> None:
        """Walk `parts` as far as they exist; the others are `missing`.

        Raises RunRefused (reason "path") at a part that is no directory or a link that leads out of the
        root, to nowhere or in circles; OSError where the system refuses.
        """
        todo = deque(parts)
        n_own = len(parts)
        n_links = 0
        while todo:
            part = todo.popleft()
            of_link = len(todo) >= n_own
            n_own = min(n_own, len(todo))
            if part in {"", "."}:
                continue
            if part == "..":
                self._go_up()
                continue
            try:
                self._open.append(open_step(self.descriptor, part))
            except FileNotFoundError:
                if of_link:
                    raise _refused(part, "a symbolic link leads to nowhere") from None
                self._missing = [part, *todo]
                return
            except OSError as error:
                if error.errno not in {errno.ENOTDIR, errno.ELOOP}:
                    raise
                n_links += 1
                if n_links > MAX_LINKS:
                    raise _refused(part, "too many symbolic links") from None
                todo.extendleft(reversed(self._target(part)))

    def _target(self, part: str) -> list[str]:
        """The steps that a link stands for; an absolute one inside the root starts there anew."""
        try:
            target = os.readlink(part, dir_fd=self.descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            raise _refused(part, "is not a directory") from None
        if not target.startswith("/"):
            return target.split("/")
        for name in self._names:
            if target == name or target.startswith(f"{name}/"):
                while len(self._open) > 1:
                    os.close(self._open.pop())
                return target[len(name) :].split("/")
        raise _refused(part, "is a symbolic link that leads out of the root directory")

    def _go_up(self) -> None:
        if len(self._open) == 1:
            raise _refused("..", "a symbolic link leads out of the root directory")
        os.close(self._open.pop())


def _refused(part: str, problem: str) -> RunRefused:
    return RunRefused("path", f"directory {part}: {problem}")


def open_below(root: Path, path: str) -> int:
    """Descriptor of the directory `path` below `root`. Raises RunRefused, OSError."""
    parts = tuple(part for part in path.split("/") if part)
    if {".", ".."} & {*parts}:
        raise RunRefused("path", f"directory {path!a} is no path below the root")
    with contextlib.closing(Walk(root)) as walk:
        walk.descend(parts)
        if walk.missing:
            raise FileNotFoundError(errno.ENOENT, f"directory {path!a} is gone")
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=walk.descriptor)
