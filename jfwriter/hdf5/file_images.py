"""The images of one data file: a dataset for each channel, and the journal of what is in them.

Writer thread only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Mapping, Sequence

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.errors import PayloadError, StorageError
from jfwriter.hdf5.ahead import write_ahead
from jfwriter.hdf5.checksums import RowChecksums, most_unlike
from jfwriter.hdf5.image_dataset import ImageDataset, ImageFormat, Scratch, fill_chunk
from jfwriter.hdf5.journaling import ImageJournal
from jfwriter.hdf5.pixel_space import PixelSpace
from jfwriter.hdf5.writeback import Writeback
from jfwriter.nexus import fields
from jfwriter.payload import Payload
from jfwriter.session.orders import Likeness, WriteImage


class FileImages:
    """Of the open `file`, to be called `name`, whose row 0 is image `first_image`; `make` the datasets first.

    With several channels an image is there if all of them are. Methods raise StorageError where the file
    cannot be extended or written.
    """

    def __init__(
        self, file: h5py.File, name: str, first_image: int, space: PixelSpace | None, *, writes_early: bool
    ) -> None:
        """`space`: of the file, None if HDF5 has its own driver for it. `writes_early`: what is written is on
        its way to the disk before somebody syncs it."""
        self.by_channel: dict[str, ImageDataset] = {}
        """In storage order: the first is the main one."""
        self.n_bytes = 0
        """Payload bytes stored so far."""
        self._space = space
        self._name = name
        self._first_image = first_image
        self._writeback = Writeback(file) if writes_early else None
        self._journal: ImageJournal | None = None

    def make(
        self, group: h5py.Group, formats: Mapping[str, ImageFormat], scratch: Scratch, *, checksums: bool
    ) -> None:
        """The datasets of the channels below `/entry`, which is `group`. Raises StorageError, and what h5py
        raises where a group cannot be made."""
        for number, (name, image_format) in enumerate(formats.items()):
            self.by_channel[name] = ImageDataset(
                _parent(group, number, name),
                "data",
                image_format,
                scratch=scratch,
                checksums=RowChecksums() if checksums else None,
                driver=None if self._space is None else self._space.driver,
            )

    def follow(self, journal: ImageJournal) -> None:
        """From now on each image is entered there."""
        self._journal = journal

    @property
    def n_written(self) -> int:
        """Images of the main channel."""
        return next((images.n_written for images in self.by_channel.values()), 0)

    @property
    def end_row(self) -> int:
        """One behind the last row that holds an image."""
        return max((images.end_row for images in self.by_channel.values()), default=0)

    def written_rows(self) -> npt.NDArray[np.bool_]:
        """Which rows hold an image, up to the last one that does."""
        main = next(iter(self.by_channel.values()), None)
        return np.zeros(0, np.bool_) if main is None else main.written_rows()

    def image_ids(self) -> Iterable[int]:
        """The images that the file holds."""
        main = next(iter(self.by_channel.values()), None)
        if main is None:
            return ()
        return (self._first_image + row for row in range(main.end_row) if main.has(row))

    def holds(self, row: int) -> bool:
        return any(images.has(row) for images in self.by_channel.values())

    def write(self, row: int, channels: Mapping[str, Payload]) -> int:
        """Store the channels of one image; returns the bytes stored.

        Raises PayloadError if the image cannot be stored; then no channel of it counts as stored.
        """
        if channels.keys() != self.by_channel.keys():
            text = f"{self._name}, row {row}: channels {list(channels)}, expected {list(self.by_channel)}"
            raise PayloadError("wrong_channel", text)
        n_bytes = 0
        stored = None if self._journal is None else self._journal.begin()
        for name, images in self.by_channel.items():
            try:
                n_bytes += images.write(row, channels[name], stored)
            except PayloadError:
                self._take_back(row)
                raise
        self._wrote(n_bytes)
        return n_bytes

    def write_ahead(self, orders: Sequence[WriteImage]) -> Generator[int]:
        """Store the first of `orders`, if that needs no decision, and enter them; yields the bytes of each.
        Close the iterator."""
        if self._space is None:
            return
        n_stored = 0
        with contextlib.closing(write_ahead(self._space, self.by_channel, orders)) as stored:
            for places in stored:
                of_these = orders[n_stored : n_stored + len(places)]
                n_stored += len(places)
                if self._journal is not None:
                    self._journal.enter_ahead(of_these, self.by_channel, places)
                sizes = [sum(n_bytes for _, n_bytes in chunks) for chunks in places]
                self._wrote(sum(sizes))
                yield from sizes

    def compare(self, row: int, channels: Mapping[str, Payload]) -> Likeness:
        """Of `channels`, whose framing is not checked, with the image at `row`. Raises nothing."""
        if not self.holds(row):
            return Likeness.UNKNOWN
        if channels.keys() != self.by_channel.keys():
            return Likeness.DIFFERS
        return most_unlike(images.compare(row, channels[name]) for name, images in self.by_channel.items())

    def enter(self, order: WriteImage) -> None:
        """Into the journal, if there is one: the image that was written last."""
        if self._journal is not None:
            self._journal.enter(order, self.by_channel)

    def gap_bytes(self, n_rows: int) -> int:
        """What filling the rows without image, of `n_rows` in all, takes."""
        every = self.by_channel.values()
        return sum((n_rows - images.n_written) * len(fill_chunk(images.format)) for images in every)

    @property
    def formats(self) -> dict[str, ImageFormat]:
        return {name: images.format for name, images in self.by_channel.items()}

    def forget(self, row: int) -> None:
        """The image at `row` is not there, or not in all channels."""
        if self._journal is not None and self.holds(row):
            self._journal.forget()
        for images in self.by_channel.values():
            images.forget(row)

    def adopt(self, row: int, chunks: Mapping[str, bytes]) -> None:
        """Store the chunks of an image that stand in another file of the same formats."""
        stored = None if self._journal is None else self._journal.begin()
        for name, images in self.by_channel.items():
            images.adopt(row, chunks[name], stored)
        if self._journal is not None:
            self._journal.enter_copy(self._first_image + row, row, self.by_channel)

    def knows(self, n_images: int) -> None:
        """So many of the images that are adopted were counted as synced in the other file."""
        if self._journal is not None:
            self._journal.knows(n_images)

    def finish(self, n_rows: int, *, fill_gaps: bool) -> None:
        """Bring all datasets to `n_rows` rows. `fill_gaps`: store fill values where no image came."""
        for images in self.by_channel.values():
            images.finish(n_rows, fill_gaps=fill_gaps, first_image_nr=self._first_image + 1)

    def cut(self) -> None:
        """Drop the rows behind the last image, as far as that can be done."""
        for images in self.by_channel.values():
            with contextlib.suppress(StorageError):
                images.cut()

    def close(self) -> None:
        """Let go of the HDF5 handles."""
        for images in self.by_channel.values():
            images.close()
        if self._space is not None:
            self._space.close()

    def paths(self) -> list[str]:
        """Of the datasets."""
        return [image_path(number, name) for number, name in enumerate(self.by_channel)]

    def _wrote(self, n_bytes: int) -> None:
        self.n_bytes += n_bytes
        if self._writeback is not None:
            self._writeback.wrote(n_bytes)

    def _take_back(self, row: int) -> None:
        for images in self.by_channel.values():
            if images.has(row):
                images.erase(row)


def image_path(number: int, name: str) -> str:
    """Of the dataset of channel `name`, the `number`-th one of its file."""
    return "/entry/data/data" if number == 0 else f"/entry/channels/{name}/data"


def _parent(group: h5py.Group, number: int, name: str) -> h5py.Group:
    """The group of the dataset of a channel."""
    if number == 0:
        fields.attribute(group["data"], "signal", "data")
        return group["data"]
    return fields.collection(fields.collection(group, "channels"), name)
