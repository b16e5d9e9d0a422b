"""The parts of messages as plain data: what stands inside a field."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BinArray = npt.NDArray[np.float32] | FloatArray
"""Float32 where the sender's values are, then maybe a view into the message; else float64."""
Vector3 = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """A field that was ignored: its wire name, what was expected and what came (shortened)."""

    field: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"field {self.field!r}: expected {self.expected}, got {self.got}; the field is ignored"


@dataclass(frozen=True, slots=True)
class Rational:
    """An exact quotient of two unsigned integers; `denominator` > 0."""

    numerator: int
    denominator: int

    def __float__(self) -> float:
        return self.numerator / self.denominator


@dataclass(frozen=True, slots=True)
class GoniometerAxis:
    """One rotation axis. `start`, `increment` in deg; `axis` without unit; `helical_step` in m per image."""

    start: float = 0.0
    increment: float = 0.0
    axis: Vector3 | None = None
    helical_step: Vector3 | None = None


@dataclass(frozen=True, slots=True)
class GridScan:
    """A raster scan; steps in m, negative steps run backwards."""

    n_fast: int
    n_slow: int | None = None
    step_x_axis: float = 0.0
    step_y_axis: float = 0.0
    vertical: bool = False
    snake: bool = False


@dataclass(frozen=True, slots=True)
class UnitCell:
    """Lengths in Å, angles in deg."""

    a: float
    b: float
    c: float
    alpha: float
    beta: float
    gamma: float


@dataclass(frozen=True, slots=True)
class RoiBox:
    """Both bounds belong to the region; pixel indices."""

    name: str
    min_x_pxl: int
    max_x_pxl: int
    min_y_pxl: int
    max_y_pxl: int
    bit_index: int | None = field(default=None, compare=False)
    """Its bit in `roi_map`; None: its place in the list."""


@dataclass(frozen=True, slots=True)
class RoiCircle:
    """Pixel coordinates and radius."""

    name: str
    center_x_pxl: float
    center_y_pxl: float
    radius_pxl: float
    bit_index: int | None = field(default=None, compare=False)
    """Its bit in `roi_map`; None: its place in the list."""


@dataclass(frozen=True, slots=True)
class RoiAzimuthal:
    """A ring in q (Å⁻¹), or a sector of it when the angles (deg) are given; min > max wraps across 0."""

    name: str
    q_min_recipA: float  # noqa: N815 the wire's name
    q_max_recipA: float  # noqa: N815 the wire's name
    phi_min_deg: float | None = None
    phi_max_deg: float | None = None
    bit_index: int | None = field(default=None, compare=False)
    """Its bit in `roi_map`; None: its place in the list."""


Roi = RoiBox | RoiCircle | RoiAzimuthal


@dataclass(frozen=True, slots=True)
class Fluorescence:
    """XRF spectrum: `energy` [m] in eV, `data` [m], same length."""

    energy: FloatArray
    data: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Spots:
    """Spots of one image in columns [n]. `x`, `y` in pixel, `intensity` in photons (may hold NaN).

    Optional columns are None when no spot of the image carries them. `dist_ewald` in Å⁻¹.
    """

    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.float32]
    intensity: npt.NDArray[np.float32]
    maxc: npt.NDArray[np.int64] | None = None
    ice_ring: npt.NDArray[np.uint8] | None = None
    indexed: npt.NDArray[np.uint8] | None = None
    lattice: npt.NDArray[np.int32] | None = None
    h: npt.NDArray[np.int32] | None = None
    k: npt.NDArray[np.int32] | None = None
    l: npt.NDArray[np.int32] | None = None  # noqa: E741 Miller index
    dist_ewald: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoiIntegral:
    """Sums over one ROI of one image. `x`, `y`: intensity-weighted centre in pixels, None when undefined."""

    sum: int = 0
    sum_square: int = 0
    max: int | None = None
    pixels: int = 0
    x: float | None = None
    y: float | None = None
