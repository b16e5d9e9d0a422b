"""Which HDF5 filter stores which codec.

Importing this module registers the filters with HDF5 (hdf5plugin): their `set_local` must run when a dataset
is created, so that version and element size stand before the options given here.
"""

from __future__ import annotations

from dataclasses import dataclass

import hdf5plugin  # noqa: F401 registers filters 32004 and 32008
import numpy as np

from jfwriter.payload import Codec, Payload

BITSHUFFLE = 32008
LZ4 = 32004

ZSTD_LEVEL = 3
"""Level for Zstandard blocks written here. bszstd needs its sixth option: readers that know only LZ4 blocks
take a chunk with five for theirs and return garbage."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A registered HDF5 filter and its options as a user gives them (`H5Pset_filter`)."""

    filter_id: int
    options: tuple[int, ...]


def filter_for(codec: Codec, dtype: np.dtype[np.generic], block_elements: int = 0) -> Filter | None:
    """Filter of a dataset of `codec` chunks, None for plain pixels.

    `block_elements`: block size in elements, 0 for the filter's default (8 KiB; for lz4 the whole image).
    """
    if codec is Codec.NONE:
        return None
    if codec is Codec.LZ4:
        return Filter(LZ4, (block_elements * dtype.itemsize,))
    if codec is Codec.BSZSTD:
        return Filter(BITSHUFFLE, (block_elements, 3, ZSTD_LEVEL))
    return Filter(BITSHUFFLE, (block_elements, 2))


def filter_of(payload: Payload) -> Filter | None:
    """Filter of a dataset that takes `payload`, whose framing was checked, as it is.

    The block size is the one that the payload's header declares.
    """
    if payload.codec is Codec.NONE:
        return None
    block_bytes = int.from_bytes(payload.data[8:12], "big")
    if payload.codec is Codec.LZ4:
        return Filter(LZ4, (block_bytes,))
    return filter_for(payload.codec, payload.dtype, block_bytes // payload.dtype.itemsize)
