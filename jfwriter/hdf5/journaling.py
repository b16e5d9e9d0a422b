"""What of a data file goes into the journal. Writer thread only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import h5py

from jfwriter.hdf5.faults import storage_faults
from jfwriter.hdf5.image_dataset import Grown, ImageDataset, ImageFormat, StoredAs
from jfwriter.hdf5.publish import PendingFile
from jfwriter.journal.file_journal import FileJournal
from jfwriter.journal.image_record import packed
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

    def enter_ahead(
        self,
        orders: Sequence[WriteImage],
        images: Mapping[str, ImageDataset],
        grown: Sequence[Sequence[Grown]],
    ) -> None:
        """The same of the first of `orders`, which were written together; `grown`: for each of these, how the
        file grew by its chunks."""
        if self._journal.failure is not None:
            self.check()
        entries = []
        for order, growths in zip(orders, grown, strict=False):
            payloads = [order.image.channels[name] for name in images]
            places = [
                self._place_ahead(dataset, order.row, payload.data, growth)
                for dataset, payload, growth in zip(images.values(), payloads, growths, strict=True)
            ]
            entries.append(packed(order.image, order.row, payloads, places))
        self._journal.enter(entries)

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
        self._journal.enter([packed(image, row, payloads, self._places)])

    def _stored(self, data: memoryview | bytes) -> None:
        assert self._file is not None  # noqa: S101 `follow` comes first
        n_bytes = len(data)
        place, self._end = self._end, self._file.get_filesize()
        if not _is_alone((place, self._end), n_bytes):
            with storage_faults(f"cannot look at {self._name}"):
                place = self._journal.place_of(data)
        self._places.append((place, n_bytes))

    def _place_ahead(
        self, dataset: ImageDataset, row: int, data: memoryview, grown: Grown
    ) -> tuple[int, int]:
        """(offset, size) of a chunk that has others behind it: the end of the file is not its own."""
        before, after = grown
        n_bytes = data.nbytes
        if _is_alone(grown, n_bytes):
            return before, n_bytes
        with storage_faults(f"cannot look at {self._name}"):
            place = self._journal.place_among(data, (before, after - n_bytes))
        return (dataset.place(row) if place < 0 else place), n_bytes


def _is_alone(grown: Grown, n_bytes: int) -> bool:
    """Whether all that the file has grown by is a chunk of `n_bytes`."""
    before, after = grown
    return after - before == n_bytes > MOST_METADATA_BYTES


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
