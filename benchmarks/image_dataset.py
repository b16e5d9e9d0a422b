"""What an image dataset adds to HDF5's direct chunk write.

    python -m benchmarks.image_dataset [--size module|4M|16M] [--images N] [--directory DIR]

Both contestants write the same chunks into a new file, the bare one into a dataset that has its final extent
from the beginning. Ratio: time of the bare writes over time of the image dataset, 1 is no cost at all.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np

from benchmarks import _measure
from benchmarks._stream import SIZES, Size, payloads
from jfwriter.hdf5.image_dataset import ImageDataset, ImageFormat
from jfwriter.payload import Codec, Payload

BARE, DATASET, SHUFFLED = "write_direct_chunk", "ImageDataset", "ImageDataset, random rows"


def bare(path: Path, chunks: Sequence[Payload], n_images: int) -> None:
    first = chunks[0]
    with h5py.File(path, "w", libver=("earliest", "v108")) as file:
        dataset = file.create_dataset(
            "data",
            shape=(n_images, *first.shape),
            maxshape=(None, *first.shape),
            chunks=(1, *first.shape),
            dtype=first.dtype,
            compression=32008,
            compression_opts=(0, 2),
        )
        for row in range(n_images):
            dataset.id.write_direct_chunk((row, 0, 0), chunks[row % len(chunks)].data, 0)


def image_dataset(path: Path, chunks: Sequence[Payload], rows: Sequence[int]) -> None:
    with h5py.File(path, "w", libver=("earliest", "v108")) as file:
        images = ImageDataset(file, "data", ImageFormat.of(chunks[0]))
        for number, row in enumerate(rows):
            images.write(row, chunks[number % len(chunks)])
        images.finish(len(rows), fill_gaps=True)
        images.close()


def measure(size: Size, n_images: int, directory: Path, n_rounds: int) -> str:
    shape, dtype = (size.height, size.width), np.dtype(size.dtype)
    chunks = [Payload(memoryview(data), Codec.BSLZ4, dtype, shape) for data in payloads(size)]
    n_bytes = sum(len(chunks[i % len(chunks)].data) for i in range(n_images))
    path = directory / "benchmark.h5"
    shuffled = np.random.default_rng(0).permutation(n_images).tolist()
    calls: dict[str, Callable[[], object]] = {
        BARE: lambda: bare(path, chunks, n_images),
        DATASET: lambda: image_dataset(path, chunks, range(n_images)),
        SHUFFLED: lambda: image_dataset(path, chunks, shuffled),
    }

    def clear() -> None:
        path.unlink(missing_ok=True)
        _measure.warm_pages(directory, n_bytes)

    rounds = _measure.alternate(calls, n_rounds, clear)
    rows = [("contestant", "us per image", "GB/s", "of the bare write")]
    for name in calls:
        per_image = _measure.spread([1e6 * s / n_images for s in rounds.seconds[name]])
        rate, ratio = rounds.rate(name, n_bytes / 1e9), rounds.ratio(name, BARE)
        rows.append((name, str(per_image), str(rate), str(ratio)))
    return _measure.table(rows)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.image_dataset", description=__doc__)
    parser.add_argument("--size", choices=list(SIZES), default="4M")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--directory", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--rounds", type=int, default=_measure.N_ROUNDS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        print(f"{options.size}, {options.images} images, {options.directory}; medians (quartiles)")
        print(measure(SIZES[options.size], options.images, Path(directory), options.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
