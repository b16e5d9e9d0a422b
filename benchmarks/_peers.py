"""Processes of the end-to-end benchmark besides the daemon: one sender for all, and the two limits."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import h5py
import hdf5plugin
import zmq

from benchmarks import _stream
from benchmarks._stream import Size

Role = Callable[..., None]
_CONTEXT = multiprocessing.get_context("spawn")


class Peer:
    """A process with a pipe: `ask` sends a word and waits for the answer. Raises RuntimeError if it dies."""

    def __init__(self, role: Role, *arguments: object) -> None:
        self._pipe, other = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=role, args=(other, *arguments), daemon=True)
        self._process.start()
        other.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def tell(self, word: object) -> None:
        self._pipe.send(word)

    def answer(self, deadline_s: float = 600.0) -> object:
        if not self._pipe.poll(deadline_s):
            raise RuntimeError(f"{self._process.name} gave no answer within {deadline_s} s")
        try:
            return self._pipe.recv()
        except EOFError:
            raise RuntimeError(f"{self._process.name} died, exit code {self._process.exitcode}") from None

    def ask(self, word: object) -> object:
        self.tell(word)
        return self.answer()

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()


@contextmanager
def running(role: Role, *arguments: object) -> Iterator[Peer]:
    peer = Peer(role, *arguments)
    try:
        yield peer
    finally:
        peer.stop()


def sender(pipe: Connection, size: Size, n_images: int, images_per_file: int, n_sockets: int) -> None:
    """Answers with the addresses of its sockets, then sends one whole run for each number of a socket.

    All messages are made once and sent from memory without a copy; the socket keeps 100 of them, as
    Jungfraujoch's does.
    """
    packed = _stream.payloads(size)
    messages = [_stream.start(size, n_images, images_per_file)]
    messages += [_stream.image(size, i, packed[i % len(packed)]) for i in range(n_images)]
    messages.append(_stream.end(n_images))
    sockets = []
    context = zmq.Context()
    for _ in range(n_sockets):
        socket = context.socket(zmq.PUSH)
        socket.sndhwm = 100
        sockets.append((socket, f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}"))
    pipe.send([address for _, address in sockets])
    pipe.send(sum(len(message) for message in messages))
    while True:
        socket, _ = sockets[pipe.recv()]
        for message in messages:
            socket.send(message, copy=False)


def bare_loop(pipe: Connection, address: str, directory: Path) -> None:
    """The limit of any receiver that stores what it gets: receive without copy, write, next. No fsync.

    Answers when the end message of a run came.
    """
    socket = zmq.Context().socket(zmq.PULL)
    socket.rcvhwm = 100
    socket.connect(address)
    path = directory / "bare.raw"
    while True:
        socket.recv()
        path.unlink(missing_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        n_images = 0
        while _stream.is_image((frame := socket.recv(copy=False)).buffer):
            n_images += os.write(file, frame.buffer) == len(frame.buffer)
        os.close(file)
        pipe.send(n_images)


def chunk_loop(pipe: Connection, size: Size, n_images: int, images_per_file: int, directory: Path) -> None:
    """The limit of HDF5: direct chunk writes from memory, as many data files as the daemon makes. No fsync.

    Answers each word that it gets when the files are closed.
    """
    packed = [memoryview(payload) for payload in _stream.payloads(size)]
    pipe.send("ready")
    path = directory / "chunks.h5"
    while True:
        pipe.recv()
        for first in range(0, n_images, images_per_file):
            n_rows = min(images_per_file, n_images - first)
            path.unlink(missing_ok=True)
            _write_chunks(path, size, packed, first, n_rows)
        pipe.send("done")


def _write_chunks(path: Path, size: Size, packed: list[memoryview], first: int, n_rows: int) -> None:
    shape = (size.height, size.width)
    with h5py.File(path, "x", libver=("earliest", "v108")) as file:
        dataset = file.create_dataset(
            "data", (n_rows, *shape), size.dtype, chunks=(1, *shape), maxshape=(None, *shape),
            **hdf5plugin.Bitshuffle(cname="lz4"),
        )  # fmt: skip
        for row in range(n_rows):
            dataset.id.write_direct_chunk((row, 0, 0), packed[(first + row) % len(packed)])
