"""What a simulated run is: everything a user can choose, as plain data."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field

import numpy as np

from jfwriter.errors import UsageError
from jfwriter.payload import Codec
from jfwriter.simulator.detector import DetectorModel
from jfwriter.simulator.geometry import Geometry, default_distance_m
from jfwriter.simulator.lattice import (
    LYSOZYME,
    LYSOZYME_SPACE_GROUP,
    SMALL_CELL,
    SMALL_CELL_SPACE_GROUP,
    cell_volume,
)
from jfwriter.wire.messages import UnitCell

PIXEL_TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "float32")

FILE_FORMATS = ("NXmxOnlyData", "NXmxLegacy", "NXmxVDS", "NXmxIntegrated", "CBF", "TIFF", "NoFileWritten")
"""Index = number of `user_data.file_format`."""


class Flavour(enum.StrEnum):
    """Whose messages are sent: Jungfraujoch's with all fields, or plain DECTRIS Stream V2."""

    JUNGFRAUJOCH = "jungfraujoch"
    STREAM2 = "stream2"


class Experiment(enum.StrEnum):
    """Rotation series of one crystal, stills of a new crystal each, or a grid scan over one crystal."""

    ROTATION = "rotation"
    STILL = "still"
    GRID = "grid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The crystal and what else scatters.

    `spot_photons` is the mean of the integrated intensity at low resolution, `background_photons` the
    background per pixel on the water ring, `mosaicity_deg` and `profile_radius_recipA` the widths of
    reflections in rotation and in stills, `spot_sigma_pxl` of their profile on the detector.
    """

    unit_cell: UnitCell
    space_group_number: int
    spots: bool = True
    spot_photons: float = 600.0
    background_photons: float = 2.0
    b_factor_angstrom2: float = 15.0
    mosaicity_deg: float = 0.08
    profile_radius_recipA: float = 0.002  # noqa: N815 unit
    spot_sigma_pxl: float = 0.8

    def __post_init__(self) -> None:
        if not cell_volume(self.unit_cell) > 0:
            raise UsageError(f"unit cell {self.unit_cell}: expected lengths and angles of a real cell")


def default_sample(detector: DetectorModel, *, spots: bool = True) -> Sample:
    """Lysozyme, or a small cell on a detector so small that lysozyme's spots would overlap."""
    large = min(detector.shape) >= 400
    return Sample(
        unit_cell=LYSOZYME if large else SMALL_CELL,
        space_group_number=LYSOZYME_SPACE_GROUP if large else SMALL_CELL_SPACE_GROUP,
        spots=spots,
    )


def default_geometry(
    detector: DetectorModel, wavelength_angstrom: float = 1.0, distance_m: float | None = None
) -> Geometry:
    """Beam a little off the middle of the detector, 2.2 Å at its edge unless the distance is given."""
    if distance_m is None:
        distance_m = default_distance_m(detector.shape, detector.pixel_size_m, wavelength_angstrom)
    return Geometry(
        shape=detector.shape,
        pixel_size_m=detector.pixel_size_m,
        beam_x_pxl=round(0.505 * detector.width, 2),
        beam_y_pxl=round(0.495 * detector.height, 2),
        distance_m=distance_m,
        wavelength_angstrom=wavelength_angstrom,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """How the sample moves from image to image. The axis is in the frame of `geometry`."""

    experiment: Experiment = Experiment.ROTATION
    start_deg: float = 0.0
    increment_deg: float = 0.2
    axis: tuple[float, float, float] = (-1.0, 0.0, 0.0)
    n_fast: int = 10
    step_m: float = 10e-6
    snake: bool = True
    vertical: bool = False

    def angle_rad(self, image_id: int) -> float:
        """Rotation at the start of an image."""
        if self.experiment is not Experiment.ROTATION:
            return 0.0
        return math.radians(self.start_deg + image_id * self.increment_deg)

    @property
    def increment_rad(self) -> float:
        return math.radians(self.increment_deg) if self.experiment is Experiment.ROTATION else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """One simulated run. Times in s.

    `n_distinct` images are made and compressed before sending; image i shows number i modulo n_distinct.
    0 means: all different. `images_per_file` 0 is one file; `files` fields that are None are not sent.
    """

    detector: DetectorModel
    geometry: Geometry
    sample: Sample
    scan: Scan = field(default_factory=Scan)
    dtype: np.dtype[np.generic] = field(default_factory=lambda: np.dtype(np.int16))
    codec: Codec = Codec.BSLZ4
    flavour: Flavour = Flavour.JUNGFRAUJOCH
    n_channels: int = 1
    n_images: int = 100
    n_distinct: int = 16
    seed: int = 0
    frame_time_s: float = 0.002
    count_time_s: float = 0.001980
    max_spot_count: int = 250
    n_azint_bins: int = 200
    with_calibration: bool = True
    with_reflections: bool = False

    file_prefix: str = "run"
    file_format: str | None = None
    images_per_file: int | None = 1000
    overwrite: bool | None = None
    run_name: str | None = None
    run_number: int = 1
    notification_address: str | None = None

    def __post_init__(self) -> None:
        if self.dtype.name not in PIXEL_TYPES:
            raise UsageError(f"pixel type {self.dtype.name}: expected one of {', '.join(PIXEL_TYPES)}")
        if self.n_images < 0 or self.n_distinct < 0:
            raise UsageError(f"{self.n_images} images, {self.n_distinct} distinct: expected 0 or more")
        if self.file_format is not None and self.file_format not in FILE_FORMATS:
            raise UsageError(f"format {self.file_format!r}: expected one of {', '.join(FILE_FORMATS)}")
        if not 1 <= self.n_channels <= 16:
            raise UsageError(f"{self.n_channels} channels: expected 1 to 16")

    @property
    def n_different(self) -> int:
        """Images that are really made."""
        return min(self.n_distinct or self.n_images, self.n_images)

    @property
    def unique_id(self) -> str:
        return self.run_name or f"{self.run_number}:{self.file_prefix}"

    @property
    def channels(self) -> tuple[str, ...]:
        if self.flavour is Flavour.STREAM2:
            return tuple(f"threshold_{i + 1}" for i in range(self.n_channels))
        return ("default", *(f"channel_{i + 1}" for i in range(1, self.n_channels)))


def automatic_n_distinct(n_images: int, n_pixels: int) -> int:
    """So many that making them takes seconds and they stay in memory: 64 million pixels, 4 to 16 images."""
    return min(n_images, max(4, min(16, (1 << 26) // max(1, n_pixels))))
