"""The processes besides the writer: the sender that serves all contestants, and the bare loop.

Each is told what to do through a pipe and ends with its parent.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from jfwriter.bench.with_parent import end_with_parent
from jfwriter.errors import EndpointError

Role = Callable[..., None]
_CONTEXT = multiprocessing.get_context("spawn")


class Peer:
    """A process with a pipe: `tell` it, wait for its `answer`. Raises EndpointError if it dies."""

    def __init__(self, role: Role, *arguments: object) -> None:
        self._name = role.__name__
        self._pipe, other = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_begin, args=(role, other, *arguments), daemon=True)
        # Inherited: Ctrl-C in the terminal is for the parent alone, which then ends its children.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self._process.start()
        finally:
            signal.signal(signal.SIGINT, handler)
        other.close()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def tell(self, word: object) -> None:
        self._pipe.send(word)

    def answer(self, deadline_s: float = 600.0) -> object:
        if not self._pipe.poll(deadline_s):
            raise EndpointError(f"{self._name} gave no answer within {deadline_s:g} s")
        try:
            return self._pipe.recv()
        except EOFError:
            self._process.join(1)
            raise EndpointError(f"{self._name} died, exit status {self._process.exitcode}") from None

    def ask(self, word: object) -> object:
        self.tell(word)
        return self.answer()

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


@contextmanager
def running(role: Role, *arguments: object) -> Iterator[Peer]:
    peer = Peer(role, *arguments)
    try:
        yield peer
    finally:
        peer.stop()


def _begin(role: Role, pipe: Connection, *arguments: object) -> None:
    """In the new process: die with the parent, whatever ends it."""
    end_with_parent(signal.SIGKILL)
    role(pipe, *arguments)
