"""What of a data file goes into the journal. Writer thread only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import h5py

from jfwriter.hdf5.faults import storage_faults
from jfwriter.hdf5.image_dataset import Grown, ImageDataset, ImageFormat, StoredAs
from jfwriter.hdf5.publish import PendingFile
from jfwriter.journal.file_journal import FileJournal
from jfwriter.journal.interface import Journal
from jfwriter.payload import Payload
from jfwriter.session.orders import WriteImage
from jfwriter.wire.messages import ImageMessage

MOST_METADATA_BYTES = 1 << 16
"""HDF5 allocates less than that for the index when one chunk is stored: where the file has grown by a larger
chunk, it lies there."""


class ImageJournal:
    """Enters the images of one data file, each after its chunks were written.

    Methods raise StorageError where a sync of the data file has failed: what it holds may be lost then.
    """

    def __init__(self, journal: FileJournal, name: str) -> None:
        self._journal = journal
        self._name = name
        self._file: h5py.h5f.FileID | None = None
        self._end = 0
        self._places: list[tuple[int, int]] = []
        """(offset, size) of the chunks of the image in work; offset -1: it could not be told."""

    def follow(self, file: h5py.File) -> None:
        """The data file was made, and HDF5 has it open."""
        self._file = file.id

    def begin(self) -> StoredAs:
        """An image comes; what is returned wants each of its chunks once it is written."""
        assert self._file is not None  # noqa: S101 `follow` comes first
        self._places.clear()
        # HDF5 knows it without a system call, which would hand the interpreter to the event loop.
        self._end = self._file.get_filesize()
        return self._stored

    def enter(self, order: WriteImage, images: Mapping[str, ImageDataset]) -> None:
        """All chunks of the image are written. `images`: the datasets of the file, in storage order."""
        channels = order.image.channels
        self._enter(order.image, order.row, images, [channels[name] for name in images])

    def enter_copy(self, image_id: int, row: int, images: Mapping[str, ImageDataset]) -> None:
        """The same of chunks that were copied from another file: the rest of the message is not known."""
        self._enter(ImageMessage(series_id=0, image_id=image_id, channels={}), row, images, ())

    def forget(self) -> None:
        """One more of the images that were entered last is not there."""
        self._journal.forget()

    def knows(self, n_images: int) -> None:
        """So many of the images that are copied were counted as synced before."""
        self._journal.knows(n_images)

    def settle(self) -> None:
        """Bring the closed file to the disk."""
        with storage_faults(f"cannot sync {self._name}"):
            self._journal.settle()

    def check(self) -> None:
        """See that no sync has failed so far."""
        with storage_faults(f"cannot sync {self._name}"):
            self._journal.check()

    def _enter(
        self, image: ImageMessage, row: int, images: Mapping[str, ImageDataset], payloads: Sequence[Payload]
    ) -> None:
        if self._journal.failure is not None:
            self.check()
        for number, dataset in enumerate(images.values()):
            place, n_bytes = self._places[number]
            if place < 0:
                self._places[number] = dataset.place(row), n_bytes
        self._journal.enter(image, row, payloads, self._places)

    def _stored(self, data: memoryview | bytes, grown: Grown | None) -> None:
        assert self._file is not None  # noqa: S101 `follow` comes first
        n_bytes = len(data)
        before, after = grown or (self._end, self._file.get_filesize())
        self._end = after
        place = before
        if after - before != n_bytes or n_bytes <= MOST_METADATA_BYTES:
            with storage_faults(f"cannot look at {self._name}"):
                # What was written ahead has other chunks behind it: the end of the file is not its own.
                place = (
                    self._journal.place_of(data)
                    if grown is None
                    else self._journal.place_among(data, (before, after - n_bytes))
                )
        self._places.append((place, n_bytes))


def open_journal(
    journal: Journal | None,
    file_index: int,
    pending: PendingFile,
    formats: Mapping[str, ImageFormat],
    *,
    for_images: bool,
) -> ImageJournal | None:
    """For the data file `pending`, which is about to be made; None where no journal is kept.

    `for_images` False: none will come.
    """
    if journal is None:
        return None
    if not formats or not for_images:
        journal.making(pending.temporary_name)
        return None
    channels = [
        {"name": name, "shape": list(form.shape), "dtype": form.dtype.str, "codec": form.codec.value}
        for name, form in formats.items()
    ]
    opened = journal.open_file(
        file_index, pending.name, pending.temporary_name, channels, pending.directory.descriptor
    )
    return None if opened is None else ImageJournal(opened, pending.name)
