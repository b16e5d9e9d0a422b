"""A run whose messages bring pixels and geometry only, as a plain DECTRIS detector sends it, and what NumPy
finds in its pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from jfwriter.payload import Codec, Payload
from jfwriter.session.plan import RunPlan
from jfwriter.session.planning import make_plan
from jfwriter.settings import Settings
from jfwriter.wire.messages import ImageMessage, StartMessage
from tests.support import messages

HEIGHT, WIDTH = 60, 80
SATURATED, ERROR = 1000, 65535
PIXEL_M, DISTANCE_M, WAVELENGTH_ANGSTROM = 1e-3, 0.1, 1.0
BEAM = (40.25, 30.5)

Image = npt.NDArray[np.uint16]
Flags = npt.NDArray[np.bool_]

SPOTS = ((10, 12), (50, 60), (22, 41))
"""(y, x) of the brightest pixels of image 0; each later image has one spot less, and then again three."""

GEOMETRY: dict[str, Any] = {
    "beam_center_x": BEAM[0],
    "beam_center_y": BEAM[1],
    "pixel_size_x": PIXEL_M,
    "pixel_size_y": PIXEL_M,
    "detector_distance": DISTANCE_M,
    "incident_wavelength": WAVELENGTH_ANGSTROM,
    "saturation_value": SATURATED,
    "error_value": ERROR,
}


def frame(number: int) -> Image:
    """Poisson background of 5 with spots of 3 x 3 pixels, two saturated pixels and three errors."""
    image = np.random.default_rng(number).poisson(5.0, (HEIGHT, WIDTH)).astype(np.uint16)
    for y, x in SPOTS[number % 3 :]:
        image[y - 1 : y + 2, x - 1 : x + 2] += np.array(
            [[40, 60, 40], [60, 200, 60], [40, 60, 40]], np.uint16
        )
    image[2, 3], image[3, 70] = SATURATED, SATURATED + 7
    image[55, 5:8] = ERROR
    return image


def mask() -> npt.NDArray[np.uint32]:
    """A gap, a column of virtual pixels (which count), a user's mask."""
    pixels = np.zeros((HEIGHT, WIDTH), np.uint32)
    pixels[30:32] = 1
    pixels[:, 20] |= 1 << 31
    pixels[3, 70:72] = 1 << 8
    return pixels


def start(**fields: Any) -> StartMessage:
    shape = {"image_size_x": WIDTH, "image_size_y": HEIGHT, "pixel_mask": {"default": payload(mask())}}
    return messages.start(**(shape | GEOMETRY | fields))


def plan(settings: Settings, **fields: Any) -> RunPlan:
    return make_plan(start(**fields), settings, 1, 0.0)


def image(number: int, **fields: Any) -> ImageMessage:
    return messages.image(number, **({"channels": {"default": payload(frame(number))}} | fields))


def payload(pixels: npt.NDArray[Any]) -> Payload:
    return Payload(memoryview(pixels.tobytes()), Codec.NONE, pixels.dtype, pixels.shape)


def valid(pixels: Image) -> Flags:
    good = (mask() & 0xFFFF) == 0
    return np.asarray(good & (pixels != ERROR) & (pixels < SATURATED))


def q() -> npt.NDArray[np.float64]:
    """4π sin(θ) / λ at pixel centres of the unrotated detector."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    two_theta = np.arctan(np.hypot(x - BEAM[0], y - BEAM[1]) * PIXEL_M / DISTANCE_M)
    return np.asarray(4 * math.pi * np.sin(two_theta / 2) / WAVELENGTH_ANGSTROM)


def statistics(pixels: Image) -> dict[str, int]:
    """Fields of the image message."""
    good, inside = valid(pixels), (mask() & 0xFFFF) == 0
    return {
        "min_viable_pixel_value": int(pixels[good].min()),
        "max_viable_pixel_value": int(pixels[good].max()),
        "pixel_sum": int(pixels[good].sum(dtype=np.int64)),
        "error_pixel_count": int((inside & (pixels == ERROR)).sum()),
        "saturated_pixel_count": int((inside & (pixels != ERROR) & (pixels >= SATURATED)).sum()),
    }


def background(pixels: Image) -> float:
    ring = (q() >= 2 * math.pi / 5) & (q() <= 2 * math.pi / 3) & valid(pixels)
    return float(pixels[ring].mean())


def profile(pixels: Image, low: float, spacing: float, n_bins: int) -> tuple[Any, Any]:
    """Mean and number of pixels per bin in q, without corrections."""
    number = np.floor((q() - low) / spacing).astype(int)
    used = valid(pixels) & (number >= 0) & (number < n_bins)
    count = np.bincount(number[used], minlength=n_bins)
    total = np.bincount(number[used], pixels[used], n_bins)
    with np.errstate(invalid="ignore"):
        return total / count, count
