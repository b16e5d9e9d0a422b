"""The Zstandard decoder that hdf5plugin's filter carries, reached without HDF5 and its lock.

The functions of libzstd's stable interface are visible in the filter's shared object, or in the libzstd that
it is linked to. hdf5plugin does not promise that: where they are not found, `decoder` is None and bszstd is
unpacked by HDF5 instead, more slowly.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import hdf5plugin


@dataclass(frozen=True, slots=True)
class ZstdDecoder:
    """`decompress_code` is the address of ZSTD_decompressDCtx."""

    library: ctypes.CDLL
    decompress_code: int

    @contextmanager
    def context(self) -> Iterator[int]:
        """A ZSTD_DCtx for the calling thread. One for all blocks is three times as fast as one for each."""
        state = self.library.ZSTD_createDCtx()
        if state is None:
            raise MemoryError("no memory for a Zstandard context")
        try:
            yield state
        finally:
            self.library.ZSTD_freeDCtx(state)


@lru_cache(maxsize=1)
def decoder() -> ZstdDecoder | None:
    """The decoder, None where the filter does not show it."""
    path = hdf5plugin.get_config().registered_filters.get("bshuf", "")
    try:
        library = ctypes.CDLL(str(path))
        library.ZSTD_createDCtx.restype = ctypes.c_void_p
        library.ZSTD_createDCtx.argtypes = ()
        library.ZSTD_freeDCtx.restype = ctypes.c_size_t
        library.ZSTD_freeDCtx.argtypes = (ctypes.c_void_p,)
        code = ctypes.cast(library.ZSTD_decompressDCtx, ctypes.c_void_p).value
    except (AttributeError, OSError):
        return None
    return None if code is None else ZstdDecoder(library, code)
