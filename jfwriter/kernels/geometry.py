"""Where pixels are in scattering: q, 2θ and φ at pixel centres, in pyFAI's PONI geometry.

The default orientation of a detector in pyFAI (docs/explanations/geometry.md): the sample at the origin, axis
1 along the slow and axis 2 along the fast direction of the unrotated detector, axis 3 along the beam.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Positions = tuple[FloatArray, FloatArray, FloatArray]

_BLOCK_ROWS = 64


@dataclass(frozen=True, slots=True)
class Geometry:
    """Beam and detector; `shape` is (height, width).

    The point of normal incidence is (`beam_x_pxl`, `beam_y_pxl`), counted in pixels from the outer corner of
    pixel (0, 0): the centre of pixel i lies at i + 0.5. `distance_m` is from the sample to that point.
    """

    shape: tuple[int, int]
    pixel_size_x_m: float
    pixel_size_y_m: float
    beam_x_pxl: float
    beam_y_pxl: float
    distance_m: float
    wavelength_angstrom: float
    rot1_rad: float = 0.0
    rot2_rad: float = 0.0
    rot3_rad: float = 0.0

    def plane(self, rows: slice = slice(None)) -> tuple[FloatArray, FloatArray]:
        """Pixel centres from the point of normal incidence, in m: slow [rows, 1] and fast [1, x]."""
        height, width = self.shape
        slow = (
            np.arange(height, dtype=np.float64)[rows, np.newaxis] + 0.5 - self.beam_y_pxl
        ) * self.pixel_size_y_m
        fast = (
            np.arange(width, dtype=np.float64)[np.newaxis, :] + 0.5 - self.beam_x_pxl
        ) * self.pixel_size_x_m
        return slow, fast

    def positions(self, rows: slice = slice(None)) -> Positions:
        """Pixel centres in m along axes 1, 2, 3, each [rows, x]."""
        slow, fast = self.plane(rows)
        turn = self._rotation()
        along1, along2, along3 = (a[0] * slow + a[1] * fast + a[2] * self.distance_m for a in turn)
        return along1, along2, along3

    def two_theta(self, rows: slice = slice(None)) -> FloatArray:
        """Scattering angle in rad. [rows, x]"""
        along1, along2, along3 = self.positions(rows)
        return np.arctan2(np.hypot(along1, along2), along3)

    def q(self, rows: slice = slice(None)) -> FloatArray:
        """q = 4π sin(θ) / λ in Å⁻¹. [rows, x]"""
        return self.q_of(self.two_theta(rows))

    def phi(self, rows: slice = slice(None)) -> FloatArray:
        """pyFAI's χ in rad, 0 ≤ φ < 2π: from axis 2 (columns, +x) towards axis 1 (rows, +y). [rows, x]"""
        along1, along2, _ = self.positions(rows)
        phi = np.arctan2(along1, along2)
        phi[phi < 0] += 2 * math.pi
        phi[phi >= 2 * math.pi] = 0.0  # -1e-20 + 2π
        return phi

    def cos_incidence(self, rows: slice = slice(None)) -> FloatArray:
        """Cosine of the angle between the ray and the detector's normal. [rows, x]"""
        slow, fast = self.plane(rows)
        return self.distance_m / np.sqrt(slow * slow + fast * fast + self.distance_m * self.distance_m)

    def q_map(self) -> npt.NDArray[np.float32]:
        """q in Å⁻¹ as float32 [y, x]."""
        return self.q().astype(np.float32)

    def q_of(self, two_theta_rad: FloatArray) -> FloatArray:
        return 4 * math.pi / self.wavelength_angstrom * np.sin(two_theta_rad / 2)

    def two_theta_of(self, q_recipA: FloatArray) -> FloatArray:  # noqa: N803 unit
        """In rad; NaN where no angle has such q."""
        sine = q_recipA * self.wavelength_angstrom / (4 * math.pi)
        return 2 * np.arcsin(np.where(sine <= 1, sine, np.nan))

    def _rotation(self) -> FloatArray:
        """rot3 · rot2 · rot1 as pyFAI composes them. [3, 3]"""
        cos1, cos2, cos3 = (math.cos(angle) for angle in (self.rot1_rad, self.rot2_rad, self.rot3_rad))
        sin1, sin2, sin3 = (math.sin(angle) for angle in (self.rot1_rad, self.rot2_rad, self.rot3_rad))
        rot1 = np.array([[1.0, 0.0, 0.0], [0.0, cos1, sin1], [0.0, -sin1, cos1]])
        rot2 = np.array([[cos2, 0.0, -sin2], [0.0, 1.0, 0.0], [sin2, 0.0, cos2]])
        rot3 = np.array([[cos3, -sin3, 0.0], [sin3, cos3, 0.0], [0.0, 0.0, 1.0]])
        return np.asarray(rot3 @ rot2 @ rot1)


class CachedGeometry(Geometry):
    """For several questions about all pixels: finds 2θ, q and φ once, when they are first asked for, and
    holds them until `forget`: 8 bytes per pixel each. What it returns is read-only, and the same bit for bit
    as from a Geometry with these fields.
    """

    def two_theta(self, rows: slice = slice(None)) -> FloatArray:
        return self._all_two_theta[rows]

    def q(self, rows: slice = slice(None)) -> FloatArray:
        return self._all_q[rows]

    def phi(self, rows: slice = slice(None)) -> FloatArray:
        return self._all_phi[rows]

    def forget(self) -> None:
        """Free what is held; it is found anew if it is asked for."""
        self.__dict__.clear()

    @functools.cached_property
    def _all_two_theta(self) -> FloatArray:
        return self._in_blocks(super().two_theta)

    @functools.cached_property
    def _all_q(self) -> FloatArray:
        return self._in_blocks(super().q)

    @functools.cached_property
    def _all_phi(self) -> FloatArray:
        return self._in_blocks(super().phi)

    def _in_blocks(self, values: Callable[[slice], FloatArray]) -> FloatArray:
        found = np.empty(self.shape, np.float64)
        for rows in blocks(self.shape[0]):
            found[rows] = values(rows)
        found.flags.writeable = False
        return found


def blocks(height: int) -> Iterator[slice]:
    """Rows worked on together: the steps in double precision for all of them would take a multiple of the
    image, and fall out of the cache."""
    return (slice(first, min(first + _BLOCK_ROWS, height)) for first in range(0, height, _BLOCK_ROWS))
