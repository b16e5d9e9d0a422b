"""Starts bringing a growing file to the disk while it is written: its sync at the end has little left to do.

Otherwise Linux waits until dirty pages are 30 s old or fill a tenth of the memory, and the sync of a file of
1.5 GB then keeps the writer thread from the next file for a second or more. Writer thread only.
"""

from __future__ import annotations

import h5py

from jfwriter.hdf5.system_calls import begin_writeback

STEP_BYTES = 32 << 20
"""Written between two requests: one costs some microseconds, and the pages that it finds."""


class Writeback:
    """Of the open file `file`. Does nothing on systems without sync_file_range(2).

    It asks for writing to begin and waits for nothing. An error of the storage stays with the file until the
    sync before publishing tells it (fsync(2) tells the errors that nobody has seen yet).
    """

    def __init__(self, file: h5py.File) -> None:
        self._n_bytes = 0
        self._descriptor: int = file.id.get_vfd_handle()

    def wrote(self, n_bytes: int) -> None:
        """Count what was written; ask once there is enough of it. From the first byte to the last: (0, 0)."""
        self._n_bytes += n_bytes
        if self._n_bytes >= STEP_BYTES:
            self._n_bytes = 0
            begin_writeback(self._descriptor)
