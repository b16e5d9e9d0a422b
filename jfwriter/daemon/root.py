"""The root directory: usable at the start, and still the same one later."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path

from jfwriter.errors import StorageUnavailable
from jfwriter.hdf5.files_root import FilesRoot

ANSWER_S = 1.0
"""A file system that takes longer to say whether a directory is there is in trouble."""


_NO_SUCH_FILES = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT})
"""The file system knows no files without a name (NFS)."""


class Root:
    """Checked once when it is made, which raises StorageUnavailable, and then by `problem`."""

    def __init__(self, directory: str, guard: str = "") -> None:
        """`guard`: name of a file that must stand in it, empty: none."""
        self.path = Path(directory).absolute()
        problem = self._problem_now()
        if not problem:
            self.files = FilesRoot(self.path, guard)
            problem = self.files.problem()
        if problem:
            raise StorageUnavailable(f"root directory {self.path}: {problem}")
        self._probe: asyncio.Future[str] | None = None

    def public(self, text: str) -> str:
        """`text` without the absolute path of the root: people see names relative to it."""
        return text.replace(f"{self.path}/", "").replace(str(self.path), "the root directory")

    async def problem(self) -> str:
        """Why nothing can be written below the root; empty if it can.

        Asked on a thread of its own, because a network file system may not answer; there is never more
        than one such thread.
        """
        loop = asyncio.get_running_loop()
        if self._probe is None or self._probe.done():
            self._probe = loop.create_future()
            threading.Thread(target=self._ask, args=(loop, self._probe), name="root", daemon=True).start()
        try:
            return await asyncio.wait_for(asyncio.shield(self._probe), ANSWER_S)
        except TimeoutError:
            return f"the file system has not answered for {ANSWER_S:.0f} s"

    def _ask(self, loop: asyncio.AbstractEventLoop, probe: asyncio.Future[str]) -> None:
        answer = self._problem_now() or self.files.problem()
        try:
            loop.call_soon_threadsafe(_answer, probe, answer)
        except RuntimeError:
            return  # the loop is closed, nobody asks any more

    def _problem_now(self) -> str:
        try:
            if not self.path.is_dir():
                return "is not there, or is no directory; make it, or give another one with --root_dir"
            if not os.access(self.path, os.W_OK | os.X_OK):
                return "cannot be written to; check its owner, its mode and whether it is mounted read-only"
            if os.statvfs(self.path).f_bavail == 0:
                return "no space left"
            return self._problem_of_a_file()
        except OSError as error:
            return error.strerror or str(error)

    def _problem_of_a_file(self) -> str:
        """Why no file can be made, by making one without a name: a file system that has found itself damaged
        still says that it may be written to."""
        try:
            os.close(os.open(self.path, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        except OSError as error:
            if error.errno not in _NO_SUCH_FILES:
                return error.strerror or str(error)
        return ""


def _answer(probe: asyncio.Future[str], problem: str) -> None:
    if not probe.done():
        probe.set_result(problem)
