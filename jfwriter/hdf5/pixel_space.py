"""The end of an open data file, where pixels are written before HDF5 stores them. Writer thread only."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Generator, Sequence

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.hdf5.direct_io import ALIGNMENT, PART_BYTES, DirectIO
from jfwriter.hdf5.file_driver import NOWHERE, Driver
from jfwriter.hdf5.pixel_layout import Layout, lay_out, one_behind_the_other

LEAST_DIRECT_BYTES = 1 << 18
"""A smaller chunk goes through the page cache: there copying takes less than waiting for the device."""

_NO_FAULT_OF_THE_WAY = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})

Pixels = npt.NDArray[np.uint8]


class PixelSpace:
    """Of the open `file`, to be called `name`, that `driver` has made.

    Pixels go through the page cache, or with `direct` past it: then they are on the device when they are
    written (not yet what the file system notes of them: that takes a sync), nothing is copied, and the system
    need not find, write back and free pages.
    """

    def __init__(
        self, file: h5py.File, name: str, driver: Driver, handle: int, direct: DirectIO | None
    ) -> None:
        """`handle`: what `driver` calls the file."""
        self.driver = driver
        self._handle = handle
        self._name = name
        self._direct_io = direct
        self._descriptor: int = file.id.get_vfd_handle()
        self._direct = -1 if direct is None else direct.open(self._descriptor, name)

    def put(self, images: Sequence[Sequence[Pixels]]) -> Generator[list[int]]:
        """Write the chunks of images behind the end of the file; yields their places, of one image or several
        at a time, when they are there. NOWHERE for those that cannot be written: who writes them next finds
        out why.

        The chunks must stay until the generator is closed.
        """
        if self._direct >= 0 and all(chunk.size >= LEAST_DIRECT_BYTES for image in images for chunk in image):
            yield from self._put_directly(images)
        else:
            yield self._put_through_the_cache([chunk for image in images for chunk in image])

    def close(self) -> None:
        """Let go of what this has opened. Nothing can have failed here that writing has not told."""
        if self._direct >= 0:
            with contextlib.suppress(OSError):
                os.close(self._direct)
        self._direct = -1

    def _put_directly(self, images: Sequence[Sequence[Pixels]]) -> Generator[list[int]]:
        assert self._direct_io is not None  # noqa: S101 it has opened the file
        layouts = self._lay_out(images, self._direct_io)
        self.driver.move_end(self._handle, layouts[-1].end)
        # The file grows once, before: a write that makes it grow is waited for (ext4).
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, layouts[-1].end)
        in_vain = None
        with contextlib.closing(self._direct_io.write(self._direct, layouts)) as results:
            for layout, failure in zip(layouts, results, strict=True):
                if failure is not None and failure.errno not in _NO_FAULT_OF_THE_WAY:
                    in_vain = failure
                yield layout.places if failure is None else [NOWHERE] * len(layout.places)
        if in_vain is not None:
            self._direct_io.tell(self._name, in_vain)
            self.close()

    def _lay_out(self, images: Sequence[Sequence[Pixels]], direct: DirectIO) -> list[Layout]:
        seams = direct.seams.blocks(ALIGNMENT.file_bytes)
        end = self.driver.end(self._handle)
        layouts = []
        for part in _parts(images):
            layouts.append(lay_out(end, part, ALIGNMENT, seams))
            end = layouts[-1].end
        return layouts

    def _put_through_the_cache(self, chunks: Sequence[Pixels]) -> list[int]:
        end = self.driver.end(self._handle)
        layout = one_behind_the_other(end, chunks)
        try:
            n_bytes = os.pwritev(self._descriptor, [piece.data for piece in layout.pieces], layout.start)
        except OSError:
            n_bytes = -1
        if n_bytes == layout.end - layout.start:
            self.driver.move_end(self._handle, layout.end)
            return layout.places
        # HDF5 cuts off only what lies behind the end as it sees it.
        with contextlib.suppress(OSError):
            if os.fstat(self._descriptor).st_size > end:
                os.ftruncate(self._descriptor, end)
        return [NOWHERE] * len(chunks)


def _parts(images: Sequence[Sequence[Pixels]]) -> list[list[Pixels]]:
    """Chunks of whole images, up to PART_BYTES or one image each."""
    parts: list[list[Pixels]] = []
    room = -1
    for image in images:
        n_bytes = sum(chunk.size for chunk in image)
        if n_bytes > room:
            parts.append([])
            room = PART_BYTES
        parts[-1] += image
        room -= n_bytes
    return parts
