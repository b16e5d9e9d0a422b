"""A detector control unit made of cbor2, h5py and zmq alone: none of jfwriter's code has a part in it.

What it sends is written by hand from the public descriptions (DECTRIS Stream V2, RFC 8746), so that a
misreading shared by jfwriter's own encoder and decoder cannot hide here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cbor2
import h5py
import hdf5plugin
import numpy as np
import numpy.typing as npt
import zmq

Array = npt.NDArray[Any]

FRAMES = Path(__file__).parents[3] / "shared" / "data" / "jungfrau_module_frames.h5"
TYPED_ARRAY_TAG = {
    "|u1": 64, "<u2": 69, "<u4": 70, "<u8": 71, "|i1": 72, "<i2": 77, "<i4": 78, "<i8": 79,
    "<f4": 85, "<f8": 86, ">f4": 81, ">f8": 82, ">u2": 65, ">u4": 66, ">i2": 73, ">i4": 74,
}  # fmt: skip
FILTERS: dict[str, Any] = {
    "bslz4": lambda: hdf5plugin.Bitshuffle(cname="lz4"),
    "bszstd": lambda: hdf5plugin.Bitshuffle(cname="zstd"),
    "lz4": hdf5plugin.LZ4,
}


def compress(image: Array, algorithm: str) -> bytes:
    """Bytes of one image as HDF5's own filter writes them."""
    with h5py.File("scratch.h5", "w", driver="core", backing_store=False) as file:
        dataset = file.create_dataset("image", data=image, chunks=image.shape, **FILTERS[algorithm]())
        return bytes(dataset.id.read_direct_chunk((0, 0))[1])


def typed_array(array: Array) -> cbor2.CBORTag:
    """RFC 8746: a typed array, within a tag 40 if it has more than one dimension."""
    flat = cbor2.CBORTag(TYPED_ARRAY_TAG[array.dtype.str], array.tobytes())
    return flat if array.ndim == 1 else cbor2.CBORTag(40, [list(array.shape), flat])


def image(array: Array, algorithm: str | None) -> cbor2.CBORTag:
    """An image as `data` and `pixel_mask` carry it; `algorithm` None sends raw pixels."""
    if algorithm is None:
        return typed_array(array)
    packed = cbor2.CBORTag(56500, [algorithm, array.dtype.itemsize, compress(array, algorithm)])
    return cbor2.CBORTag(40, [list(array.shape), cbor2.CBORTag(TYPED_ARRAY_TAG[array.dtype.str], packed)])


def frames(n_images: int = 10) -> Array:
    """Real JUNGFRAU frames [n, 512, 1024] int16 where they are at hand, else Poisson noise of that shape."""
    if FRAMES.exists():
        with h5py.File(FRAMES) as file:
            return np.asarray(file["frames"][:n_images])
    return np.random.default_rng(1).poisson(3.0, (n_images, 512, 1024)).astype(np.int16)


def encode(message: Mapping[str, Any]) -> bytes:
    return b"\xd9\xd9\xf7" + cbor2.dumps(dict(message))


class PlainDcu:
    """Binds a PUSH socket on loopback and sends what it is given."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.setsockopt(zmq.SNDTIMEO, 20_000)
        self._socket.setsockopt(zmq.LINGER, 20_000)
        self.address = f"tcp://127.0.0.1:{self._socket.bind_to_random_port('tcp://127.0.0.1')}"

    def send(self, messages: Iterable[bytes]) -> None:
        for message in messages:
            self._socket.send(message)

    def __enter__(self) -> PlainDcu:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._context.term()
