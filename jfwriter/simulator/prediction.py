"""Which reflections an image shows, where, and how strong."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from jfwriter.simulator.geometry import FloatArray, Geometry
from jfwriter.simulator.lattice import ewald_crossings, miller_indices, resolution_limit_angstrom
from jfwriter.simulator.options import Sample, Scan
from jfwriter.simulator.profiles import normal_cdf

_MIN_ZETA = 0.05
"""Reflections closer to the rotation axis are left out: they would stay on the sphere for many images."""

_MIN_PHOTONS = 0.5
"""Expected photons below which a reflection is not drawn."""


@dataclass(frozen=True, slots=True)
class ExpectedSpots:
    """Spots of one image in columns [n], strongest first.

    `x`, `y` in pixels, whole numbers at pixel centres; `photons` expected on this image; `hkl` int32
    [n, 3]; `distance_ewald` in Å⁻¹ in the middle of the exposure, positive outside the sphere.
    """

    x: FloatArray
    y: FloatArray
    photons: FloatArray
    hkl: npt.NDArray[np.int32]
    distance_ewald: FloatArray

    @classmethod
    def none(cls) -> ExpectedSpots:
        empty = np.empty(0)
        return cls(empty, empty, empty, np.empty((0, 3), np.int32), empty)

    def take(self, chosen: npt.NDArray[np.generic]) -> ExpectedSpots:
        """The spots that an index or mask array selects, in its order."""
        return ExpectedSpots(*(getattr(self, f.name)[chosen] for f in fields(self)))


class _Reflections:
    """Miller indices [n, 3] and full intensities in photons [n] of one crystal."""

    def __init__(
        self, geometry: Geometry, sample: Sample, basis: FloatArray, rng: np.random.Generator
    ) -> None:
        d_min = resolution_limit_angstrom(sample.unit_cell, geometry.d_min_angstrom())
        self.hkl = miller_indices(sample.unit_cell, d_min)
        d_star_square = ((self.hkl @ basis.T) ** 2).sum(axis=1)
        # Wilson statistics of acentric reflections: exponential around a mean that falls with resolution.
        fall_off = np.exp(-0.5 * sample.b_factor_angstrom2 * d_star_square)
        self.photons = rng.exponential(sample.spot_photons, len(self.hkl)) * fall_off


class RotationPrediction:
    """Reflections that cross the Ewald sphere while the crystal turns.

    Each spreads over the rotation as a Gaussian of width mosaicity / |ζ| (Kabsch 2010); an image gets the
    part that falls into its increment, at the place of the crossing.
    """

    def __init__(
        self, geometry: Geometry, sample: Sample, scan: Scan, basis: FloatArray, rng: np.random.Generator
    ) -> None:
        reflections = _Reflections(geometry, sample, basis, rng)
        self._scan, self._geometry = scan, geometry
        crossings = ewald_crossings(reflections.hkl @ basis.T, np.asarray(scan.axis), geometry.s0)
        x, y = geometry.project(crossings.s1)
        height, width = geometry.shape
        seen = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (np.abs(crossings.zeta) > _MIN_ZETA)
        self._x, self._y = x[seen] - 0.5, y[seen] - 0.5
        self._angle_rad = crossings.angle_rad[seen]
        self._hkl = reflections.hkl[crossings.index[seen]]
        self._sigma_rad = math.radians(sample.mosaicity_deg) / np.abs(crossings.zeta[seen])
        # |ζ| also sets how long a reflection stays on the sphere (Lorentz factor).
        self._photons = reflections.photons[crossings.index[seen]] / np.abs(crossings.zeta[seen])

    def spots(self, image_id: int, basis: FloatArray, strength: float) -> ExpectedSpots:
        """Spots of the image whose lattice in the middle of its exposure is `basis`."""
        width = abs(self._scan.increment_rad)
        middle = self._scan.angle_rad(image_id) + self._scan.increment_rad / 2
        away = (self._angle_rad - middle + math.pi) % (2 * math.pi) - math.pi
        near = np.flatnonzero(np.abs(away) < width / 2 + 4 * self._sigma_rad)
        away, sigma = away[near], self._sigma_rad[near]
        share = normal_cdf((away + width / 2) / sigma) - normal_cdf((away - width / 2) / sigma)
        photons = self._photons[near] * share * strength
        strong = near[photons > _MIN_PHOTONS]
        return _strongest_first(
            ExpectedSpots(
                self._x[strong],
                self._y[strong],
                photons[photons > _MIN_PHOTONS],
                self._hkl[strong],
                _distance_to_sphere(self._hkl[strong] @ basis.T, self._geometry),
            )
        )


class StillPrediction:
    """Reflections near the Ewald sphere of a crystal at rest; they fade as a Gaussian with the distance."""

    def __init__(
        self,
        geometry: Geometry,
        sample: Sample,
        _scan: Scan,
        basis: FloatArray,
        rng: np.random.Generator,
    ) -> None:
        self._reflections = _Reflections(geometry, sample, basis, rng)
        self._geometry, self._sample = geometry, sample

    def spots(self, _image_id: int, basis: FloatArray, strength: float) -> ExpectedSpots:
        """Spots of a crystal with the lattice `basis`."""
        radius = self._sample.profile_radius_recipA
        vectors = self._reflections.hkl @ basis.T
        distance = _distance_to_sphere(vectors, self._geometry)
        near = np.flatnonzero(np.abs(distance) < 4 * radius)
        photons = self._reflections.photons[near] * np.exp(-0.5 * (distance[near] / radius) ** 2) * strength
        near, photons = near[photons > _MIN_PHOTONS], photons[photons > _MIN_PHOTONS]
        x, y = self._geometry.project(vectors[near] + self._geometry.s0)
        height, width = self._geometry.shape
        seen = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        spots = ExpectedSpots(x - 0.5, y - 0.5, photons, self._reflections.hkl[near], distance[near])
        return _strongest_first(spots.take(seen))


def _distance_to_sphere(vectors: FloatArray, geometry: Geometry) -> FloatArray:
    """|s0 + r| - |s0| in Å⁻¹ for vectors [n, 3]."""
    return np.asarray(np.linalg.norm(vectors + geometry.s0, axis=1)) - 1.0 / geometry.wavelength_angstrom


def _strongest_first(spots: ExpectedSpots) -> ExpectedSpots:
    return spots.take(np.argsort(-spots.photons, kind="stable"))
