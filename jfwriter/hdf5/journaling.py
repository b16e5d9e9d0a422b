"""What of a data file goes into the journal. Writer thread only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jfwriter.hdf5.ahead import Place
from jfwriter.hdf5.faults import storage_faults
from jfwriter.hdf5.image_dataset import ImageDataset, ImageFormat, StoredAs
from jfwriter.hdf5.publish import PendingFile
from jfwriter.journal.file_journal import FileJournal
from jfwriter.journal.image_record import packed
from jfwriter.journal.interface import Journal
from jfwriter.payload import Payload
from jfwriter.session.orders import WriteImage
from jfwriter.wire.messages import ImageMessage


class ImageJournal:
    """Enters the images of one data file, each after its chunks were written.

    Methods raise StorageError where a sync of the data file has failed: what it holds may be lost then.
    """

    def __init__(self, journal: FileJournal, name: str) -> None:
        self._journal = journal
        self._name = name
        self._places: list[Place] = []
        """Of the chunks of the image in work; offset -1: it could not be told."""

    def begin(self) -> StoredAs:
        """An image comes; what is returned wants each of its chunks once it is written."""
        self._places.clear()
        return self._stored

    def enter(self, order: WriteImage, images: Mapping[str, ImageDataset]) -> None:
        """All chunks of the image are written. `images`: the datasets of the file, in storage order."""
        channels = order.image.channels
        self._enter(order.image, order.row, images, [channels[name] for name in images])

    def enter_ahead(
        self,
        orders: Sequence[WriteImage],
        images: Mapping[str, ImageDataset],
        places: Sequence[Sequence[Place]],
    ) -> None:
        """The same of images that were written together; `places`: for each of them, where its chunks lie."""
        if self._journal.failure is not None:
            self.check()
        entries = [
            packed(order.image, order.row, [order.image.channels[name] for name in images], of_image)
            for order, of_image in zip(orders, places, strict=True)
        ]
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

    def _stored(self, place: int, n_bytes: int) -> None:
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
