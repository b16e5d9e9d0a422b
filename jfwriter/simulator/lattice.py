"""Crystal lattices in reciprocal space and their meeting with the Ewald sphere.

Reciprocal vectors are in Å⁻¹ without the factor 2π, in the frame of `geometry`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jfwriter.wire.messages import UnitCell

FloatArray = npt.NDArray[np.float64]

LYSOZYME = UnitCell(a=79.1, b=79.1, c=37.9, alpha=90.0, beta=90.0, gamma=90.0)
LYSOZYME_SPACE_GROUP = 96
SMALL_CELL = UnitCell(a=24.3, b=29.1, c=33.7, alpha=90.0, beta=90.0, gamma=90.0)
SMALL_CELL_SPACE_GROUP = 19

MAX_REFLECTIONS = 1_500_000
"""Reflections of a sphere that are simulated; larger cells get a lower resolution."""


def cell_volume(cell: UnitCell) -> float:
    """Å³; NaN if no cell has these angles."""
    ca, cb, cg = (math.cos(math.radians(v)) for v in (cell.alpha, cell.beta, cell.gamma))
    square = 1 - ca * ca - cb * cb - cg * cg + 2 * ca * cb * cg
    return cell.a * cell.b * cell.c * math.sqrt(square) if square > 0 else math.nan


def reciprocal_basis(cell: UnitCell) -> FloatArray:
    """Columns a*, b*, c* with a* along x and b* in the xy plane (Busing & Levy 1967), Å⁻¹. [3, 3]"""
    ca, cb, cg = (math.cos(math.radians(v)) for v in (cell.alpha, cell.beta, cell.gamma))
    sin_alpha, sin_beta, sin_gamma = (math.sin(math.radians(v)) for v in (cell.alpha, cell.beta, cell.gamma))
    volume = cell_volume(cell)
    a_star = cell.b * cell.c * sin_alpha / volume
    b_star = cell.a * cell.c * sin_beta / volume
    c_star = cell.a * cell.b * sin_gamma / volume
    cos_beta_star = (ca * cg - cb) / (sin_alpha * sin_gamma)
    cos_gamma_star = (ca * cb - cg) / (sin_alpha * sin_beta)
    sin_beta_star = math.sqrt(max(0.0, 1 - cos_beta_star**2))
    sin_gamma_star = math.sqrt(max(0.0, 1 - cos_gamma_star**2))
    return np.array(
        [
            [a_star, b_star * cos_gamma_star, c_star * cos_beta_star],
            [0.0, b_star * sin_gamma_star, -c_star * sin_beta_star * ca],
            [0.0, 0.0, 1.0 / cell.c],
        ]
    )


def random_orientation(rng: np.random.Generator) -> FloatArray:
    """A rotation matrix, uniform over all orientations (Shoemake 1992). [3, 3]"""
    quaternion = rng.normal(size=4)
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def rotation_matrix(axis: FloatArray, angle_rad: float) -> FloatArray:
    """Right-handed rotation about a unit vector (Rodrigues). [3, 3]"""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + math.sin(angle_rad) * cross + (1 - math.cos(angle_rad)) * (cross @ cross))


def real_space_lattice(reciprocal: FloatArray) -> FloatArray:
    """Rows a, b, c in Å of the lattice whose reciprocal vectors are the columns of `reciprocal`. [3, 3]"""
    return np.asarray(np.linalg.inv(reciprocal), np.float64)


def resolution_limit_angstrom(cell: UnitCell, d_min_angstrom: float) -> float:
    """`d_min_angstrom`, or the resolution at which the sphere holds MAX_REFLECTIONS if that is lower."""
    return max(d_min_angstrom, math.cbrt(4 / 3 * math.pi * cell_volume(cell) / MAX_REFLECTIONS))


def miller_indices(cell: UnitCell, d_min_angstrom: float) -> npt.NDArray[np.int32]:
    """All h k l but 0 0 0 with a plane distance of at least `d_min_angstrom`. [n, 3]"""
    basis = reciprocal_basis(cell)
    h_max, k_max, l_max = (int(length / d_min_angstrom) for length in (cell.a, cell.b, cell.c))
    k_l = np.mgrid[-k_max : k_max + 1, -l_max : l_max + 1].reshape(2, -1)
    layer = np.vstack([np.zeros_like(k_l[:1]), k_l]).T.astype(np.float64)
    kept = []
    for h in range(-h_max, h_max + 1):
        layer[:, 0] = h
        d_star_square = ((layer @ basis.T) ** 2).sum(axis=1)
        kept.append(layer[(d_star_square <= d_min_angstrom**-2) & (d_star_square > 0)].astype(np.int32))
    return np.concatenate(kept)


@dataclass(frozen=True, slots=True)
class Crossings:
    """Reflections on the Ewald sphere: `index` into the list of vectors [m], `angle_rad` of rotation [m],
    diffracted beam `s1` [m, 3] in Å⁻¹ and `zeta` [m], the Lorentz factor's component along the axis
    (Kabsch 2010): a reflection of mosaicity σ spreads over σ / |ζ| of rotation."""

    index: npt.NDArray[np.int64]
    angle_rad: FloatArray
    s1: FloatArray
    zeta: FloatArray


def ewald_crossings(vectors: FloatArray, axis: FloatArray, s0: FloatArray) -> Crossings:
    """All angles in [0, 2π) at which reciprocal vectors [n, 3], turned about `axis`, fulfil |s0 + r| = |s0|.

    With r(φ) = r∥ + r⊥ cos φ + (e x r) sin φ the condition 2 s0·r + r² = 0 is A cos φ + B sin φ = C.
    """
    along = vectors @ axis
    perpendicular = vectors - along[:, np.newaxis] * axis
    crossed = np.cross(axis, vectors)
    a, b = perpendicular @ s0, crossed @ s0
    c = -0.5 * (vectors**2).sum(axis=1) - along * float(axis @ s0)
    amplitude = np.hypot(a, b)
    index = np.flatnonzero(np.abs(c) < amplitude)
    centre = np.arctan2(b[index], a[index])
    half = np.arccos(c[index] / amplitude[index])
    angle = np.concatenate([centre - half, centre + half]) % (2 * math.pi)
    index = np.concatenate([index, index])
    turned = (
        along[index, np.newaxis] * axis
        + perpendicular[index] * np.cos(angle)[:, np.newaxis]
        + crossed[index] * np.sin(angle)[:, np.newaxis]
    )
    s1 = s0 + turned
    normal = np.cross(s1, s0)
    length = np.linalg.norm(normal, axis=1)
    zeta = np.divide(normal @ axis, length, out=np.zeros(len(length)), where=length > 0)
    return Crossings(index, angle, s1, zeta)
