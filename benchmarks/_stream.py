"""Images to measure with: real JUNGFRAU module frames where they are at hand, composed into larger ones; else
Poisson noise with spots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.compression import compress
from jfwriter.payload import Codec

FRAMES = Path(__file__).parents[2] / "shared" / "data" / "jungfrau_module_frames.h5"
MODULE = (512, 1024)
N_DISTINCT = 8

Image = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Size:
    """Image size and type: `height`, `width` in pixels."""

    height: int
    width: int
    dtype: str


SIZES: Mapping[str, Size] = {
    "module": Size(512, 1024, "int16"),
    "4M": Size(2164, 2068, "int16"),
    "16M": Size(4362, 4148, "uint32"),
}


def module_frames() -> npt.NDArray[np.int16]:
    """[n, 512, 1024]"""
    if FRAMES.exists():
        with h5py.File(FRAMES) as file:
            return np.asarray(file["frames"][:])
    random = np.random.default_rng(1)
    frames = random.poisson(2.0, (10, *MODULE)).astype(np.int16)
    for frame in frames:
        y, x = random.integers(0, MODULE, (200, 2)).T
        frame[y, x] += random.integers(50, 5000, 200).astype(np.int16)
    return frames


def compose(size: Size, number: int, frames: npt.NDArray[np.int16]) -> Image:
    """Modules side by side with gaps of -1 (0 for unsigned types) between them."""
    unsigned = size.dtype.startswith("u")
    image = np.full((size.height, size.width), 0 if unsigned else -1, size.dtype)
    n_rows, n_columns = max(1, size.height // MODULE[0]), max(1, size.width // MODULE[1])
    pitch_y, pitch_x = size.height // n_rows, size.width // n_columns
    for i in range(n_rows * n_columns):
        y, x = (i // n_columns) * pitch_y, (i % n_columns) * pitch_x
        place = image[y : y + MODULE[0], x : x + MODULE[1]]
        frame = frames[(number + i) % len(frames)][: place.shape[0], : place.shape[1]]
        place[:] = np.maximum(frame, 0) if unsigned else frame
    return image


def payloads(size: Size) -> list[bytes]:
    """A few distinct images, bitshuffle + LZ4."""
    frames = module_frames()
    return [compress(compose(size, number, frames), Codec.BSLZ4) for number in range(N_DISTINCT)]
