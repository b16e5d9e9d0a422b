"""Arrays that end where the memory of the process does: one byte further is a segmentation fault.

For compiled kernels, whose loads and stores nobody checks.
"""

from __future__ import annotations

import ctypes
import mmap

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
_PROT_NONE = 0


class Guarded:
    """Room for up to `capacity` bytes between two pages that nobody may touch."""

    def __init__(self, capacity: int) -> None:
        page = mmap.PAGESIZE
        n_bytes = -(-capacity // page) * page
        self._map = mmap.mmap(-1, n_bytes + 2 * page)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        for address in (start, start + page + n_bytes):
            if protect(ctypes.c_void_p(address), ctypes.c_size_t(page), _PROT_NONE) != 0:
                raise OSError(ctypes.get_errno(), "mprotect")
        self._bytes = np.frombuffer(self._map, np.uint8)[page : page + n_bytes]

    def last(self, n_bytes: int) -> Bytes:
        """An array of `n_bytes` behind which the guard page begins."""
        return self._bytes[self._bytes.size - n_bytes :]

    def holding(self, data: bytes) -> Bytes:
        """`data` right before the guard page, read-only."""
        array = self.last(len(data))
        array[:] = np.frombuffer(data, np.uint8)
        view = array.view()
        view.flags.writeable = False
        return view
