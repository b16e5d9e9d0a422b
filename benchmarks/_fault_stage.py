"""What a run of the soak needs: a sender that can be killed, messages, a disk that can be filled."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zmq

from jfwriter.compression import compress
from jfwriter.payload import Codec
from jfwriter.wire.encode import Encoded, encode, pixels

SHAPE = (64, 64)
DTYPE = np.dtype("<u2")
Pixels = npt.NDArray[np.uint16]


@cache
def picture(image_id: int) -> Pixels:
    """Noise that tells its number."""
    return np.random.default_rng(image_id).integers(0, 60_000, SHAPE, np.uint16)


@cache
def packed(image_id: int, codec: Codec) -> Encoded:
    return pixels(compress(picture(image_id), codec), codec, DTYPE, SHAPE)


class Messages:
    """Those of run `number`."""

    def __init__(self, number: int, n_images: int, per_file: int, layout: str) -> None:
        self.number, self.n_images, self.per_file, self.layout = number, n_images, per_file, layout
        self._series: Mapping[str, object] = {"series_id": number, "series_unique_id": f"soak {number}"}

    @property
    def prefix(self) -> str:
        return f"run_{self.number}/run"

    def start(self, **fields: Any) -> bytes:
        user = {"file_prefix": self.prefix, "images_per_file": self.per_file, "file_format": self.layout}
        message = {
            "type": "start", **self._series, "number_of_images": self.n_images, "image_size_x": SHAPE[1],
            "image_size_y": SHAPE[0], "image_dtype": "uint16", "user_data": user,
        }  # fmt: skip
        return encode({**message, **fields})

    def image(self, image_id: int, data: object = None, codec: Codec = Codec.BSLZ4) -> bytes:
        channels = {"default": packed(image_id, codec) if data is None else data}
        return encode({"type": "image", **self._series, "image_id": image_id, "data": channels})

    def end(self) -> bytes:
        return encode({"type": "end", **self._series, "max_image_number": self.n_images})


class Sender:
    """A PUSH socket on one address that may be taken away and come back."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self.address = "tcp://127.0.0.1:*"
        self._bind()
        self.address = self._socket.getsockopt(zmq.LAST_ENDPOINT).decode().rstrip("\0")  # type: ignore[union-attr]

    def _bind(self) -> None:
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.PUSH)
        self._socket.linger, self._socket.sndtimeo = 0, 60_000
        deadline = time.monotonic() + 10
        while True:
            try:
                self._socket.bind(self.address)
                return
            except zmq.ZMQError:  # the old socket's address is given back a moment later
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def send(self, *messages: bytes) -> None:
        for message in messages:
            self._socket.send(message)

    def die(self) -> None:
        """As by SIGKILL: what was not sent yet is lost; then a new one takes the address."""
        self._socket.close(0)
        self._bind()

    def close(self) -> None:
        self._context.destroy(linger=0)


class Disk:
    """The root of the daemon: a small tmpfs of its own if mounting is allowed, else an ordinary folder."""

    def __init__(self, root: Path, *, is_own: bool) -> None:
        self.root, self.is_own = root, is_own
        self._filler = root / "filler"

    def fill(self, left_bytes: int) -> None:
        """Take all room but about `left_bytes`; the daemon goes on writing meanwhile."""
        with self._filler.open("wb") as file:
            while True:
                status = os.statvfs(self.root)
                n_bytes = status.f_bavail * status.f_frsize - left_bytes
                if n_bytes <= 0:
                    return
                with contextlib.suppress(OSError):
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, n_bytes)

    def empty(self) -> None:
        self._filler.unlink(missing_ok=True)

    def remount(self, mode: str) -> None:
        """`mode`: "ro" or "rw"."""
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.root)], check=True)


@contextmanager
def disk(directory: Path, size_bytes: int) -> Iterator[Disk]:
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        root = Path(folder) / "root"
        root.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(root)]
        is_own = os.geteuid() == 0 and subprocess.run(command, check=False).returncode == 0
        try:
            yield Disk(root, is_own=is_own)
        finally:
            if is_own:
                subprocess.run(["umount", "-l", str(root)], check=True)
