"""One data file: images and per-image datasets under a temporary name, then checked and published.

Writer thread only. The single file of the integrated layout is a data file too: the master's content is
written into it before it is sealed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import h5py
import numpy as np
from h5py._objects import phil

from jfwriter.errors import StorageError
from jfwriter.hdf5.checksums import checksum_path, write_checksums
from jfwriter.hdf5.direct_io import DirectIO
from jfwriter.hdf5.faults import STORAGE_FAULTS, storage_faults
from jfwriter.hdf5.file_driver import driver
from jfwriter.hdf5.file_facts import ChannelFacts, DatasetFacts, FileFacts
from jfwriter.hdf5.file_images import FileImages
from jfwriter.hdf5.file_versions import DATA_FILE, SINGLE_FILE
from jfwriter.hdf5.image_dataset import ImageFormat, Scratch
from jfwriter.hdf5.journaling import open_journal
from jfwriter.hdf5.new_file import new_file
from jfwriter.hdf5.original_numbers import OriginalNumbers
from jfwriter.hdf5.per_image_links import PER_IMAGE_GROUPS
from jfwriter.hdf5.pixel_space import PixelSpace
from jfwriter.hdf5.plugin import StoredDataset
from jfwriter.hdf5.plugin_set import PluginSet, Rows
from jfwriter.hdf5.publish import PendingFile
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.hdf5.verify import Counted, check_extents
from jfwriter.journal.interface import Journal
from jfwriter.nexus import fields, times
from jfwriter.nexus.entry import entry
from jfwriter.nexus.root import root
from jfwriter.session.plan import FileFormat, RunPlan
from jfwriter.software import SOFTWARE
from jfwriter.wire.messages import ImageMessage

CLOSING_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class FileParts:
    """What all data files of a run share."""

    plan: RunPlan
    directory: RunDirectory
    plugins: PluginSet
    scratch: Scratch
    journal: Journal | None = None
    original_numbers: OriginalNumbers = field(default_factory=OriginalNumbers)
    """Of the images that were written."""
    direct_io: DirectIO | None = None
    """None: pixels go through the page cache."""


@dataclass(frozen=True, slots=True)
class FilledRows:
    """What a data file holds once its rows are final."""

    n_rows: int
    n_written: int
    datasets: tuple[StoredDataset, ...]
    image_groups: tuple[tuple[int, str], ...]


class DataFile:
    """Open for images until `fill`; then `seal` and `publish`, or `abandon` at any time.

    `formats` maps the channels to how their images are stored, in storage order: the first is
    `/entry/data/data`, the others `/entry/channels/<name>/data`. Empty: a file for no image at all.
    All methods raise StorageError where the file cannot be created, extended, written or closed.
    """

    def __init__(
        self,
        parts: FileParts,
        file_index: int,
        formats: Mapping[str, ImageFormat],
        *,
        for_images: bool = True,
    ) -> None:
        """`for_images` False: none will come."""
        plan = parts.plan
        self.file_index = file_index
        self.name = plan.data_file_name(file_index)
        self._plan = plan
        self._first_image = file_index * plan.images_per_file
        self._pending = PendingFile(parts.directory, self.name)
        self._journal = open_journal(parts.journal, file_index, self._pending, formats, for_images=for_images)
        try:
            self._file, space = _create(self._pending.path, plan, self.name, parts.direct_io)
        except BaseException:
            self._discard(parts.journal)  # HDF5 may have failed after it had made the file
            raise
        self.images = FileImages(
            self._file,
            self.name,
            self._first_image,
            space,
            writes_early=plan.sync or self._journal is not None,
        )
        self._filled: FilledRows | None = None
        self._least_chunks = 0
        self._is_closed = False
        self._may_be_synced = False
        self.size_bytes = 0
        """Of the published file."""
        self._directory = parts.directory
        try:
            with storage_faults(f"cannot create {self.name}"):
                group = _frame(self._file, plan, self.name)
                self.images.make(group, formats, parts.scratch, checksums=plan.checksums)
            capacity = plan.images_per_file or plan.n_images_planned or 0
            self._rows = parts.plugins.open_file(group, capacity) if formats else None
            if self._journal is not None and parts.journal is not None:
                self._journal = self._journal if parts.journal.follow_file(file_index) else None
            if self._journal is not None:
                self.images.follow(self._journal)
        except BaseException:
            self._force_close()
            self._discard(parts.journal)
            raise

    @property
    def h5(self) -> h5py.File:
        """The open file, for the master's content of the integrated layout."""
        return self._file

    @property
    def relative_name(self) -> str:
        """Final name relative to the root; absolute in the second one."""
        return self._directory.relative(self.name)

    @property
    def first_image(self) -> int:
        """Number of the image of row 0."""
        return self._first_image

    @property
    def can_be_filled(self) -> bool:
        """Whether nobody has tried yet to bring it to its end."""
        return self._filled is None and not self._is_closed

    def append_rows(self, row: int, image: ImageMessage, rows: Rows) -> None:
        """Store the per-image quantities of `image` at `row`; `rows`: what the plugins made of it."""
        if self._rows is not None:
            self._rows.append(row, image, rows)

    def fill(self, n_rows: int, *, fill_gaps: bool) -> FilledRows:
        """Make `n_rows` rows final in every dataset. `fill_gaps`: store fill values where no image came."""
        n_written = self.images.n_written
        self._least_chunks = n_rows if fill_gaps else n_written
        self.images.finish(n_rows, fill_gaps=fill_gaps)
        datasets = () if self._rows is None else self._rows.finish(n_rows)
        groups = () if self._rows is None else tuple(self._rows.image_groups)
        datasets += self._write_checksums(n_rows)
        self._filled = FilledRows(n_rows, n_written, datasets, groups)
        return self._filled

    def _write_checksums(self, n_rows: int) -> tuple[StoredDataset, ...]:
        stored = []
        for number, (name, images) in enumerate(self.images.by_channel.items()):
            if images.checksums is not None:
                path = checksum_path(name if number else None, integrated=self._plan.is_integrated)
                stored.append(write_checksums(self._file["entry"], path, images.checksums, n_rows))
        return tuple(stored)

    def seal(self) -> None:
        """Close the file, and read back that all datasets have the rows and images that were counted."""
        assert self._filled is not None  # noqa: S101 `fill` comes first
        self.images.close()
        with storage_faults(f"cannot close {self.name}"):
            self._file.close()
        self._is_closed = True
        paths = [stored.path for stored in self._filled.datasets]
        counted = Counted(self._filled.n_rows, paths, self.images.paths(), self._least_chunks)
        check_extents(self._pending.path, self.name, counted)

    def facts(self, original_numbers: OriginalNumbers) -> FileFacts:
        """What the sealed file holds. `original_numbers`: of the images of the run."""
        assert self._filled is not None  # noqa: S101 `fill` comes first
        channels = self.images.by_channel
        main = next(iter(channels.values()), None)
        return FileFacts(
            file_index=self.file_index,
            n_rows=self._filled.n_rows,
            n_written=self._filled.n_written,
            size_bytes=self._pending.size_bytes(),
            rows=() if main is None else tuple(main.ranges()),
            channels=tuple(ChannelFacts.of(name, images.format) for name, images in channels.items()),
            datasets=tuple(DatasetFacts.of(stored) for stored in self._filled.datasets),
            image_groups=self._filled.image_groups,
            original_numbers=original_numbers.pairs(
                self._first_image + np.flatnonzero(self.images.written_rows())
            ),
        )

    def publish(self) -> int:
        """Give the sealed file its final name; returns its size in bytes."""
        self._may_be_synced = True
        if self._journal is not None:
            (self._journal.settle if self._plan.sync else self._journal.check)()
        self.size_bytes = self._pending.publish(overwrite=self._plan.overwrite, sync=self._plan.sync)
        return self.size_bytes

    @property
    def may_be_read_back(self) -> bool:
        """Whether nothing has been synced yet: after a failed sync, what is read may not be on the disk."""
        return not self._may_be_synced

    def call_it(self, name: str) -> None:
        """Another final name."""
        self.name = self._pending.name = name

    def path_now(self) -> str:
        """Where the file can be opened before it is published."""
        return self._pending.path

    def abandon(self, *, storage_works: bool) -> str | None:
        """Close without publishing, whatever state the file is in; never raises.

        Rows behind the last image are cut, as a failed write leaves one that reads as an image. The
        per-image datasets are only written where `storage_works`. A file that holds images stays under its
        temporary name, which is returned; another one is removed.
        """
        if self._is_closed:
            return self._pending.temporary_name
        n_rows, n_images = self.images.end_row, self.images.n_written
        self.images.cut()
        if storage_works and self._rows is not None and self._filled is None:
            with contextlib.suppress(StorageError):
                self._rows.finish(n_rows)
        self._force_close()
        if n_images == 0:
            self._pending.discard()
            return None
        return self._pending.temporary_name

    def _discard(self, journal: Journal | None) -> None:
        """A file that could not be made."""
        self._pending.discard()
        if journal is not None:
            journal.drop_file(self.file_index)

    def _force_close(self) -> None:
        """The file before its datasets: closing it closes what is open in it, and does so once more where a
        first try failed as there was no room; a dataset that fails while it is let go only prints that.
        """
        for _ in range(CLOSING_ATTEMPTS):
            with contextlib.suppress(*STORAGE_FAULTS):
                self._file.close()
                break
        self.images.close()
        self._is_closed = True


def _create(
    path: str, plan: RunPlan, name: str, direct_io: DirectIO | None
) -> tuple[h5py.File, PixelSpace | None]:
    """The file, and its end where this HDF5 lets it be written."""
    libver = SINGLE_FILE if plan.is_integrated else DATA_FILE
    own = driver()
    # No other thread makes a file before the driver has told which one it has made.
    with storage_faults(f"cannot create {name}"), phil:
        file = new_file(path, libver, own)
        return file, None if own is None else PixelSpace(file, name, own, own.made(), direct_io)


def _frame(file: h5py.File, plan: RunPlan, name: str) -> h5py.Group:
    """`/entry` of a file to be called `name`, with what all data files have."""
    root(file, "/".join((*plan.directory, name)), times.from_unix(time.time()), SOFTWARE)
    group = entry(file)
    fields.group(group, "data", "NXdata")
    if plan.format is FileFormat.NXmxVDS and not plan.only_writer:
        for per_image in PER_IMAGE_GROUPS:
            fields.collection(group, per_image)
    return group
