"""HDF5's own filter pipeline over an in-memory file: the encoder of every codec.

Holds h5py's lock, so it is for what is done once per file or in tests and simulators, not per image.
"""

from __future__ import annotations

import itertools

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.compression.filters import Filter

_numbers = itertools.count()
"""HDF5 refuses a second open file of the same name, so that each gets its own."""


def encode(array: npt.NDArray[np.generic], filter_: Filter) -> bytes:
    """One chunk holding `array` [y, x], as the filter makes it."""
    with h5py.File(f"chunk{next(_numbers)}.h5", "w", driver="core", backing_store=False) as file:
        dataset = file.create_dataset(
            "chunk",
            data=array,
            chunks=array.shape,
            compression=filter_.filter_id,
            compression_opts=filter_.options,
        )
        return bytes(dataset.id.read_direct_chunk((0, 0))[1])


def decode(chunk: memoryview, filter_: Filter, array: npt.NDArray[np.generic]) -> None:
    """Unpack a chunk into `array`, C-contiguous. Raises OSError if the filter cannot."""
    with h5py.File("chunk.h5", "w", driver="core", backing_store=False) as file:
        dataset = file.create_dataset(
            "chunk",
            shape=array.shape,
            dtype=array.dtype,
            chunks=array.shape,
            compression=filter_.filter_id,
            compression_opts=filter_.options,
        )
        dataset.id.write_direct_chunk((0,) * array.ndim, chunk)
        dataset.read_direct(array)
