"""Raster scans as translations of the sample."""

from __future__ import annotations

import h5py
import numpy as np

from jfwriter.nexus.goniometer import DEFAULT_VECTOR
from jfwriter.nexus.image_numbers import ImageNumbers
from jfwriter.nexus.transformations import Motion, axis
from jfwriter.wire.messages import GridScan

AXIS_NAMES = ("grid_x", "grid_y")
_X_VECTOR = (-1.0, 0.0, 0.0)
_Y_VECTOR = (0.0, -1.0, 0.0)


def grid_positions(grid: GridScan, numbers: ImageNumbers) -> tuple[ImageNumbers, ImageNumbers]:
    """Position of each exposure in steps along (x, y).

    Rows of `n_fast` exposures; `snake` runs every other one backwards, `vertical` makes y the fast axis.
    """
    slow, fast = np.divmod(numbers, grid.n_fast)
    if grid.snake:
        fast = np.where(slow % 2 == 1, grid.n_fast - 1 - fast, fast)
    return (slow, fast) if grid.vertical else (fast, slow)


def grid_scan(
    transformations: h5py.Group, grid: GridScan, numbers: ImageNumbers, rotation: str, warnings: list[str]
) -> str:
    """Write `grid_x` -> `grid_y` -> `rotation` (f8 [n_images], m) and return where the sample hangs.

    `rotation` is the path of the rotation axis, "." if there is none: then a spindle that stands still is
    written, because dxtbx cannot read a chain of translations only.
    """
    if grid.n_fast < 1:
        warnings.append(f"grid_scan: n_fast {grid.n_fast}, expected at least 1; it is left out")
        return rotation
    columns, rows = grid_positions(grid, numbers)
    with np.errstate(over="ignore", invalid="ignore"):
        x_m, y_m = columns * grid.step_x_axis, rows * grid.step_y_axis
    if not (np.isfinite(x_m).all() and np.isfinite(y_m).all()):
        warnings.append("grid_scan: its positions are not finite; it is left out")
        return rotation
    if rotation == ".":
        standing = np.zeros(len(numbers))
        rotation = axis(
            transformations, "omega", standing, Motion.ROTATION_DEG, vector=DEFAULT_VECTOR, on="."
        )
    y = axis(transformations, "grid_y", y_m, Motion.TRANSLATION_M, vector=_Y_VECTOR, on=rotation)
    return axis(transformations, "grid_x", x_m, Motion.TRANSLATION_M, vector=_X_VECTOR, on=y)
