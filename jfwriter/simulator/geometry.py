"""Where scattered beams meet a flat detector that stands perpendicular to the beam.

Frame: NeXus (McStas): z along the beam, y up, x completes a right-handed system, so that columns run
along -x and rows along -y. Pixel coordinates are continuous: pixel i covers i ... i + 1, and the centre
of the first pixel is 0.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

EV_ANGSTROM = 12398.4198
"""Photon energy (eV) times wavelength (Å)."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Beam and detector. `shape` is (height, width)."""

    shape: tuple[int, int]
    pixel_size_m: float
    beam_x_pxl: float
    beam_y_pxl: float
    distance_m: float
    wavelength_angstrom: float

    @property
    def energy_eV(self) -> float:  # noqa: N802 unit
        return EV_ANGSTROM / self.wavelength_angstrom

    @property
    def s0(self) -> FloatArray:
        """Incident beam vector, Å⁻¹. [3]"""
        return np.array([0.0, 0.0, 1.0 / self.wavelength_angstrom])

    def project(self, s1: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Continuous pixel coordinates (x, y), each [n], of beams [n, 3]; NaN for those that go back."""
        along = np.where(s1[:, 2] > 0, s1[:, 2], np.nan)
        scale = self.distance_m / self.pixel_size_m / along
        return self.beam_x_pxl - s1[:, 0] * scale, self.beam_y_pxl - s1[:, 1] * scale

    def two_theta_rows(self, first: int, last: int) -> npt.NDArray[np.float32]:
        """Scattering angle in rad at the pixel centres of rows first ... last - 1. [rows, width]"""
        x = (np.arange(self.shape[1], dtype=np.float32) + np.float32(0.5 - self.beam_x_pxl)) ** 2
        y = (np.arange(first, last, dtype=np.float32) + np.float32(0.5 - self.beam_y_pxl)) ** 2
        radius = np.sqrt(y[:, np.newaxis] + x[np.newaxis, :])
        return np.asarray(np.arctan(radius * np.float32(self.pixel_size_m / self.distance_m)))

    def q_from_two_theta(self, two_theta: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """q = 4π sin(θ) / λ in Å⁻¹."""
        scale = np.float32(4 * math.pi / self.wavelength_angstrom)
        return np.asarray(scale * np.sin(two_theta * np.float32(0.5)))

    def two_theta_from_q(self, q: FloatArray) -> FloatArray:
        """Scattering angle in rad for q in Å⁻¹."""
        return 2 * np.arcsin(np.clip(q * self.wavelength_angstrom / (4 * math.pi), 0.0, 1.0))

    def q_map(self) -> npt.NDArray[np.float32]:
        """q in Å⁻¹ at the pixel centres. [height, width]"""
        return self.q_from_two_theta(self.two_theta_rows(0, self.shape[0]))

    def d_min_angstrom(self) -> float:
        """Resolution of the corner that lies farthest from the beam."""
        height, width = self.shape
        x = max(abs(self.beam_x_pxl), abs(width - self.beam_x_pxl))
        y = max(abs(self.beam_y_pxl), abs(height - self.beam_y_pxl))
        two_theta = math.atan(math.hypot(x, y) * self.pixel_size_m / self.distance_m)
        return self.wavelength_angstrom / (2 * math.sin(two_theta / 2))


def default_distance_m(
    shape: tuple[int, int],
    pixel_size_m: float,
    wavelength_angstrom: float,
    edge_resolution_angstrom: float = 2.2,
) -> float:
    """Distance at which the middle of the longer edges has the given resolution."""
    two_theta = 2 * math.asin(min(0.6, wavelength_angstrom / (2 * edge_resolution_angstrom)))
    return max(shape) / 2 * pixel_size_m / math.tan(two_theta)
