"""Detectors that can be simulated: module layout, pixel size, sensor, gaps and bad pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jfwriter.errors import UsageError

MASK_GAP = 1 << 0
MASK_DEAD = 1 << 1
MASK_NOISY = 1 << 4
"""Bits of a pixel mask (NXmx, NXdetector/pixel_mask)."""

MAX_PIXELS = 1 << 26
"""Largest image that is simulated; a 16M detector has 2**24.1 pixels."""


@dataclass(frozen=True, slots=True)
class DetectorModel:
    """A detector of equal modules on a regular pitch. Sizes in pixels where the name has no unit."""

    name: str
    width: int
    height: int
    module_width: int
    module_height: int
    gap_x: int
    gap_y: int
    description: str
    sensor_thickness_m: float
    sensor_material: str = "Si"
    pixel_size_m: float = 75e-6
    dtype: str = "uint32"
    """Pixel type that its images usually have."""
    has_pedestals: bool = True
    """Integrating detectors (JUNGFRAU) send pedestal images, counting ones (EIGER2) have none."""

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)"""
        return self.height, self.width


def _jungfrau(name: str, columns: int, rows: int) -> DetectorModel:
    """Modules of 1030 x 514 pixels after the larger pixels between the chips are split, 8 and 36 apart."""
    return DetectorModel(
        name=f"jungfrau-{name}",
        width=columns * 1030 + (columns - 1) * 8,
        height=rows * 514 + (rows - 1) * 36,
        module_width=1030,
        module_height=514,
        gap_x=8,
        gap_y=36,
        description=f"JUNGFRAU {name.upper()} (simulated)",
        sensor_thickness_m=320e-6,
        dtype="int16",
    )


def _eiger2(name: str, columns: int, rows: int) -> DetectorModel:
    """Modules of 1028 x 512 pixels, 12 and 38 apart."""
    return DetectorModel(
        name=f"eiger2-{name}",
        width=columns * 1028 + (columns - 1) * 12,
        height=rows * 512 + (rows - 1) * 38,
        module_width=1028,
        module_height=512,
        gap_x=12,
        gap_y=38,
        description=f"EIGER2 {name.upper()} (simulated)",
        sensor_thickness_m=450e-6,
        has_pedestals=False,
    )


DETECTORS: Mapping[str, DetectorModel] = {
    model.name: model
    for model in (
        _jungfrau("500k", 1, 1),
        _jungfrau("1m", 1, 2),
        _jungfrau("4m", 2, 4),
        _jungfrau("9m", 3, 6),
        _eiger2("500k", 1, 1),
        _eiger2("1m", 1, 2),
        _eiger2("4m", 2, 4),
        _eiger2("9m", 3, 6),
        _eiger2("16m", 4, 8),
    )
}


def custom_detector(width: int, height: int) -> DetectorModel:
    """A detector of any size, tiled with JUNGFRAU modules that are cut at its edges.

    Raises UsageError for a size without pixels or with more than MAX_PIXELS.
    """
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise UsageError(
            f"image size {width}x{height}: expected width and height of at least 1 pixel "
            f"and at most {MAX_PIXELS} pixels in all"
        )
    return DetectorModel(
        name=f"{width}x{height}",
        width=width,
        height=height,
        module_width=1030,
        module_height=514,
        gap_x=8,
        gap_y=36,
        description=f"simulated detector {width}x{height}",
        sensor_thickness_m=320e-6,
        dtype="int16",
    )


def find_detector(text: str) -> DetectorModel:
    """A named detector ("jungfrau-4m") or a size ("2068x2164").

    Raises UsageError naming what is known.
    """
    model = DETECTORS.get(text.lower())
    if model is not None:
        return model
    width, cross, height = text.lower().partition("x")
    if cross and width.isascii() and width.isdigit() and height.isascii() and height.isdigit():
        return custom_detector(int(width), int(height))
    raise UsageError(
        f"detector {text!r}: expected WIDTHxHEIGHT in pixels or one of {', '.join(sorted(DETECTORS))}"
    )


def gap_pixels(model: DetectorModel) -> npt.NDArray[np.bool_]:
    """True between the modules. [height, width]"""
    in_gap_x = np.arange(model.width) % (model.module_width + model.gap_x) >= model.module_width
    in_gap_y = np.arange(model.height) % (model.module_height + model.gap_y) >= model.module_height
    return np.asarray(in_gap_y[:, np.newaxis] | in_gap_x[np.newaxis, :])


def make_pixel_mask(
    model: DetectorModel, rng: np.random.Generator, dead_fraction: float = 1e-4, noisy_fraction: float = 5e-5
) -> npt.NDArray[np.uint32]:
    """Gaps, dead and noisy pixels with the bits of NXmx. uint32 [height, width]"""
    mask = gap_pixels(model).astype(np.uint32) * np.uint32(MASK_GAP)
    flat = mask.ravel()
    for bit, fraction in ((MASK_DEAD, dead_fraction), (MASK_NOISY, noisy_fraction)):
        chosen = rng.integers(0, flat.size, round(flat.size * fraction))
        flat[chosen[flat[chosen] == 0]] |= np.uint32(bit)
    return mask
