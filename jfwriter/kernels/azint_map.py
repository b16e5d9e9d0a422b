"""Bins of the azimuthal integration: which pixel belongs to which, and how much it collects.

docs/reference/quantities/azimuthal-integration.md
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jfwriter.kernels.geometry import FloatArray, Geometry, blocks
from jfwriter.kernels.pixel_classes import PixelRules

NO_BIN = 0xFFFFFFFF
"""In the map of bins: the pixel is masked or out of range."""

MAX_BINS = 1 << 20
_ROUNDING = 1e-9
"""A range of a whole number of bins does not get one more for the rounding of its bounds."""


@dataclass(frozen=True, slots=True)
class AzintSettings:
    """`q_spacing` is the width of a bin in Å⁻¹; without `high_q_recipA`, bins reach the detector's highest q.

    `polarization_factor` is pyFAI's: 1 for polarization along the fast axis of the unrotated detector, -1
    along the slow axis, 0 for none.
    """

    low_q_recipA: float  # noqa: N815 unit
    high_q_recipA: float | None  # noqa: N815 unit
    q_spacing: float
    azimuthal_bins: int = 1
    polarization_corr: bool = False
    polarization_factor: float = 0.0
    solid_angle_corr: bool = False


@dataclass(frozen=True, slots=True)
class AzintMap:
    """`bin` uint32 [y, x]: φ bin times the number of q bins + q bin, or NO_BIN.

    `correction` float32 [y, x]: what a pixel collects, relative to one that faces the sample unpolarized;
    None if all are 1. The centres of the bins are float64 [n_phi, n_q]: `bin_to_q` in Å⁻¹,
    `bin_to_two_theta` in deg (NaN where no angle has such q), `bin_to_phi` in deg, 0 to 360.
    """

    bin: npt.NDArray[np.uint32]
    correction: npt.NDArray[np.float32] | None
    bin_to_q: FloatArray
    bin_to_two_theta: FloatArray
    bin_to_phi: FloatArray

    @property
    def shape(self) -> tuple[int, int]:
        """(n_phi, n_q)"""
        n_phi, n_q = self.bin_to_q.shape
        return n_phi, n_q


def make_azint_map(geometry: Geometry, settings: AzintSettings, rules: PixelRules) -> AzintMap:
    """Bins for a detector. Raises ValueError if there is none, or more than MAX_BINS."""
    high = settings.high_q_recipA
    if high is None:
        high = max((float(geometry.q(rows).max()) for rows in blocks(geometry.shape[0])), default=0.0)
    n_q = _number_of_bins(settings, high)
    n_phi = settings.azimuthal_bins
    if n_phi * n_q > MAX_BINS:
        raise ValueError(f"{n_phi} x {n_q} bins, expected at most {MAX_BINS}; take a larger q_spacing")
    bins = np.full(geometry.shape, NO_BIN, np.uint32)
    for rows in blocks(geometry.shape[0]):
        inside, number = _bins_of(geometry, settings, rows, n_q, high)
        inside &= rules.excluded[rows] == 0
        bins[rows][inside] = number[inside]
    q = settings.low_q_recipA + (np.arange(n_q, dtype=np.float64) + 0.5) * settings.q_spacing
    phi = (np.arange(n_phi) + 0.5) * (360 / n_phi)
    two_theta = np.degrees(geometry.two_theta_of(q))
    return AzintMap(
        bin=bins,
        correction=make_correction(geometry, settings),
        bin_to_q=np.tile(q, (n_phi, 1)),
        bin_to_two_theta=np.tile(two_theta, (n_phi, 1)),
        bin_to_phi=np.repeat(phi[:, np.newaxis], n_q, axis=1),
    )


def make_correction(geometry: Geometry, settings: AzintSettings) -> npt.NDArray[np.float32] | None:
    """`correction` of an AzintMap; the bins of `settings` are not looked at."""
    if not (settings.polarization_corr or settings.solid_angle_corr):
        return None
    correction = np.empty(geometry.shape, np.float32)
    for rows in blocks(geometry.shape[0]):
        correction[rows] = _correction(geometry, settings, rows)
    return correction


def _number_of_bins(settings: AzintSettings, high_q_recipA: float) -> int:  # noqa: N803 unit
    """The last bin is as wide as the others and may reach beyond the range."""
    width = high_q_recipA - settings.low_q_recipA
    if not (settings.q_spacing > 0 and 0 < width < math.inf):
        raise ValueError(
            f"no bin from {settings.low_q_recipA} to {high_q_recipA} Å⁻¹ in steps of {settings.q_spacing}; "
            "expected a range and a step above 0"
        )
    return max(1, math.ceil(min(width / settings.q_spacing * (1 - _ROUNDING), 2.0 * MAX_BINS)))


def _bins_of(
    geometry: Geometry, settings: AzintSettings, rows: slice, n_q: int, high: float
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint32]]:
    q = geometry.q(rows)
    q_bin = np.floor((q - settings.low_q_recipA) / settings.q_spacing)
    # The pixel with the highest q belongs to the last bin also where that bin ends with it.
    q_bin[(q_bin == n_q) & (q <= high)] = n_q - 1
    inside = (q_bin >= 0) & (q_bin < n_q)
    n_phi = settings.azimuthal_bins
    number = np.where(inside, q_bin, 0).astype(np.uint32)
    if n_phi > 1:
        phi_bin = np.minimum((geometry.phi(rows) * (n_phi / (2 * math.pi))).astype(np.uint32), n_phi - 1)
        number += phi_bin.astype(np.uint32) * np.uint32(n_q)
    return inside, number


def _correction(geometry: Geometry, settings: AzintSettings, rows: slice) -> FloatArray:
    """Solid angle: cos³ of the incidence. Polarization: (1 + cos² 2θ - f cos 2φ sin² 2θ) / 2."""
    correction = np.ones((rows.stop - rows.start, geometry.shape[1]))
    if settings.solid_angle_corr:
        correction *= geometry.cos_incidence(rows) ** 3
    if settings.polarization_corr:
        cos_square = np.cos(geometry.two_theta(rows)) ** 2
        along = settings.polarization_factor * np.cos(2 * geometry.phi(rows)) * (1 - cos_square)
        correction *= (1 + cos_square - along) / 2
    return correction
