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
"""Messages that a socket keeps, as Jungfraujoch's does."""
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
    one = len(run.image(0))
    ring = MessageRing(run, max(2 * len(run.prepared), min(4 * WATERMARK, _RING_BYTES // one)))
    context = zmq.Context()
    sockets = []
    for _ in range(n_sockets):
        socket = context.socket(zmq.PUSH)
        socket.sndhwm = WATERMARK
        socket.bind("tcp://127.0.0.1:*")
        sockets.append(socket)
    pipe.send(Ready(tuple(map(endpoint_of, sockets)), ring.message_bytes))
    while True:
        request = pipe.recv()
        pipe.send(_send(sockets[request.socket], run, ring, request))


def _send(socket: zmq.Socket[bytes], run: SimulatedRun, ring: MessageRing, request: Request) -> Sent:
    run = run.renamed(1, request.file_prefix).lengthened(request.n_images, request.images_per_file)
    start, end = run.start(), run.end(range(request.n_images))
    trackers: list[zmq.MessageTracker | None] = [None] * len(ring)
    start_at = time.monotonic()
    socket.send(start)
    began, at = time.monotonic(), []
    for image_id in range(request.n_images):
        slot = image_id % len(ring)
        tracker = trackers[slot]
        if tracker is not None and not tracker.done:
            tracker.wait()
        if request.rate_hz > 0:
            at.append(_wait_until(began + image_id / request.rate_hz))
        trackers[slot] = socket.send(ring.message(image_id), copy=False, track=True)
    socket.send(end)
    return Sent(start_at, tuple(at))


def _wait_until(due: float) -> float:
    """The time then, in s."""
    while (left_s := due - time.monotonic()) > 0:
        time.sleep(left_s)
    return time.monotonic()
