"""What the end-to-end benchmark sends: compressed images, and the messages around them.

Real JUNGFRAU module frames where they are at hand, composed into larger images; else Poisson noise with
spots. Encoded with plain cbor2, so that a change of jfwriter's encoder does not change the benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cbor2
import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.compression import compress
from jfwriter.payload import Codec

FRAMES = Path(__file__).parents[2] / "shared" / "data" / "jungfrau_module_frames.h5"
MODULE = (512, 1024)
N_DISTINCT = 8
TYPED_ARRAY_TAG = {"int16": 77, "uint32": 70}
SERIES = {"series_id": 1, "series_unique_id": "benchmark"}

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


def _encode(message: Mapping[str, object]) -> bytes:
    return b"\xd9\xd9\xf7" + cbor2.dumps(dict(message))


def start(size: Size, n_images: int, images_per_file: int) -> bytes:
    """The start message of every run; files of the run before are overwritten."""
    return _encode({
        "type": "start", **SERIES, "number_of_images": n_images,
        "image_size_x": size.width, "image_size_y": size.height, "image_dtype": size.dtype,
        "channels": ["default"], "beam_center_x": size.width / 2, "beam_center_y": size.height / 2,
        "detector_distance": 0.1, "incident_energy": 12400.0, "frame_time": 1e-3, "count_time": 1e-3,
        "pixel_size_x": 75e-6, "pixel_size_y": 75e-6, "sensor_thickness": 320e-6, "sensor_material": "Si",
        "user_data": {"file_prefix": "run", "images_per_file": images_per_file, "overwrite": True,
                      "file_format": "NXmxVDS"},
    })  # fmt: skip


def image(size: Size, image_id: int, payload: bytes) -> bytes:
    typed = cbor2.CBORTag(
        TYPED_ARRAY_TAG[size.dtype], cbor2.CBORTag(56500, ["bslz4", np.dtype(size.dtype).itemsize, payload])
    )
    return _encode({
        "type": "image", **SERIES, "image_id": image_id, "real_time": [1, 1000],
        "start_time": [image_id, 1000], "stop_time": [image_id + 1, 1000],
        "data": {"default": cbor2.CBORTag(40, [[size.height, size.width], typed])},
    })  # fmt: skip


def end(n_images: int) -> bytes:
    return _encode({"type": "end", **SERIES, "max_image_number": n_images})


def is_image(message: bytes | memoryview) -> bool:
    """Tell images from start and end messages without decoding, as the bare loop must."""
    return bytes(message[:16]).find(b"image") > 0
