"""Several chunks stored in one call, during which the interpreter belongs to the other threads.

h5py lets go of the interpreter for each chunk and then waits for it, up to the switch interval of 0.5 ms,
while the event loop has messages to decode: longer than a small image takes. So HDF5's function is called by
a kernel, one image after the other (`H5Dwrite_chunk`).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from h5py._objects import phil

from jfwriter.hdf5.file_driver import Driver, expect, found
from jfwriter.hdf5.hdf5_file import library
from jfwriter.hdf5.native import address_of, code_of, status_of_6
from jfwriter.jit import kernel

_DEFAULT_PROPERTIES = 0
_ALL_FILTERS = 0


class Chunk(NamedTuple):
    """`data`: all of it goes to row `row` of the dataset with this identifier, whose rows are images."""

    dataset: int
    row: int
    data: npt.NDArray[np.uint8]


def store_chunks(driver: Driver, chunks: Sequence[Chunk], places: Sequence[int]) -> list[int]:
    """Store as many as can be stored, in order; where each of them is in its file.

    `places`: where the bytes are by now, -1 for those that HDF5 has to write. A chunk that could not be
    stored may have left something in its dataset's memory.

    Writer thread only. The datasets are open, in files of `driver`, the rows within their extents.
    """
    datasets = np.array([chunk.dataset for chunk in chunks], np.int64)
    offsets = np.zeros((len(chunks), 3), np.uint64)
    offsets[:, 0] = [chunk.row for chunk in chunks]
    addresses = np.array([address_of(chunk.data) for chunk in chunks], np.int64)
    sizes = np.array([chunk.data.size for chunk in chunks], np.int64)
    there = np.array(places, np.int64)
    with phil:
        n_stored = _store(_code(), driver.words, datasets, offsets, addresses, sizes, there)
    stored: list[int] = there[:n_stored].tolist()
    return stored


@functools.cache
def _code() -> int:
    return code_of(library().H5Dwrite_chunk)


@kernel("int64(int64, int64, int64[::1], uint64[:, ::1], int64[::1], int64[::1], int64[::1])")
def _store(
    code: int,
    words: int,
    datasets: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.uint64],
    addresses: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    places: npt.NDArray[np.int64],
) -> int:
    """Chunks stored. datasets, addresses, sizes: [c]; offsets: [c, 3]; places: [c], as they are given, then
    as they are."""
    for i in range(datasets.size):
        expect(words, addresses[i], sizes[i], places[i])
        where = (_DEFAULT_PROPERTIES, _ALL_FILTERS, offsets[i].ctypes.data, sizes[i], addresses[i])
        status = status_of_6(code, (datasets[i], *where))
        places[i] = found(words)
        if status < 0:
            return i
    n_chunks: int = datasets.size
    return n_chunks
