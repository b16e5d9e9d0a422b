"""NXtransformations and NXdetector_module of the detector: where each pixel is."""

from __future__ import annotations

import h5py
import numpy as np

from jfwriter.nexus import fields
from jfwriter.nexus.geometry import FAST_AXIS, SLOW_AXIS, DetectorGeometry, detector_geometry
from jfwriter.nexus.transformations import Motion, axis
from jfwriter.wire.messages import StartMessage


def detector_position(
    detector: h5py.Group, start: StartMessage, shape: tuple[int, int], warnings: list[str]
) -> None:
    """Write `transformations`, `module` and `depends_on` of the detector. `shape` is (height, width).

    Without pixel size, distance and beam centre nobody knows where the pixels are: then none of it is
    written, because a reader would take any stand-in for a measured geometry.
    """
    needed = ("pixel_size_x", "pixel_size_y", "beam_center_x", "beam_center_y", "detector_distance")
    missing = [name for name in needed if getattr(start, name) is None]
    if missing:
        warnings.append(f"{', '.join(missing)}: not sent; the file has no detector geometry")
        return
    size_x_m, size_y_m, center_x, center_y, distance_m = (float(getattr(start, name)) for name in needed)
    angles_rad = (start.poni_rot1 or 0.0, start.poni_rot2 or 0.0, start.poni_rot3 or 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        geometry = detector_geometry((center_x, center_y), (size_x_m, size_y_m), distance_m, angles_rad)
        length_m = float(np.hypot.reduce(geometry.translation))
    if not np.isfinite(length_m):
        warnings.append("beam centre, pixel size or distance is too large; the file has no detector geometry")
        return
    last = _transformations(detector, geometry, length_m, angles_rad)
    fields.text(detector, "depends_on", last)
    _module(detector, shape, (size_x_m, size_y_m), last)


def _transformations(
    detector: h5py.Group, geometry: DetectorGeometry, length_m: float, angles_rad: tuple[float, float, float]
) -> str:
    """The chain rot3 -> rot2 -> rot1 -> translation; returns the path of rot3."""
    group = fields.group(detector, "transformations", "NXtransformations")
    direction = geometry.translation / length_m if length_m > 0 else np.array([0.0, 0.0, 1.0])
    # The whole vector stands in one axis: dxtbx falls back on beam_center for a translation purely along z.
    last = axis(group, "translation", length_m, Motion.TRANSLATION_M, vector=direction, on=".")
    for number, (angle, vector) in enumerate(zip(angles_rad, geometry.rotation_vectors, strict=True), 1):
        last = axis(group, f"rot{number}", angle, Motion.ROTATION_RAD, vector=vector, on=last)
    return last


def _module(
    detector: h5py.Group, shape: tuple[int, int], pixel_size_m: tuple[float, float], depends_on: str
) -> None:
    """One module as large as the image; `data_origin`, `data_size` are (slow, fast)."""
    group = fields.group(detector, "module", "NXdetector_module")
    fields.array(group, "data_origin", (0, 0), "i4")
    fields.array(group, "data_size", shape, "i4")
    offset = axis(group, "module_offset", 0.0, Motion.TRANSLATION_M, vector=(1.0, 0.0, 0.0), on=depends_on)
    for name, size_m, vector in zip(
        ("fast_pixel_direction", "slow_pixel_direction"), pixel_size_m, (FAST_AXIS, SLOW_AXIS), strict=True
    ):
        axis(group, name, size_m, Motion.TRANSLATION_M, vector=vector, on=offset)
