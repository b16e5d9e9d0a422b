"""The limit of any receiver that stores what it gets: receive without copy, write, next."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import zmq

from jfwriter.bench.stream import is_image
from jfwriter.simulator.dcu import endpoint_of


@dataclass(frozen=True, slots=True)
class Loop:
    """What the bare loop does with a run: write or throw away, fsync each file or not, send on or not."""

    write: bool = True
    sync: bool = False
    resend: bool = False
    images_per_file: int = 1000


@dataclass(frozen=True, slots=True)
class Looped:
    """What came of a run."""

    n_images: int
    n_bytes: int


def bare_loop(pipe: Connection, address: str, directory: Path) -> None:
    """Role: says the address that it sends on from, then does a run for each `Loop` and answers `Looped`."""
    context = zmq.Context()
    source, onward = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    source.rcvhwm = 100
    source.connect(address)
    onward.sndhwm = 1000
    onward.bind("tcp://127.0.0.1:*")
    pipe.send(endpoint_of(onward))
    while True:
        loop = pipe.recv()
        pipe.send(_run(source, onward, directory, loop))


def _run(source: zmq.Socket[bytes], onward: zmq.Socket[bytes], directory: Path, loop: Loop) -> Looped:
    file, n_images, n_bytes = -1, 0, 0
    source.recv()
    while is_image((frame := source.recv(copy=False)).buffer):
        if loop.write:
            if n_images % loop.images_per_file == 0:
                file = _next_file(file, directory / f"bare_{n_images // loop.images_per_file:06d}.raw", loop)
            n_bytes += os.write(file, frame.buffer)
        n_images += 1
        if loop.resend:
            with contextlib.suppress(zmq.Again):
                onward.send(frame, zmq.NOBLOCK, copy=False)
    _close(file, loop)
    return Looped(n_images, n_bytes)


def _next_file(file: int, path: Path, loop: Loop) -> int:
    _close(file, loop)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)


def _close(file: int, loop: Loop) -> None:
    if file >= 0:
        if loop.sync:
            os.fsync(file)
        os.close(file)
