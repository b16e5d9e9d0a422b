"""The pixels of several images into an open file at once. Writer thread only.

Only what needs no decision: images that follow one another behind the last one of the file, and that are
stored as they came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import h5py

from jfwriter.hdf5.chunk_calls import Chunk, write_chunks
from jfwriter.hdf5.image_dataset import Grown, ImageDataset
from jfwriter.session.orders import WriteImage


def write_ahead(
    file: h5py.File, images: Mapping[str, ImageDataset], orders: Sequence[WriteImage]
) -> list[tuple[Grown, ...]]:
    """`images`: the datasets of the file by channel.

    Returns how the file grew by the chunks of each image, of the first of `orders` that are in it by now with
    all their channels; what could not be written is left to those who write it next. Raises StorageError if a
    dataset cannot be used further: then none is in it.
    """
    chosen = list(_following(images, orders))
    if len(chosen) < 2:
        return []
    datasets = list(images.values())
    numbers = [dataset.make_room(chosen[-1].row) for dataset in datasets]
    payloads = [[order.image.channels[name].data for name in images] for order in chosen]
    chunks = [
        Chunk(number, order.row, data)
        for order, channels in zip(chosen, payloads, strict=True)
        for number, data in zip(numbers, channels, strict=True)
    ]
    grown = list(pairwise(write_chunks(file, chunks)))
    if len(grown) < len(chunks):
        datasets[len(grown) % len(datasets)].look_again()
    whole = list(zip(*[iter(grown)] * len(datasets), strict=False))
    for order, channels, _ in zip(chosen, payloads, whole, strict=False):
        for dataset, data in zip(datasets, channels, strict=True):
            dataset.was_written(order.row, data)
    return whole


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
