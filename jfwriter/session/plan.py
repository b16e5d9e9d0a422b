"""The plan of one run: what its start message and the settings say about the files to write."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from jfwriter.wire.messages import StartMessage

N_WRITERS_UNKNOWN = (
    "the sender has several sockets, but the number of writers is not known, so that a run of several files "
    "cannot be called complete; set files.n_writers or --n-writers"
)
"""For the log and the status."""


class FileFormat(enum.IntEnum):
    """Numbers of `user_data.file_format` (`docs/reference/messages/start.md`)."""

    NXmxOnlyData = 0
    NXmxLegacy = 1
    NXmxVDS = 2
    NXmxIntegrated = 3
    CBF = 4
    TIFF = 5
    NoFileWritten = 6

    @property
    def has_data_files(self) -> bool:
        return self in {FileFormat.NXmxOnlyData, FileFormat.NXmxLegacy, FileFormat.NXmxVDS}

    @property
    def has_master(self) -> bool:
        return self in {FileFormat.NXmxLegacy, FileFormat.NXmxVDS, FileFormat.NXmxIntegrated}


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Everything the writer needs to know before the first image. Checked; paths are safe as text.

    `directory` holds the sub-directories of the prefix below the root, `basename` its last part.
    `images_per_file` is 0 for a single file (and for the integrated layout). `shape` is (height, width).
    `dtype` is the pixel type that the start message names, None if it names none.
    `only_writer` is False when other writers take the other data files of the run.
    """

    serial: int
    """Counts the runs of this process; tells late events of an earlier run from those of the open one."""
    start: StartMessage
    received_at: float
    """Unix time of receipt in s."""
    format: FileFormat
    directory: tuple[str, ...]
    basename: str
    images_per_file: int
    n_images_planned: int | None
    shape: tuple[int, int]
    dtype: np.dtype[np.generic] | None
    channels: tuple[str, ...]
    """Names of the image channels if the start message lists them; the first is `/entry/data/data`."""
    overwrite: bool
    write_master: bool
    only_writer: bool
    max_spot_count: int
    max_lattices_extra: int
    fill_gaps: bool
    sync: bool
    checksums: bool = False
    """Store the CRC-32 of each chunk."""
    manifest: bool = False
    """Write a manifest beside the files when the run is over."""
    direct_io: bool = False
    """Write images past the page cache."""
    n_writers: int = 0
    """Writers that share the run; 0: not known."""

    @property
    def writes_files(self) -> bool:
        return self.format is not FileFormat.NoFileWritten

    @property
    def is_integrated(self) -> bool:
        return self.format is FileFormat.NXmxIntegrated

    @property
    def prefix(self) -> str:
        """File prefix relative to the root, with forward slashes."""
        return "/".join((*self.directory, self.basename))

    @property
    def master_name(self) -> str:
        return f"{self.basename}_master.h5"

    @property
    def manifest_name(self) -> str:
        """Of several writers those without the master add the number of their socket."""
        if self.write_master or self.only_writer:
            return f"{self.basename}_manifest.json"
        return f"{self.basename}_manifest_{self.start.socket_number}.json"

    def data_file_name(self, file_index: int) -> str:
        """Base name of data file `file_index` (from 0); the number in the name counts from 1."""
        if self.is_integrated:
            return self.master_name
        return f"{self.basename}_data_{file_index + 1:06d}.h5"

    def place(self, image_id: int) -> tuple[int, int]:
        """(file_index, row) of an image."""
        if self.images_per_file == 0:
            return 0, image_id
        return divmod(image_id, self.images_per_file)

    def is_own_file(self, file_index: int) -> bool:
        """Whether a data file is certainly this writer's: file k goes to socket k modulo `n_writers`."""
        socket = self.start.socket_number
        if self.only_writer or socket is None:
            return True
        return (file_index % self.n_writers if self.n_writers > socket else file_index) == socket

    def rows_in_file(self, file_index: int, n_images: int) -> int:
        """Rows of a closed data file of a run of `n_images` images (0 if the file lies beyond)."""
        if self.images_per_file == 0:
            return n_images if file_index == 0 else 0
        return max(0, min(self.images_per_file, n_images - file_index * self.images_per_file))

    def n_files(self, n_images: int) -> int:
        """Number of data files of a run of `n_images` images."""
        if n_images == 0:
            return 0
        return 1 if self.images_per_file == 0 else -(-n_images // self.images_per_file)
