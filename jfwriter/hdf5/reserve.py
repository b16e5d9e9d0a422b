"""Room that is held back on a file system, so that files can still be closed when it is full.

HDF5 needs room for its own tables when a file is closed; without it the images that were written before the
disk was full may be unreadable.
"""

from __future__ import annotations

import contextlib
import os

from jfwriter.hdf5.preflight import Room
from jfwriter.hdf5.system_calls import allocate

LEAST_BYTES, MOST_BYTES = 1 << 20, 32 << 20
SHARE_OF_RUN = 64
SHARE_OF_ROOM = 8


class Reserve:
    """A file without a name in an open directory: nobody sees it, and it is gone with the process.

    Holds nothing where the file system cannot make such files or cannot hold room back (NFS). Writer thread
    only.
    """

    def __init__(self, directory: int, run_bytes: int) -> None:
        """`run_bytes`: what the run will take, 0 if that is not known."""
        self._descriptor = -1
        try:
            n_free_bytes = Room.of(directory).n_bytes
            n_bytes = min(
                max(run_bytes // SHARE_OF_RUN, LEAST_BYTES), MOST_BYTES, n_free_bytes // SHARE_OF_ROOM
            )
            flags = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC
            self._descriptor = os.open(".", flags, 0o600, dir_fd=directory)
        except OSError:
            return
        if not allocate(self._descriptor, n_bytes):
            self.release()

    def release(self) -> bool:
        """Give the room back; whether there was any."""
        if self._descriptor < 0:
            return False
        with contextlib.suppress(OSError):
            os.close(self._descriptor)
        self._descriptor = -1
        return True
