"""From beam centre, distance and PyFAI's rotations to the axes of NXtransformations. Numbers only.

The frame is NeXus' (McStas): z along the beam, y up, x to the left seen along the beam. Rows of the
detector run down (-y), columns along -x. docs/explanations/geometry.md derives the formulae.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]

PONI_AXES = ((0.0, -1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, -1.0))
"""Axes of PyFAI's rot1, rot2, rot3 in the NeXus frame (right-handed)."""
FAST_AXIS = (-1.0, 0.0, 0.0)
SLOW_AXIS = (0.0, -1.0, 0.0)


@dataclass(frozen=True, slots=True)
class DetectorGeometry:
    """Axes of the detector chain rot3 -> rot2 -> rot1 -> translation -> laboratory.

    `translation` in m is where pixel corner (0, 0) lies; `rotation_vectors` are unit vectors for rot1, rot2,
    rot3, whose angles are PyFAI's.
    """

    translation: Vector
    rotation_vectors: tuple[Vector, Vector, Vector]


def rotation(axis: npt.ArrayLike, angle_rad: float) -> Matrix:
    """Right-handed rotation matrix [3, 3] about a unit vector (Rodrigues' formula)."""
    x, y, z = np.asarray(axis, dtype=np.float64)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    matrix: Matrix = np.eye(3) + np.sin(angle_rad) * cross + (1.0 - np.cos(angle_rad)) * (cross @ cross)
    return matrix


def detector_geometry(
    beam_center_pxl: tuple[float, float],
    pixel_size_m: tuple[float, float],
    distance_m: float,
    poni_rotations_rad: tuple[float, float, float],
) -> DetectorGeometry:
    """The chain for PONI = beam centre (x = fast, y = slow), as PyFAI's `rot3 . rot2 . rot1` places it.

    NXtransformations applies rot3 first and rot1 last, PyFAI rot1 first: the axis of each outer rotation is
    therefore turned by the inner ones.
    """
    rot1, rot2, rot3 = (
        rotation(axis, angle) for axis, angle in zip(PONI_AXES, poni_rotations_rad, strict=True)
    )
    axis1, axis2, axis3 = (np.array(axis) for axis in PONI_AXES)
    poni = np.array([beam_center_pxl[0] * pixel_size_m[0], beam_center_pxl[1] * pixel_size_m[1], distance_m])
    return DetectorGeometry(
        translation=rot3 @ rot2 @ rot1 @ poni,
        rotation_vectors=(rot3 @ rot2 @ axis1, rot3 @ axis2, axis3),
    )
