"""Regions of interest: which pixels belong to them, and sums over them (docs/reference/quantities/roi.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from jfwriter.jit import kernel
from jfwriter.kernels.geometry import Geometry
from jfwriter.kernels.pixel_classes import PIXEL_TYPES, Array, Image, Mask, PixelRules, class_limits
from jfwriter.kernels.statistics import type_bounds

MAX_ROIS = 16
"""`roi_map` has one bit per region."""

NO_MAX = int(np.iinfo(np.int64).min)


@dataclass(frozen=True, slots=True)
class Box:
    """Pixel indices; both bounds belong to the region."""

    min_x_pxl: int
    max_x_pxl: int
    min_y_pxl: int
    max_y_pxl: int


@dataclass(frozen=True, slots=True)
class Circle:
    """Centre counted in pixels from the detector's corner, as the beam centre is."""

    center_x_pxl: float
    center_y_pxl: float
    radius_pxl: float


@dataclass(frozen=True, slots=True)
class Azimuthal:
    """Ring in q, or the sector of it between two angles in deg; min > max wraps across 0.

    All bounds belong to it.
    """

    q_min_recipA: float  # noqa: N815 unit
    q_max_recipA: float  # noqa: N815 unit
    phi_min_deg: float | None = None
    phi_max_deg: float | None = None


Region = Box | Circle | Azimuthal


def make_roi_map(
    regions: Sequence[Region], geometry: Geometry | None, shape: tuple[int, int]
) -> npt.NDArray[np.uint16]:
    """Bit i is set where `regions[i]` is; uint16 [y, x].

    Without a `geometry`, azimuthal regions are empty. Raises ValueError for more than 16 regions.
    """
    if len(regions) > MAX_ROIS:
        raise ValueError(f"regions: {len(regions)}, expected at most {MAX_ROIS}, a bit of roi_map each")
    roi_map = np.zeros(shape, np.uint16)
    for bit, region in enumerate(regions):
        value = np.uint16(1 << bit)
        match region:
            case Box():
                rows = slice(max(0, region.min_y_pxl), max(0, region.max_y_pxl + 1))
                roi_map[rows, max(0, region.min_x_pxl) : max(0, region.max_x_pxl + 1)] |= value
            case Circle():
                roi_map[_in_circle(region, shape)] |= value
            case Azimuthal() if geometry is not None:
                roi_map[_in_ring(region, geometry)] |= value
    return roi_map


def _in_circle(circle: Circle, shape: tuple[int, int]) -> Array:
    y, x = np.arange(shape[0])[:, np.newaxis] + 0.5, np.arange(shape[1])[np.newaxis, :] + 0.5
    square = (x - circle.center_x_pxl) ** 2 + (y - circle.center_y_pxl) ** 2
    return np.asarray(square <= circle.radius_pxl**2)


def _in_ring(ring: Azimuthal, geometry: Geometry) -> Array:
    q = geometry.q()
    inside = (q >= ring.q_min_recipA) & (q <= ring.q_max_recipA)
    if ring.phi_min_deg is None or ring.phi_max_deg is None or ring.phi_max_deg - ring.phi_min_deg >= 360:
        return np.asarray(inside)
    phi = np.degrees(geometry.phi())
    first, last = ring.phi_min_deg, ring.phi_max_deg
    if not (0 <= first <= 360 and 0 <= last <= 360):
        first, last = first % 360, last % 360
    between = (phi >= first, phi <= last)
    return np.asarray(inside & (between[0] | between[1] if first > last else between[0] & between[1]))


@dataclass(frozen=True, slots=True)
class RoiIntegrals:
    """Columns [n_rois] over the valid pixels of each region.

    `sum`, `max` int64 (`max` is NO_MAX without a valid pixel), `sum_square` uint64, `n_pixels` int64; `x`,
    `y` float64 are the intensity-weighted centre in pixel indices (whole numbers at pixel centres), NaN where
    `sum` is 0.
    """

    sum: npt.NDArray[np.int64]
    sum_square: npt.NDArray[np.uint64]
    max: npt.NDArray[np.int64]
    n_pixels: npt.NDArray[np.int64]
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]


SUM, SUM_SQUARE, X_WEIGHTED, Y_WEIGHTED, N_PIXELS = range(5)


def _number(pixel: str) -> str:
    """Sums of pixels of 32 bits may need more than 64; up to 2**53 double precision is exact."""
    return "float64" if pixel.endswith("32") else "int64"


@kernel(
    *(
        f"void(Array({pixel}, 2, 'C', readonly=True), Array(uint8, 2, 'C', readonly=True), {pixel}, boolean,"
        f" {pixel}, {pixel}, Array(int32, 2, 'C', readonly=True), {_number(pixel)}, {_number(pixel)}[:, ::1],"
        f" {pixel}[::1])"
        for pixel in PIXEL_TYPES
    )
)
def _integrate(  # noqa: PLR0917 Numba
    image: Any, excluded: Mask, error: Any, has_error: bool, highest: Any, lowest_value: Any, runs: Array,
    zero: Any, sums: Array, maxima: Array,
) -> None:  # fmt: skip
    no_error = not has_error
    for i in range(runs.shape[0]):
        y, first = runs[i, 0], runs[i, 1]
        row, mask = image[y, first : runs[i, 2]], excluded[y, first : runs[i, 2]]
        n, total, square, weighted, high = 0, zero, zero, zero, lowest_value
        for x in range(row.shape[0]):
            value = row[x]
            valid = (mask[x] == 0) & ((value != error) | no_error) & (value <= highest)
            number = (value if valid else error * 0) + zero
            n += int(valid)
            total += number
            square += number * number
            weighted += number * x
            high = max(high, value if valid else lowest_value)
        bits, roi = runs[i, 3], 0
        while bits:
            if bits & 1:
                sums[roi, SUM] += total
                sums[roi, SUM_SQUARE] += square
                sums[roi, X_WEIGHTED] += weighted + first * total
                sums[roi, Y_WEIGHTED] += y * total
                sums[roi, N_PIXELS] += n
                maxima[roi] = max(maxima[roi], high)
            bits >>= 1
            roi += 1


class RoiSums:
    """Prepared once per run; it is only read afterwards, so that several threads may use it."""

    def __init__(self, rules: PixelRules, roi_map: npt.NDArray[np.uint16], n_rois: int) -> None:
        """`roi_map` uint16 [y, x], of which the lowest `n_rois` bits are used."""
        self._rules = rules
        self._n_rois = n_rois
        self._runs = _runs(roi_map & np.uint16((1 << n_rois) - 1))

    def integrate(self, image: Image) -> RoiIntegrals:
        """Sums over all regions of `image` [y, x], C-contiguous, in one pass. Without the GIL."""
        limits = class_limits(self._rules, image.dtype)
        lowest = type_bounds(image.dtype)[0]
        number = np.dtype(_number(image.dtype.name)).type
        sums = np.zeros((self._n_rois, 5), number)
        maxima = np.full(self._n_rois, lowest)
        _integrate(
            image, self._rules.excluded, limits.error, limits.has_error, limits.highest_valid, lowest,
            self._runs, number(0), sums, maxima,
        )  # fmt: skip
        return _columns(sums, maxima)


def roi_integrals(
    image: Image, rules: PixelRules, roi_map: npt.NDArray[np.uint16], n_rois: int
) -> RoiIntegrals:
    """For a single image; for more, keep a RoiSums."""
    return RoiSums(rules, roi_map, n_rois).integrate(image)


def _runs(roi_map: npt.NDArray[np.uint16]) -> Array:
    """Runs of equal non-zero bits within rows: y, first x, end x, bits. int32 [n, 4]"""
    height, width = roi_map.shape
    padded = np.zeros((height, width + 2), np.uint16)
    padded[:, 1:-1] = roi_map
    # `nonzero` of two dimensions takes ten times as long, and a run begins that much later.
    changes = np.flatnonzero((padded[:, 1:] != padded[:, :-1]).ravel())
    y, x = np.divmod(changes, width + 1)
    bits = padded[y, x + 1]
    kept = np.flatnonzero(bits)
    # A row ends with zero bits: the next change after a run is its end, in the same row.
    return np.ascontiguousarray(np.stack([y[kept], x[kept], x[kept + 1], bits[kept]], axis=1), np.int32)


def _columns(sums: Array, maxima: Array) -> RoiIntegrals:
    n_pixels = sums[:, N_PIXELS].astype(np.int64)
    total = sums[:, SUM]
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = (np.where(total != 0, sums[:, column] / total, np.nan) for column in (X_WEIGHTED, Y_WEIGHTED))
    return RoiIntegrals(
        sum=_whole(total, np.int64),
        sum_square=_whole(sums[:, SUM_SQUARE], np.uint64),
        max=np.where(n_pixels > 0, _whole(maxima, np.int64), NO_MAX),
        n_pixels=n_pixels,
        x=x,
        y=y,
    )


def _whole(values: Array, dtype: type[np.integer[Any]]) -> Array:
    """Rounded to the nearest whole number, and cut to what the type holds."""
    if values.dtype.kind != "f":
        return values.astype(dtype)
    bounds = np.iinfo(dtype)
    wide = np.rint(np.nan_to_num(values.astype(np.float64), nan=0.0))
    return np.array([min(max(int(v), int(bounds.min)), int(bounds.max)) for v in wide.tolist()], dtype)
