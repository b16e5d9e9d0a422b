"""HDF5's own filter pipeline over an in-memory file: the encoder of every codec.

Holds the lock that all of HDF5 shares and allocates each chunk anew, so it is for images that are not
stored as they came, and for tests and simulators.
"""

from __future__ import annotations

import itertools

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.compression.filters import Filter

_numbers = itertools.count()
"""HDF5 refuses to create two files of one name at a time, also when they are in memory."""


def encode(array: npt.NDArray[np.generic], filter_: Filter) -> bytes:
    """One chunk holding `array` [y, x], as the filter makes it."""
    with _memory_file() as file:
        dataset = _chunk(file, array, filter_)
        dataset.write_direct(array)
        return bytes(dataset.id.read_direct_chunk((0,) * array.ndim)[1])


def decode(chunk: memoryview, filter_: Filter, array: npt.NDArray[np.generic]) -> None:
    """Unpack a chunk into `array`, C-contiguous. Raises OSError if the filter cannot."""
    with _memory_file() as file:
        dataset = _chunk(file, array, filter_)
        dataset.id.write_direct_chunk((0,) * array.ndim, chunk)
        dataset.read_direct(array)


def _memory_file() -> h5py.File:
    return h5py.File(f"chunk-{next(_numbers)}.h5", "w", driver="core", backing_store=False)


def _chunk(file: h5py.File, like: npt.NDArray[np.generic], filter_: Filter) -> h5py.Dataset:
    return file.create_dataset(
        "chunk",
        shape=like.shape,
        dtype=like.dtype,
        chunks=like.shape,
        compression=filter_.filter_id,
        compression_opts=filter_.options,
    )
