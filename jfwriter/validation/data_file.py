"""One file with images: extents, numbers, values per image, and its chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.reader import guard
from jfwriter.reader.contents import DETECTOR_SPECIFIC, IMAGES, MAX_IMAGES
from jfwriter.reader.fields import attribute_of, numbers_of, short
from jfwriter.reader.nodes import TROUBLE, dataset_at
from jfwriter.reader.stored import stored_codec
from jfwriter.validation.chunks import ImageRows, check_chunks, size_of
from jfwriter.validation.findings import Check, Report
from jfwriter.validation.layout import datasets_below

PER_IMAGE = ("MX", "azint", "detector", "image", "profiling", "roi", "xfel")
"""Groups below `/entry` whose datasets have a row for each image of the file."""
OF_THE_RUN = frozenset({"bin_to_q", "bin_to_two_theta", "bin_to_phi", "map", "rotationLatticeIndexed",
                        "rotationLatticeIndexedExtra"})  # fmt: skip
IN_DETECTOR_SPECIFIC = frozenset({
    "number", "timestamp", "exptime", "det_info", "storage_cell_image", "rcv_delay", "rcv_free_send_buffers",
    "packets_expected", "packets_received", "data_collection_efficiency_image", "crc32", "image_status",
})  # fmt: skip
LAST_IMAGE_NR = (1 << 31) - 1

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file holds. `written` bool [n_rows], None if the file does not say which rows hold an image."""

    name: str
    first_image: int
    n_rows: int
    shape: tuple[int, int]
    dtype: str
    codec: str | None
    written: Mask | None


@dataclass(frozen=True, slots=True)
class Expected:
    """What the master says of a file; None: it does not say."""

    first_image: int
    n_rows: int | None = None


def check_file(
    path: Path, expected: Expected, report: Report, *, deep: bool, progress: Callable[[], None]
) -> FileFacts | None:
    """Open a data file and look at everything in it; None if there are no images to speak of."""
    try:
        with guard.open_file(path) as file:
            report.n_files += 1
            return check_images(file, path, expected, report, deep=deep, progress=progress)
    except TROUBLE as error:
        report.problem(Check.FILE, path.name, f"cannot be read: {short(error)}")
        return None


def check_images(
    file: h5py.File,
    path: Path,
    expected: Expected,
    report: Report,
    *,
    deep: bool,
    progress: Callable[[], None],
) -> FileFacts | None:
    """The same for a file that is open: a data file, or the one file of an integrated run."""
    name = path.name
    images = dataset_at(file, IMAGES)
    if images is None or images.ndim != 3 or images.dtype.kind not in "iuf":
        report.problem(Check.EXTENT, name, f"there are no images [n, y, x] at {IMAGES}")
        return None
    n_rows = int(images.shape[0])
    if images.is_virtual:
        text = f"{IMAGES} of a data file is a virtual dataset; expected stored images (it is not followed)"
        report.problem(Check.LINK, name, text)
        return None
    if n_rows > MAX_IMAGES:
        report.problem(Check.EXTENT, name, f"{n_rows} images; at most {MAX_IMAGES} are looked at")
        return None
    if expected.n_rows is not None and n_rows != expected.n_rows:
        text = f"it has {n_rows} images; the master takes it for {expected.n_rows}"
        report.problem(Check.EXTENT, name, text)
    written = _written(file, name, n_rows, report)
    _check_numbers(images, name, expected.first_image, report)
    check_row_counts(file, name, n_rows, report)
    for number, channel in enumerate(_channels(file, images)):
        if channel.ndim != 3 or channel.shape[0] != n_rows or channel.is_virtual:
            text = f"{channel.name} is {channel.shape}; expected {n_rows} images"
            report.problem(Check.EXTENT, name, text)
            continue
        rows = ImageRows(
            name,
            channel,
            expected.first_image,
            size_of(path),
            _checksums(file, channel, number, n_rows),
            written,
        )
        check_chunks(rows, report, deep=deep, progress=progress)
    codec = stored_codec(images)
    return FileFacts(
        name,
        expected.first_image,
        n_rows,
        (int(images.shape[1]), int(images.shape[2])),
        images.dtype.name,
        None if codec is None else codec.value,
        written,
    )


def check_row_counts(file: h5py.File, name: str, n_rows: int, report: Report) -> None:
    """Every array with a value per image has `n_rows` of them."""
    for path, dataset in per_image_datasets(file):
        if dataset.ndim == 0 or dataset.shape[0] != n_rows:
            text = f"{path} has shape {dataset.shape}; expected {n_rows} rows, one per image"
            report.problem(Check.ARRAY, name, text)


def per_image_datasets(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    """Datasets that have a row per image by the published layout, in a data file or a master."""
    for path, dataset in datasets_below(file):
        parts = path.split("/")[1:]
        if path.startswith(f"{DETECTOR_SPECIFIC}/"):
            if len(parts) == 5 and parts[-1] in IN_DETECTOR_SPECIFIC:
                yield path, dataset
        elif len(parts) > 2 and parts[0] == "entry" and parts[1] in PER_IMAGE:
            run_level = parts[-1] in OF_THE_RUN or (parts[1] == "azint" and len(parts) > 3)
            if not run_level and not (dataset.ndim == 0 and parts[1] == "MX"):
                yield path, dataset


def _written(file: h5py.File, name: str, n_rows: int, report: Report) -> Mask | None:
    """`number` is -1 where no image came; None if it is not there or cannot be read."""
    for path in ("/entry/detector/number", f"{DETECTOR_SPECIFIC}/number"):
        if dataset_at(file, path) is None:
            continue
        numbers = numbers_of(file, path)
        if numbers is None or numbers.ndim != 1 or numbers.dtype.kind not in "iu":
            report.problem(Check.ARRAY, name, f"{path} cannot be read as one integer per image")
            return None
        if len(numbers) != n_rows:
            return None  # said with the other arrays
        return np.asarray(numbers >= 0)
    report.note(Check.ARRAY, name, "no /entry/detector/number: it does not say which rows hold an image")
    return None


def _check_numbers(images: h5py.Dataset, name: str, first_image: int, report: Report) -> None:
    low, high = attribute_of(images, "image_nr_low"), attribute_of(images, "image_nr_high")
    wanted = (first_image + 1, first_image + int(images.shape[0]))
    if low is None or high is None:
        report.problem(Check.EXTENT, name, f"{IMAGES} lacks image_nr_low or image_nr_high")
    elif (low, high) != tuple(min(number, LAST_IMAGE_NR) for number in wanted):
        text = (
            f"its images are numbered {low} to {high} (image_nr_low, image_nr_high, from 1); in this run and "
            f"place they are {wanted[0]} to {wanted[1]}: is it the file of another run or place?"
        )
        report.problem(Check.EXTENT, name, text)


def _channels(file: h5py.File, images: h5py.Dataset) -> Iterator[h5py.Dataset]:
    yield images
    for path, dataset in datasets_below(file):
        parts = path.split("/")
        if len(parts) == 5 and parts[1:3] == ["entry", "channels"] and parts[4] == "data":
            yield dataset


def _checksums(
    file: h5py.File, channel: h5py.Dataset, number: int, n_rows: int
) -> npt.NDArray[np.uint32] | None:
    """Of the main channel with the other values per image, of another one beside it."""
    if number:
        paths: tuple[str, ...] = (f"{channel.name.rpartition('/')[0]}/crc32",)
    else:
        paths = ("/entry/detector/crc32", f"{DETECTOR_SPECIFIC}/crc32")
    for path in paths:
        values = numbers_of(file, path)
        if values is not None and values.shape == (n_rows,) and values.dtype.kind == "u":
            return values.astype(np.uint32)
    return None
