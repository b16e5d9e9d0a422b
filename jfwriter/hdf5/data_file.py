"""One data file: images and per-image datasets under a temporary name, then checked and published.

Writer thread only. The single file of the integrated layout is a data file too: the master's content is
written into it before it is sealed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.errors import PayloadError, StorageError
from jfwriter.hdf5.ahead import write_ahead
from jfwriter.hdf5.checksums import RowChecksums, checksum_path, most_unlike, write_checksums
from jfwriter.hdf5.faults import STORAGE_FAULTS, storage_faults
from jfwriter.hdf5.file_facts import ChannelFacts, DatasetFacts, FileFacts
from jfwriter.hdf5.file_versions import DATA_FILE, SINGLE_FILE
from jfwriter.hdf5.image_dataset import ImageDataset, ImageFormat, Scratch, fill_chunk
from jfwriter.hdf5.journaling import open_journal
from jfwriter.hdf5.new_file import new_file
from jfwriter.hdf5.original_numbers import OriginalNumbers
from jfwriter.hdf5.per_image_links import PER_IMAGE_GROUPS
from jfwriter.hdf5.plugin import StoredDataset
from jfwriter.hdf5.plugin_set import PluginSet, Rows
from jfwriter.hdf5.publish import PendingFile
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.hdf5.verify import Counted, check_extents
from jfwriter.hdf5.writeback import Writeback
from jfwriter.journal.interface import Journal
from jfwriter.nexus import fields, times
from jfwriter.nexus.entry import entry
from jfwriter.nexus.root import root
from jfwriter.payload import Payload
from jfwriter.session.orders import Likeness, WriteImage
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
            self._file = _create(self._pending.path, plan, self.name)
        except BaseException:
            self._discard(parts.journal)  # HDF5 may have failed after it had made the file
            raise
        self._images: dict[str, ImageDataset] = {}
        self._filled: FilledRows | None = None
        self._least_chunks = 0
        self._image_bytes = 0
        self._writeback = Writeback(self._file) if plan.sync or self._journal is not None else None
        self._is_closed = False
        self._may_be_synced = False
        self.size_bytes = 0
        """Of the published file."""
        self._directory = parts.directory
        try:
            with storage_faults(f"cannot create {self.name}"):
                group = _frame(self._file, plan, self.name)
                parents = _parents(group, list(formats))
            for name, image_format in formats.items():
                self._images[name] = ImageDataset(
                    parents[name],
                    "data",
                    image_format,
                    scratch=parts.scratch,
                    checksums=RowChecksums() if plan.checksums else None,
                )
            capacity = plan.images_per_file or plan.n_images_planned or 0
            self._rows = parts.plugins.open_file(group, capacity) if formats else None
            if self._journal is not None and parts.journal is not None:
                self._journal = self._journal if parts.journal.follow_file(file_index) else None
            if self._journal is not None:
                self._journal.follow(self._file)
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
    def n_written(self) -> int:
        """Images of the main channel."""
        return next((images.n_written for images in self._images.values()), 0)

    @property
    def end_row(self) -> int:
        """One behind the last row that holds an image."""
        return max((images.end_row for images in self._images.values()), default=0)

    def written_rows(self) -> npt.NDArray[np.bool_]:
        """Which rows hold an image, up to the last one that does."""
        main = next(iter(self._images.values()), None)
        return np.zeros(0, np.bool_) if main is None else main.written_rows()

    @property
    def first_image(self) -> int:
        """Number of the image of row 0."""
        return self._first_image

    def image_ids(self) -> Iterable[int]:
        """The images that the file holds."""
        main = next(iter(self._images.values()), None)
        if main is None:
            return ()
        return (self._first_image + row for row in range(main.end_row) if main.has(row))

    @property
    def can_be_filled(self) -> bool:
        """Whether nobody has tried yet to bring it to its end."""
        return self._filled is None and not self._is_closed

    def holds(self, row: int) -> bool:
        return any(images.has(row) for images in self._images.values())

    def write(self, row: int, channels: Mapping[str, Payload]) -> int:
        """Store the channels of one image; returns the bytes stored.

        Raises PayloadError if the image cannot be stored; then no channel of it counts as stored.
        """
        if channels.keys() != self._images.keys():
            text = f"{self.name}, row {row}: channels {list(channels)}, expected {list(self._images)}"
            raise PayloadError("wrong_channel", text)
        n_bytes = 0
        stored = None if self._journal is None else self._journal.begin()
        for name, images in self._images.items():
            try:
                n_bytes += images.write(row, channels[name], stored)
            except PayloadError:
                self._take_back(row)
                raise
        self._wrote(n_bytes)
        return n_bytes

    def _wrote(self, n_bytes: int) -> None:
        self._image_bytes += n_bytes
        if self._writeback is not None:
            self._writeback.wrote(n_bytes)

    def write_ahead(self, orders: Sequence[WriteImage]) -> list[int]:
        """Store the first of `orders`, if that needs no decision, and enter them; the bytes of each."""
        grown = write_ahead(self._file, self._images, orders)
        if self._journal is not None and grown:
            self._journal.enter_ahead(orders, self._images, grown)
        sizes = [
            sum(order.image.channels[name].data.nbytes for name in self._images)
            for order, _ in zip(orders, grown, strict=False)
        ]
        self._wrote(sum(sizes))
        return sizes

    def compare(self, row: int, channels: Mapping[str, Payload]) -> Likeness:
        """Of `channels`, whose framing is not checked, with the image at `row`. Raises nothing."""
        if not self.holds(row):
            return Likeness.UNKNOWN
        if channels.keys() != self._images.keys():
            return Likeness.DIFFERS
        return most_unlike(images.compare(row, channels[name]) for name, images in self._images.items())

    def enter(self, order: WriteImage) -> None:
        """Into the journal, if there is one: the image that was written last."""
        if self._journal is not None:
            self._journal.enter(order, self._images)

    def append_rows(self, row: int, image: ImageMessage, rows: Rows) -> None:
        """Store the per-image quantities of `image` at `row`; `rows`: what the plugins made of it."""
        if self._rows is not None:
            self._rows.append(row, image, rows)

    @property
    def image_bytes(self) -> int:
        """Payload bytes stored so far."""
        return self._image_bytes

    def gap_bytes(self, n_rows: int) -> int:
        """What filling the rows without image, of `n_rows` in all, takes."""
        return sum(
            (n_rows - images.n_written) * len(fill_chunk(images.format)) for images in self._images.values()
        )

    def fill(self, n_rows: int, *, fill_gaps: bool) -> FilledRows:
        """Make `n_rows` rows final in every dataset. `fill_gaps`: store fill values where no image came."""
        n_written = self.n_written
        self._least_chunks = n_rows if fill_gaps else n_written
        for images in self._images.values():
            images.finish(n_rows, fill_gaps=fill_gaps, first_image_nr=self._first_image + 1)
        datasets = () if self._rows is None else self._rows.finish(n_rows)
        groups = () if self._rows is None else tuple(self._rows.image_groups)
        datasets += self._write_checksums(n_rows)
        self._filled = FilledRows(n_rows, n_written, datasets, groups)
        return self._filled

    def _write_checksums(self, n_rows: int) -> tuple[StoredDataset, ...]:
        stored = []
        for number, (name, images) in enumerate(self._images.items()):
            if images.checksums is not None:
                path = checksum_path(name if number else None, integrated=self._plan.is_integrated)
                stored.append(write_checksums(self._file["entry"], path, images.checksums, n_rows))
        return tuple(stored)

    def seal(self) -> None:
        """Close the file, and read back that all datasets have the rows and images that were counted."""
        assert self._filled is not None  # noqa: S101 `fill` comes first
        for images in self._images.values():
            images.close()
        with storage_faults(f"cannot close {self.name}"):
            self._file.close()
        self._is_closed = True
        paths = [stored.path for stored in self._filled.datasets]
        image_paths = [image_path(number, name) for number, name in enumerate(self._images)]
        counted = Counted(self._filled.n_rows, paths, image_paths, self._least_chunks)
        check_extents(self._pending.path, self.name, counted)

    def facts(self, original_numbers: OriginalNumbers) -> FileFacts:
        """What the sealed file holds. `original_numbers`: of the images of the run."""
        assert self._filled is not None  # noqa: S101 `fill` comes first
        main = next(iter(self._images.values()), None)
        return FileFacts(
            file_index=self.file_index,
            n_rows=self._filled.n_rows,
            n_written=self._filled.n_written,
            size_bytes=self._pending.size_bytes(),
            rows=() if main is None else tuple(main.ranges()),
            channels=tuple(ChannelFacts.of(name, images.format) for name, images in self._images.items()),
            datasets=tuple(DatasetFacts.of(stored) for stored in self._filled.datasets),
            image_groups=self._filled.image_groups,
            original_numbers=original_numbers.pairs(self._first_image + np.flatnonzero(self.written_rows())),
        )

    def publish(self) -> int:
        """Give the sealed file its final name; returns its size in bytes."""
        self._may_be_synced = True
        if self._journal is not None:
            (self._journal.settle if self._plan.sync else self._journal.check)()
        self.size_bytes = self._pending.publish(overwrite=self._plan.overwrite, sync=self._plan.sync)
        return self.size_bytes

    @property
    def formats(self) -> dict[str, ImageFormat]:
        return {name: images.format for name, images in self._images.items()}

    @property
    def may_be_read_back(self) -> bool:
        """Whether nothing has been synced yet: after a failed sync, what is read may not be on the disk."""
        return not self._may_be_synced

    def forget(self, row: int) -> None:
        """The image at `row` is not there, or not in all channels."""
        if self._journal is not None and self.holds(row):
            self._journal.forget()
        for images in self._images.values():
            images.forget(row)

    def call_it(self, name: str) -> None:
        """Another final name."""
        self.name = self._pending.name = name

    def path_now(self) -> str:
        """Where the file can be opened before it is published."""
        return self._pending.path

    def adopt(self, row: int, chunks: Mapping[str, bytes]) -> None:
        """Store the chunks of an image that stand in another file of the same formats."""
        stored = None if self._journal is None else self._journal.begin()
        for name, images in self._images.items():
            images.adopt(row, chunks[name], stored)
        if self._journal is not None:
            self._journal.enter_copy(self._first_image + row, row, self._images)

    def knows(self, n_images: int) -> None:
        """So many of the images that are adopted were counted as synced in the other file."""
        if self._journal is not None:
            self._journal.knows(n_images)

    def abandon(self, *, storage_works: bool) -> str | None:
        """Close without publishing, whatever state the file is in; never raises.

        Rows behind the last image are cut, as a failed write leaves one that reads as an image. The
        per-image datasets are only written where `storage_works`. A file that holds images stays under its
        temporary name, which is returned; another one is removed.
        """
        if self._is_closed:
            return self._pending.temporary_name
        n_rows, n_images = self.end_row, self.n_written
        for images in self._images.values():
            with contextlib.suppress(StorageError):
                images.cut()
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

    def _take_back(self, row: int) -> None:
        for images in self._images.values():
            if images.has(row):
                images.erase(row)

    def _force_close(self) -> None:
        """The file before its datasets: closing it closes what is open in it, and does so once more where a
        first try failed as there was no room; a dataset that fails while it is let go only prints that.
        """
        for _ in range(CLOSING_ATTEMPTS):
            with contextlib.suppress(*STORAGE_FAULTS):
                self._file.close()
                break
        for images in self._images.values():
            images.close()
        self._is_closed = True


def _create(path: str, plan: RunPlan, name: str) -> h5py.File:
    libver = SINGLE_FILE if plan.is_integrated else DATA_FILE
    with storage_faults(f"cannot create {name}"):
        return new_file(path, libver)


def _frame(file: h5py.File, plan: RunPlan, name: str) -> h5py.Group:
    """`/entry` of a file to be called `name`, with what all data files have."""
    root(file, "/".join((*plan.directory, name)), times.from_unix(time.time()), SOFTWARE)
    group = entry(file)
    fields.group(group, "data", "NXdata")
    if plan.format is FileFormat.NXmxVDS and not plan.only_writer:
        for per_image in PER_IMAGE_GROUPS:
            fields.collection(group, per_image)
    return group


def _parents(group: h5py.Group, channels: Sequence[str]) -> dict[str, h5py.Group]:
    """The group of each channel's dataset `data`."""
    parents: dict[str, h5py.Group] = {}
    for name in channels:
        if not parents:
            parents[name] = group["data"]
            fields.attribute(group["data"], "signal", "data")
        else:
            parents[name] = fields.collection(fields.collection(group, "channels"), name)
    return parents


def image_path(number: int, name: str) -> str:
    """Of the dataset of channel `name`, the `number`-th one of its file."""
    return "/entry/data/data" if number == 0 else f"/entry/channels/{name}/data"
