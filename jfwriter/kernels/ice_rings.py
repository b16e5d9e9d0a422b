"""Powder rings of hexagonal ice."""

from __future__ import annotations

import math

import numpy as np

from jfwriter.kernels.pixel_classes import Array

A_ANGSTROM, C_ANGSTROM = 4.498, 7.338
"""Cell of ice Ih near 100 K, space group P6_3/mmc."""

RINGS = (
    (1, 0, 0), (0, 0, 2), (1, 0, 1), (1, 0, 2), (1, 1, 0), (1, 0, 3), (2, 0, 0), (1, 1, 2), (2, 0, 1),
    (2, 0, 2), (2, 0, 3), (2, 1, 0), (2, 1, 1), (1, 0, 5), (2, 1, 2), (3, 0, 0), (2, 1, 3),
)  # fmt: skip
"""h, k, l of the rings that are seen, from 3.90 to 1.26 Å."""


def d_spacing_angstrom(h: int, k: int, l: int) -> float:  # noqa: E741 Miller index
    """Spacing of a reflection of the hexagonal cell: 1 / d² = 4 / 3 (h² + h k + k²) / a² + l² / c²."""
    return 1 / math.sqrt(4 / 3 * (h * h + h * k + k * k) / A_ANGSTROM**2 + l * l / C_ANGSTROM**2)


ICE_Q_RECIPA = np.sort([2 * math.pi / d_spacing_angstrom(*hkl) for hkl in RINGS])
"""q of the rings, ascending, Å⁻¹. float64 [rings]"""

_MIDDLES = (ICE_Q_RECIPA[1:] + ICE_Q_RECIPA[:-1]) / 2


def near_ice_ring(q_recipA: Array, half_width_recipA: float) -> Array:  # noqa: N803 unit
    """True where q [n] is not farther than the half-width from a ring; False for NaN. bool [n]"""
    nearest = ICE_Q_RECIPA[np.searchsorted(_MIDDLES, q_recipA)]
    return np.asarray(np.abs(q_recipA - nearest) <= half_width_recipA)
