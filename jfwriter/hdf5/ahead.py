"""The pixels of several images into an open file at once, before any of them is entered. Writer thread only.

Only what needs no decision: images that follow one another behind the last one of the file, and that are
stored as they came. If the run cannot go on with the file, what was written ahead is cut off with the rows
behind its last image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import h5py

from jfwriter.hdf5.chunk_calls import Chunk, write_chunks
from jfwriter.hdf5.image_dataset import ImageDataset
from jfwriter.session.orders import WriteImage


def write_ahead(file: h5py.File, images: Mapping[str, ImageDataset], orders: Sequence[WriteImage]) -> None:
    """`images`: the datasets of the file by channel. Raises StorageError if a dataset cannot be used further;
    what could not be written otherwise is left to those who write it next."""
    chosen = list(_following(images, orders))
    if len(chosen) < 2:
        return
    targets = [
        (dataset, order.row, order.image.channels[name].data)
        for order in chosen
        for name, dataset in images.items()
    ]
    numbers = {id(dataset): dataset.make_room(chosen[-1].row) for dataset in images.values()}
    sizes = write_chunks(file, [Chunk(numbers[id(dataset)], row, data) for dataset, row, data in targets])
    for (dataset, row, _), grown in zip(targets, pairwise(sizes), strict=False):
        dataset.is_ahead(row, grown)
    if len(sizes) <= len(targets):
        targets[len(sizes) - 1][0].look_again()


def _following(images: Mapping[str, ImageDataset], orders: Sequence[WriteImage]) -> Iterator[WriteImage]:
    """The first of `orders`, so far as they are rows behind all others and stored as they came."""
    end_row = max((dataset.end_row for dataset in images.values()), default=0)
    for order in orders:
        channels = order.image.channels
        if order.row < end_row or channels.keys() != images.keys():
            return
        if not all(dataset.takes(channels[name]) for name, dataset in images.items()):
            return
        end_row = order.row + 1
        yield order
