"""All processes of a measurement, and one call for each contestant's run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from jfwriter.bench.bare_loop import Loop, Looped, bare_loop
from jfwriter.bench.peers import Peer, running
from jfwriter.bench.rounds import warm_pages
from jfwriter.bench.sender import MakeRun, Making, Ready, Request, Sent, sender
from jfwriter.bench.writer_process import WriterProcess
from jfwriter.errors import EndpointError
from jfwriter.simulator.listener import Listener
from jfwriter.simulator.run import Progress

_FINISH_TIMEOUT_S = 600.0


class Stage:
    """A block with a sender, a bare loop and the named writers, each with a socket of the sender.

    `writers` maps a name to more settings of that writer, as TOML. Everything is written below `place`;
    whoever made that directory removes it. Raises EndpointError if a process dies or loses an image.
    """

    def __init__(
        self, place: Path, make_run: MakeRun, writers: Mapping[str, str], progress: Progress | None = None
    ) -> None:
        self._place, self._make_run, self._settings = place, make_run, writers
        self._progress = progress
        self._stack = ExitStack()
        self.writers: dict[str, WriterProcess] = {}
        self._announced: dict[str, Listener] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._sender = stack.enter_context(running(sender, self._make_run, 1 + len(self._settings)))
            ready = self._made()
            self.addresses, self.message_bytes = ready.addresses, ready.message_bytes
            (self._place / "bare").mkdir()
            self.bare = stack.enter_context(running(bare_loop, ready.addresses[0], self._place / "bare"))
            self.onward = str(self.bare.answer())
            self._sockets = {name: 1 + i for i, name in enumerate(self._settings)}
            for name, settings in self._settings.items():
                # One after the other: what the first has to compile, the second finds in the cache.
                self.writers[name] = stack.enter_context(self._writer(name, settings))
                self._announced[name] = self._listen(stack, self.writers[name])
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def loop(self, n_images: int, loop: Loop, rate_hz: float = 0.0) -> Sent:
        """One run through the bare loop."""
        self.bare.tell(loop)
        sent = self._send(Request(0, n_images, rate_hz=rate_hz))
        looped = self.bare.answer()
        if not isinstance(looped, Looped) or looped.n_images != n_images:
            raise EndpointError(f"the bare loop got {looped} of {n_images} images")
        return sent

    def write(
        self, name: str, n_images: int, prefix: str = "run", images_per_file: int = 1000, rate_hz: float = 0.0
    ) -> Sent:
        """One run through a writer, until it announces that the run is finalized."""
        sent = self._send(Request(self._sockets[name], n_images, prefix, images_per_file, rate_hz))
        self.wait_finalized(name)
        return sent

    def start(self, name: str, n_images: int, prefix: str, rate_hz: float = 0.0) -> None:
        """Begin a run and do not wait; `sent` and `wait_finalized` do."""
        self._sender.tell(Request(self._sockets[name], n_images, prefix, rate_hz=rate_hz))

    def sent(self) -> Sent:
        """Wait until the last request is sent."""
        answer = self._sender.answer()
        if not isinstance(answer, Sent):
            raise EndpointError(f"the sender says {answer!r}")
        return answer

    def wait_finalized(self, name: str) -> None:
        writer, announced = self.writers[name], self._announced[name]
        deadline = time.monotonic() + _FINISH_TIMEOUT_S
        while time.monotonic() < deadline:
            said = announced.receive(0.5)
            if said is not None and said.get("event") == "run_finalized":
                if said.get("outcome") == "complete":
                    return
                verdict = f"{said.get('outcome')}: {said.get('reasons')}"
                raise EndpointError(f"the writer calls the run {verdict}\n{writer.log_tail()}")
            if said is None and not writer.is_alive():
                raise EndpointError(f"the writer ended before the run did\n{writer.log_tail()}")
        raise EndpointError(f"the run was not finalized within {_FINISH_TIMEOUT_S:g} s\n{writer.log_tail()}")

    def clear(self, n_bytes: int) -> None:
        """Same conditions for the next: no files of the one before, pages of the volume to come touched."""
        for path in [*self._place.glob("bare/*.raw"), *self._place.glob("*/root/**/*.h5")]:
            path.unlink()
        if n_bytes:
            warm_pages(self._place, n_bytes)

    def _send(self, request: Request) -> Sent:
        self._sender.tell(request)
        return self.sent()

    def _made(self) -> Ready:
        while True:
            said = self._sender.answer()
            if isinstance(said, Ready):
                return said
            if isinstance(said, Making) and self._progress is not None:
                self._progress(said.done, said.n_all)

    def _writer(self, name: str, settings: str) -> WriterProcess:
        work = self._place / name
        root = work / "root"
        root.mkdir(parents=True)
        return WriterProcess(root, self.addresses[self._sockets[name]], work, settings)

    @staticmethod
    def _listen(stack: ExitStack, writer: WriterProcess) -> Listener:
        writer.wait_ready()
        announced = stack.enter_context(Listener.of_announcements(writer.announcements))
        if not announced.wait_connected(10.0):
            raise EndpointError(f"no announcements can be heard at {writer.announcements}")
        return announced

    @property
    def sender(self) -> Peer:
        return self._sender
