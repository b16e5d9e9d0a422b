"""What of a data file goes into the journal. Writer thread only."""

from __future__ import annotations

from collections.abc import Mapping

import h5py

from jfwriter.hdf5.faults import storage_faults
from jfwriter.hdf5.image_dataset import ImageDataset, ImageFormat, StoredAs
from jfwriter.hdf5.publish import PendingFile
from jfwriter.journal.file_journal import FileJournal
from jfwriter.journal.interface import Journal
from jfwriter.session.orders import WriteImage
from jfwriter.wire.messages import ImageMessage


class ImageJournal:
    """Enters the images of one data file, each after its chunks were written.

    Methods raise StorageError where a sync of the data file has failed: what it holds may be lost then.
    """

    def __init__(self, journal: FileJournal, name: str) -> None:
        self._journal = journal
        self._syncing = storage_faults(f"cannot sync {name}")
        self._looking = storage_faults(f"cannot look at {name}")
        self._file: h5py.h5f.FileID | None = None
        self._end = 0
        self._places: list[tuple[int | None, int]] = []

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
        places = self._all_places(order.row, images)
        image = order.image
        payloads = [image.channels[name] for name in images]
        with self._syncing:
            self._journal.enter(image, order.row, payloads, places)

    def enter_copy(self, image_id: int, row: int, images: Mapping[str, ImageDataset]) -> None:
        """The same of chunks that were copied from another file: the rest of the message is not known."""
        unknown = ImageMessage(series_id=0, image_id=image_id, channels={})
        places = self._all_places(row, images)
        with self._syncing:
            self._journal.enter(unknown, row, (), places)

    def knows(self, n_images: int) -> None:
        """So many of the images that are copied were counted as synced before."""
        self._journal.knows(n_images)

    def settle(self) -> None:
        """Bring the closed file to the disk."""
        with self._syncing:
            self._journal.settle()

    def check(self) -> None:
        """See that no sync has failed so far."""
        with self._syncing:
            self._journal.check()

    def _all_places(self, row: int, images: Mapping[str, ImageDataset]) -> list[tuple[int, int]]:
        return [
            (dataset.place(row) if place is None else place, n_bytes)
            for dataset, (place, n_bytes) in zip(images.values(), self._places, strict=True)
        ]

    def _stored(self, data: memoryview | bytes) -> None:
        assert self._file is not None  # noqa: S101 `follow` comes first
        with self._looking:
            before, self._end = self._end, self._file.get_filesize()
            self._places.append((self._journal.place_of(data, before, self._end), len(data)))


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
