"""What one file with an image data set holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.reader import guard
from jfwriter.reader.fields import attribute_of, short, vector_of
from jfwriter.reader.nodes import TROUBLE, dataset_at
from jfwriter.reader.stored import stored_codec

IMAGES = "/entry/data/data"
DETECTOR_SPECIFIC = "/entry/instrument/detector/detectorSpecific"

MAX_IMAGES = 20_000_000
"""Images of a run that are looked at one by one."""


@dataclass(frozen=True, slots=True)
class Contents:
    """A data file, or the one file of an integrated run.

    `written` bool [n_rows] says which rows hold an image, `n_spots` [n_rows] how many spots, None if the
    file does not say. `first_image` is the run's number of the first row.
    """

    size_bytes: int
    n_rows: int
    shape: tuple[int, int]
    dtype: str
    codec: str | None
    written: npt.NDArray[np.bool_]
    n_spots: npt.NDArray[np.int64] | None
    first_image: int | None
    problems: tuple[str, ...]


def read_contents(path: Path) -> Contents | str:
    """Look into a file; a text says why that was impossible."""
    try:
        with guard.open_file(path) as file:
            return contents_of(file, path)
    except TROUBLE as error:
        return f"{path.name}: {_why(path, error)}"


def contents_of(file: h5py.File, path: Path) -> Contents | str:
    """The same for a file that is open."""
    images = dataset_at(file, IMAGES)
    if images is None or images.ndim != 3 or images.dtype.kind not in "iuf":
        return f"{path.name}: no images [n, y, x] at {IMAGES}"
    n_rows = int(images.shape[0])
    if n_rows > MAX_IMAGES:
        return f"{path.name}: {n_rows} images are too many to be looked at"
    problems: list[str] = []
    numbers = _rows(file, ("/entry/detector/number", f"{DETECTOR_SPECIFIC}/number"), n_rows, problems)
    n_spots = _rows(file, ("/entry/MX/nPeaks",), n_rows, problems)
    low = attribute_of(images, "image_nr_low")
    codec = stored_codec(images)
    return Contents(
        size_bytes=path.stat().st_size,
        n_rows=n_rows,
        shape=(int(images.shape[1]), int(images.shape[2])),
        dtype=images.dtype.name,
        codec=None if codec is None else codec.value,
        written=np.ones(n_rows, np.bool_) if numbers is None else np.asarray(numbers >= 0),
        n_spots=n_spots,
        first_image=None if low is None else low - 1,
        problems=tuple(f"{path.name}: {text}" for text in problems),
    )


def _rows(
    file: h5py.File, paths: tuple[str, ...], n_rows: int, problems: list[str]
) -> npt.NDArray[np.int64] | None:
    """A per-image vector at the first of `paths` that holds one; a wrong length is a problem."""
    for path in paths:
        if dataset_at(file, path) is None:
            continue
        values = vector_of(file, path, MAX_IMAGES)
        if values is None or values.dtype.kind not in "iu":
            problems.append(f"{path} cannot be read as a vector of integers")
        elif len(values) != n_rows:
            problems.append(f"{path} has {len(values)} rows, the images {n_rows}")
        else:
            return values.astype(np.int64)
    return None


def _why(path: Path, error: BaseException) -> str:
    return "not there" if not path.exists() else f"cannot be read: {short(error)}"
