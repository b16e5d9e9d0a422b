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
N_SPOTS, N_BINS = 30, 200
TIMED_STEPS = ("preprocessing", "compression", "azint", "spot_finding", "indexing", "integration", "processing")
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


def start(size: Size, n_images: int, images_per_file: int, *, analysed: bool = False) -> bytes:
    """The start message of every run; files of the run before are overwritten. `analysed`: see `image`."""
    analysis = {
        "max_spot_count": 250, "indexing_algorithm": "fft",
        "az_int_bin_number": N_BINS, "az_int_bin_to_q": _floats(np.linspace(0.1, 5.0, N_BINS)),
        "rois": [{"type": "box", "name": "beam", "min_x_pxl": 10, "max_x_pxl": 20, "min_y_pxl": 10, "max_y_pxl": 20}],
    } if analysed else {}  # fmt: skip
    return _encode({
        **analysis,
        "type": "start", **SERIES, "number_of_images": n_images,
        "image_size_x": size.width, "image_size_y": size.height, "image_dtype": size.dtype,
        "channels": ["default"], "beam_center_x": size.width / 2, "beam_center_y": size.height / 2,
        "detector_distance": 0.1, "incident_energy": 12400.0, "frame_time": 1e-3, "count_time": 1e-3,
        "pixel_size_x": 75e-6, "pixel_size_y": 75e-6, "sensor_thickness": 320e-6, "sensor_material": "Si",
        "user_data": {"file_prefix": "run", "images_per_file": images_per_file, "overwrite": True,
                      "file_format": "NXmxVDS"},
    })  # fmt: skip


def image(size: Size, image_id: int, payload: bytes, *, analysed: bool = False) -> bytes:
    """`analysed`: with what Jungfraujoch computes for each image: 30 spots, a profile, one region, some 40 numbers."""
    typed = cbor2.CBORTag(
        TYPED_ARRAY_TAG[size.dtype], cbor2.CBORTag(56500, ["bslz4", np.dtype(size.dtype).itemsize, payload])
    )
    return _encode({
        **(_analysis(image_id) if analysed else {}),
        "type": "image", **SERIES, "image_id": image_id, "real_time": [1, 1000],
        "start_time": [image_id, 1000], "stop_time": [image_id + 1, 1000],
        "data": {"default": cbor2.CBORTag(40, [[size.height, size.width], typed])},
    })  # fmt: skip


def _analysis(image_id: int) -> Mapping[str, object]:
    random = np.random.default_rng(image_id % N_DISTINCT)
    spots = [
        {"x": x, "y": y, "I": intensity, "maxc": int(intensity), "ice_ring": False, "indexed": True,
         "lattice": 0, "h": 1, "k": -2, "l": 3, "dist_ewald": 1e-4}
        for x, y, intensity in random.uniform(1.0, 500.0, (N_SPOTS, 3)).tolist()
    ]  # fmt: skip
    profile = random.uniform(0, 10, N_BINS)
    return {
        "spots": spots, "strong_pixel_count": 120, "spot_count": N_SPOTS, "spot_count_low_res": 5,
        "spot_count_ice_rings": 0, "spot_count_indexed": N_SPOTS, "az_int_profile": _floats(profile),
        "roi_integrals": {"beam": {"sum": 500, "sum_square": 900, "max": 12, "pixels": 121,
                                   "x_weighted": 7500, "y_weighted": 7500}},
        "bkg_estimate": 2.5, "resolution_estimate": 1.8, "indexing_result": True,
        "indexing_lattice": _floats(np.eye(3).ravel() * 79), "indexing_lattice_count": 1, "niggli_class": 21,
        "bravais_lattice": "tP", "profile_radius": 1e-3, "mosaicity": 0.1, "b_factor": 20.0,
        "beam_corr_x": 0.1, "beam_corr_y": -0.1, "image_scale_factor": 1.0, "image_scale_cc": 0.98,
        "min_viable_pixel_value": -3, "max_viable_pixel_value": 900, "pixel_sum": 1_000_000,
        "saturated_pixel_count": 0, "error_pixel_count": 10, "packets_expected": 512, "packets_received": 512,
        "data_collection_efficiency": 1.0, "storage_cell": 0, "jf_info": 16, "receiver_aq_dev_delay": 1,
        "receiver_free_send_buf": 500, "original_image_id": image_id,
        "xfel_pulse_id": 17_000_000_000 + image_id, "xfel_event_code": 13,
        **{f"{step}_time": 1e-4 for step in TIMED_STEPS},
    }  # fmt: skip


def _floats(values: npt.NDArray[np.floating]) -> cbor2.CBORTag:
    """A typed array of float32 (RFC 8746, tag 85)."""
    return cbor2.CBORTag(85, values.astype("<f4").tobytes())


def end(n_images: int) -> bytes:
    return _encode({"type": "end", **SERIES, "max_image_number": n_images})


def is_image(message: bytes | memoryview) -> bool:
    """Tell images from start and end messages without decoding, as the bare loop must."""
    return bytes(message[:16]).find(b"image") > 0
