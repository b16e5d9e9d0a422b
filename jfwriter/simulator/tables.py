"""Per-pixel tables of a run: azimuthal bins and regions of interest, as a DCU announces them at start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jfwriter.simulator.geometry import FloatArray, Geometry
from jfwriter.wire.messages import Roi, RoiAzimuthal, RoiBox, RoiCircle

NO_BIN = 0xFFFFFFFF
"""Value of the bin map at pixels that belong to no bin."""

ICE_RINGS_ANGSTROM = (3.895, 3.661, 3.438, 2.667, 2.249, 2.068, 1.947, 1.916, 1.882, 1.719)
"""Powder rings of hexagonal ice."""


@dataclass(frozen=True, slots=True)
class Tables:
    """`valid` bool [y, x]; `bin_to_q` [bins] in Å⁻¹, `bin_map` uint32 [y, x] (NO_BIN at bad pixels);
    `roi_map` uint16 [y, x] with bit i for `rois[i]`. `flat_bins` is the bin map as `bincount` takes it
    without a conversion, with the number of bins at bad pixels [y * x]; `bin_count` pixels per bin."""

    valid: npt.NDArray[np.bool_]
    bin_to_q: FloatArray
    bin_map: npt.NDArray[np.uint32]
    rois: tuple[Roi, ...]
    roi_map: npt.NDArray[np.uint16]
    flat_bins: npt.NDArray[np.intp]
    bin_count: npt.NDArray[np.int64]


def make_tables(geometry: Geometry, valid: npt.NDArray[np.bool_], n_bins: int) -> Tables:
    """Bins of equal width in q up to the farthest corner, and one ROI of each kind."""
    q = geometry.q_map()
    q_top = float(q.max()) or 1.0
    number = np.minimum((q * np.float32(n_bins / q_top)).astype(np.uint32), np.uint32(n_bins - 1))
    bin_map = np.where(valid, number, np.uint32(NO_BIN))
    rois = default_rois(geometry)
    roi_map = np.zeros(geometry.shape, np.uint16)
    for bit, roi in enumerate(rois):
        roi_map |= roi_pixels(roi, geometry, q).astype(np.uint16) << np.uint16(bit)
    bin_to_q = np.asarray((np.arange(n_bins) + 0.5) * (q_top / n_bins), np.float64)
    flat_bins = np.minimum(bin_map, np.uint32(n_bins)).ravel().astype(np.intp)
    bin_count = np.bincount(flat_bins, minlength=n_bins + 1)[:n_bins]
    return Tables(valid, bin_to_q, bin_map, rois, roi_map, flat_bins, bin_count)


def default_rois(geometry: Geometry) -> tuple[Roi, ...]:
    """A box, a circle around the beam, the solvent ring and a sector of it."""
    height, width = geometry.shape
    return (
        RoiBox(
            "box", width // 8, max(width // 8, width // 4 - 1), height // 8, max(height // 8, height // 4 - 1)
        ),
        RoiCircle(
            "beam", geometry.beam_x_pxl, geometry.beam_y_pxl, max(2.0, round(min(height, width) / 12, 1))
        ),
        RoiAzimuthal("ring", 1.6, 2.2),
        RoiAzimuthal("sector", 1.6, 2.2, 330.0, 30.0),
    )


def roi_pixels(roi: Roi, geometry: Geometry, q: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """True inside the region. [height, width]

    The angle of a sector counts from the direction of the columns towards that of the rows.
    """
    y, x = np.ogrid[: geometry.shape[0], : geometry.shape[1]]
    if isinstance(roi, RoiBox):
        inside_x = (x >= roi.min_x_pxl) & (x <= roi.max_x_pxl)
        return np.asarray(inside_x & (y >= roi.min_y_pxl) & (y <= roi.max_y_pxl))
    if isinstance(roi, RoiCircle):
        square = (x + 0.5 - roi.center_x_pxl) ** 2 + (y + 0.5 - roi.center_y_pxl) ** 2
        return np.asarray(square <= roi.radius_pxl**2)
    inside = (q >= roi.q_min_recipA) & (q <= roi.q_max_recipA)
    if roi.phi_min_deg is None or roi.phi_max_deg is None:
        return np.asarray(inside)
    phi = np.degrees(np.arctan2(y + 0.5 - geometry.beam_y_pxl, x + 0.5 - geometry.beam_x_pxl)) % 360
    above, below = phi >= roi.phi_min_deg, phi <= roi.phi_max_deg
    wraps = roi.phi_min_deg > roi.phi_max_deg
    return np.asarray(inside & ((above | below) if wraps else (above & below)))
