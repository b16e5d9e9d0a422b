"""The sender of all contestants: one socket each, the same messages for all."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

import zmq

from jfwriter.bench.stream import MessageRing
from jfwriter.simulator import SimulatedRun
from jfwriter.simulator.dcu import endpoint_of
from jfwriter.simulator.run import Progress

MakeRun = Callable[[Progress], SimulatedRun]

WATERMARK = 100
"""Messages that a socket keeps at most, as Jungfraujoch's does."""
_RING_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Request:
    """One run: through which socket, how long, how fast (0: as fast as it is taken), under which name."""

    socket: int
    n_images: int
    file_prefix: str = "run"
    images_per_file: int = 1000
    rate_hz: float = 0.0


@dataclass(frozen=True, slots=True)
class Making:
    """Progress while the images are made."""

    done: int
    n_all: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The sender's first word after the images are made."""

    addresses: tuple[str, ...]
    message_bytes: float


@dataclass(frozen=True, slots=True)
class Sent:
    """When each image was handed to the socket, of a request with a rate, and the start message; monotonic
    time in s."""

    start_at: float
    at: tuple[float, ...] = ()


def sender(pipe: Connection, make_run: MakeRun, n_sockets: int) -> None:
    """Role: says `Making` and `Ready`, then answers each `Request` with `Sent`."""
    run = make_run(lambda done, n_all: pipe.send(Making(done, n_all)))
    sending = _Sending(run, n_sockets)
    pipe.send(Ready(tuple(map(endpoint_of, sending.sockets)), sending.message_bytes))
    while True:
        pipe.send(sending.send(pipe.recv()))


class _Sending:
    """The sockets, and messages that are sent again and again."""

    def __init__(self, run: SimulatedRun, n_sockets: int) -> None:
        self._run = run
        one = len(run.image(0))
        self._ring = MessageRing(run, max(2 * len(run.prepared), min(4 * WATERMARK, _RING_BYTES // one)))
        self.message_bytes = self._ring.message_bytes
        # Frames that last: of a message that is made for each sending, ZeroMQ would tell that it has let go
        # of it, through a socket and a thread of pyzmq, and a small message costs less than that.
        self._frames = [zmq.Frame(buffer, copy=False) for buffer in self._ring.buffers]
        # A buffer is written anew when all others have been sent after it. Nobody may have it any more by
        # then, neither the socket nor ZeroMQ's thread, which takes a few beyond the watermark.
        watermark = max(1, min(WATERMARK, len(self._ring) // 2 - 2))
        context = zmq.Context()
        self.sockets = [_bound(context, watermark) for _ in range(n_sockets)]
        self._ends: dict[tuple[str, int, int], tuple[bytes, bytes]] = {}

    def send(self, request: Request) -> Sent:
        """One run; the one before has arrived."""
        socket, ring, frames = self.sockets[request.socket], self._ring, self._frames
        start, end = self._start_and_end(request)
        start_at = time.monotonic()
        socket.send(start)
        began, at = time.monotonic(), []
        for image_id in range(request.n_images):
            if request.rate_hz > 0:
                at.append(_wait_until(began + image_id / request.rate_hz))
            ring.message(image_id)
            socket.send(frames[image_id % len(frames)], copy=False)
        socket.send(end)
        return Sent(start_at, tuple(at))

    def _start_and_end(self, request: Request) -> tuple[bytes, bytes]:
        """Made once: it takes up to 0.2 s, a third of the time that a bare loop takes for a short run."""
        key = (request.file_prefix, request.n_images, request.images_per_file)
        if key not in self._ends:
            run = self._run.renamed(1, request.file_prefix)
            run = run.lengthened(request.n_images, request.images_per_file)
            self._ends.clear()
            self._ends[key] = run.start(), run.end(range(request.n_images))
        return self._ends[key]


def _bound(context: zmq.Context[zmq.Socket[bytes]], watermark: int) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.PUSH)
    socket.sndhwm = watermark
    socket.bind("tcp://127.0.0.1:*")
    return socket


def _wait_until(due: float) -> float:
    """The time then, in s."""
    while (left_s := due - time.monotonic()) > 0:
        time.sleep(left_s)
    return time.monotonic()
