"""The expected scattering without spots: air, solvent ring, beam stop."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from jfwriter.simulator.geometry import Geometry

WATER_RING_Q_RECIPA = 1.904
"""2π / 3.3 Å, the maximum of the solvent ring."""

WATER_RING_WIDTH_RECIPA = 0.30
BEAM_STOP_RADIUS_M = 1.5e-3
BEAM_STOP_TRANSMISSION = 0.02


def background_rows(
    geometry: Geometry, photons_on_ring: float, first: int, last: int
) -> npt.NDArray[np.float32]:
    """Expected photons per pixel of rows first ... last - 1. [rows, width]

    A function of the scattering angle alone: what the sample scatters at q times the solid angle of the
    pixel, which falls with cos³ 2θ.
    """
    two_theta = geometry.two_theta_rows(first, last)
    expected = scattering(geometry.q_from_two_theta(two_theta))
    expected *= np.float32(photons_on_ring)
    expected *= np.cos(two_theta) ** 3
    shadow = np.tan(two_theta) < np.float32(BEAM_STOP_RADIUS_M / geometry.distance_m)
    expected[shadow] *= np.float32(BEAM_STOP_TRANSMISSION)
    return expected


def scattering(q: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Background at q (Å⁻¹), about 1 on the solvent ring: air that falls off, solvent, a flat rest."""
    ring = (q - np.float32(WATER_RING_Q_RECIPA)) * np.float32(1 / WATER_RING_WIDTH_RECIPA)
    np.multiply(ring, ring, out=ring)
    total = np.exp(np.float32(-0.5) * ring) * np.float32(0.7)
    total += np.exp(q * np.float32(-2.5)) * np.float32(1.5)
    total += np.float32(0.25)
    return np.asarray(total)
