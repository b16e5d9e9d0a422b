"""NXsample."""

from __future__ import annotations

import dataclasses

import h5py

from jfwriter.nexus import fields
from jfwriter.nexus.goniometer import goniometer, moving_axes
from jfwriter.nexus.grid_scan import AXIS_NAMES, grid_scan
from jfwriter.nexus.image_numbers import ImageNumbers
from jfwriter.wire.messages import StartMessage


def sample(entry: h5py.Group, start: StartMessage, numbers: ImageNumbers, warnings: list[str]) -> h5py.Group:
    """NXsample: name, cell (Å, deg), temperature in K, and how it moves (`numbers`: exposure of each row)."""
    group = fields.group(entry, "sample", "NXsample")
    fields.text(group, "name", start.sample_name or "")
    fields.text(group, "depends_on", _motion(group, start, numbers, warnings))
    fields.optional(group, "temperature", start.sample_temperature, "f8", "K", warnings=warnings)
    if start.unit_cell is not None:
        fields.array(group, "unit_cell", dataclasses.astuple(start.unit_cell), "f8")
    if start.ub_matrix is not None:
        fields.array(group, "ub_matrix", start.ub_matrix.reshape(1, 3, 3), "f8", "Angstrom^-1")
    if start.space_group_number is not None:
        fields.text(group, "space_group", str(start.space_group_number))
    return group


def _motion(group: h5py.Group, start: StartMessage, numbers: ImageNumbers, warnings: list[str]) -> str:
    """Write the axes; the path of the one that carries the sample, "." for stills."""
    axes = moving_axes(start.goniometer)
    grid = start.grid_scan
    if not axes and grid is None:
        return "."
    transformations = fields.group(group, "transformations", "NXtransformations")
    # The older name of the group: scripts read the rotation range at /entry/sample/goniometer.
    fields.hard_link(group, "goniometer", transformations)
    last = goniometer(transformations, axes, numbers, warnings, reserved=AXIS_NAMES if grid else ())
    return last if grid is None else grid_scan(transformations, grid, numbers, last, warnings)
