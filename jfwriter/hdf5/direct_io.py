"""What writing past the page cache needs beside an open file. One for each writer thread."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Sequence

from jfwriter.hdf5.async_writes import AsyncWrites, Write
from jfwriter.hdf5.pixel_layout import Alignment, Layout, Seams

_log = logging.getLogger(__name__)

ALIGNMENT = Alignment(4096, 4096)
"""What Linux' file systems take in general. ext4 waits for each write whose memory lies otherwise, even where
the device would take multiples of 512."""

PART_BYTES = 4 << 20
"""Written at a time."""

PARTS_IN_FLIGHT = 3
"""While HDF5 gets the chunks of one, the device has others to do; with many, beginning one waits for room in
the queue of the device."""


class DirectIO:
    """Opens files for direct writing (`O_DIRECT`), and writes what is laid out."""

    def __init__(self) -> None:
        self.seams = Seams()
        self._writes: AsyncWrites | None = None
        self._is_told = False

    def open(self, descriptor: int, name: str) -> int:
        """A second descriptor of an open file, called `name`; -1 where it cannot be written so, which is told
        once."""
        try:
            if self._writes is None:
                self._writes = AsyncWrites()
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC)
        except OSError as error:
            self.tell(name, error)
            return -1

    def tell(self, name: str, error: OSError) -> None:
        """The file `name` is written through the page cache instead."""
        if not self._is_told:
            self._is_told = True
            text = "%s: cannot be written past the page cache (%s); files.direct_io does nothing here"
            _log.warning(text, name, error.strerror or error)

    def write(self, descriptor: int, layouts: Sequence[Layout]) -> Generator[OSError | None]:
        """Write what is laid out, one after the other; yields what came of each, when it is there.

        What is written must stay until the iterator is closed: then nothing is in flight any more.
        """
        assert self._writes is not None  # noqa: S101 `open` comes first
        writes = [Write(descriptor, layout.pieces, layout.start) for layout in layouts]
        tickets: list[int] = []
        try:
            for i, layout in enumerate(layouts):
                if len(tickets) >= i:  # else one could not be begun: nor is any behind it
                    tickets += self._writes.begin(writes[len(tickets) : i + PARTS_IN_FLIGHT])
                if i >= len(tickets):
                    yield OSError("it could not be begun")
                    continue
                n_bytes = self._writes.wait(tickets[i])
                if n_bytes < 0:
                    yield OSError(-n_bytes, os.strerror(-n_bytes))
                elif n_bytes < layout.end - layout.start:
                    yield OSError(f"{n_bytes} of {layout.end - layout.start} bytes were written")
                else:
                    yield None
        finally:
            self._writes.drain()
