"""The pixels of one or several images into an open file at once. Writer thread only.

Only what needs no decision: images that follow one another behind the last one of the file, and that are
stored as they came.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping, Sequence

import numpy as np

from jfwriter.hdf5.chunk_calls import Chunk, store_chunks
from jfwriter.hdf5.image_dataset import ImageDataset
from jfwriter.hdf5.pixel_layout import MAX_CHUNKS
from jfwriter.hdf5.pixel_space import PixelSpace
from jfwriter.session.orders import WriteImage

Place = tuple[int, int]
"""Offset of a chunk in its file, and its size, in bytes."""


def write_ahead(
    space: PixelSpace, images: Mapping[str, ImageDataset], orders: Sequence[WriteImage]
) -> Generator[list[tuple[Place, ...]]]:
    """`images`: the datasets of the file by channel; `space`: of that file.

    Yields where the chunks of each image lie, of the first of `orders`, some images at a time, when they are
    in the file with all their channels; what could not be written is left to those who write it next.
    Raises StorageError if a dataset cannot be used further: then what was not yielded is not in it. Close the
    iterator.
    """
    chosen = list(_following(images, orders))[: MAX_CHUNKS // max(len(images), 1)]
    if not chosen:
        return
    numbers = [dataset.make_room(chosen[-1].row) for dataset in images.values()]
    pixels = [
        [np.frombuffer(order.image.channels[name].data, np.uint8) for name in images] for order in chosen
    ]
    first = 0
    with contextlib.closing(space.put(pixels)) as parts:
        for places in parts:
            stop = first + len(places) // len(images)
            chunks = [
                Chunk(number, order.row, data)
                for order, channels in zip(chosen[first:stop], pixels[first:stop], strict=True)
                for number, data in zip(numbers, channels, strict=True)
            ]
            whole = _store(space, images, chunks, places)
            yield whole
            first += len(whole)
            if first < stop:
                return


def _store(
    space: PixelSpace, images: Mapping[str, ImageDataset], chunks: Sequence[Chunk], places: Sequence[int]
) -> list[tuple[Place, ...]]:
    found = store_chunks(space.driver, chunks, places)
    if len(found) < len(chunks):
        list(images.values())[len(found) % len(images)].look_again()
    stored = zip(chunks, found, strict=False)
    whole = []
    for channels in zip(*[stored] * len(images), strict=False):
        for dataset, (chunk, _) in zip(images.values(), channels, strict=True):
            dataset.was_written(chunk.row, chunk.data.data)
        whole.append(tuple((place, chunk.data.size) for chunk, place in channels))
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
