"""`/entry/roi_defs` (NXcollection): the regions of interest of the run."""

from __future__ import annotations

from collections.abc import Sequence

import h5py

from jfwriter.nexus import fields, packed
from jfwriter.nexus.names import link_names
from jfwriter.wire.messages import Roi, RoiAzimuthal, RoiBox, RoiCircle, StartMessage

MAX_ROIS = 16
"""`roi_map` has one bit per region."""
MAP_NAME = "roi_map"


def roi_names(rois: Sequence[Roi], warnings: list[str]) -> dict[str, str]:
    """Name as sent -> name in the file, for the regions that are stored.

    "/" becomes "_"; names that cannot stand in a file, repeated ones and all after the sixteenth are
    left out.
    """
    if len(rois) > MAX_ROIS:
        warnings.append(f"rois: {len(rois)} regions, at most {MAX_ROIS} can be stored; the rest is left out")
    return link_names((roi.name for roi in rois[:MAX_ROIS]), "ROI", warnings, reserved=(MAP_NAME,))


def definitions(entry: h5py.Group, start: StartMessage, shape: tuple[int, int], warnings: list[str]) -> None:
    """One group per region, and `roi_map` u2 [y, x] with bit `bit_index` set where a region is.

    `bit_index` is that of the regions as sent, so that it stays true where one is left out.
    """
    if not start.rois and start.roi_map is None:
        return
    group = fields.collection(entry, "roi_defs")
    names = roi_names(start.rois, warnings)
    for place, roi in enumerate(start.rois[:MAX_ROIS]):
        link = names.get(roi.name)
        bit_index = place if roi.bit_index is None else roi.bit_index
        if link is not None and link not in group:
            _definition(fields.collection(group, link), bit_index, roi, warnings)
    if start.roi_map is not None:
        packed.store(group, MAP_NAME, start.roi_map, "roi_map", warnings, shape=shape, dtype="u2")


def _definition(group: h5py.Group, bit_index: int, roi: Roi, warnings: list[str]) -> None:
    """Bounds carry their unit in their names: pixels, Å⁻¹ and deg."""
    fields.scalar(group, "bit_index", bit_index, "u2")
    match roi:
        case RoiBox():
            fields.text(group, "type", "box")
            for name in ("min_x_pxl", "max_x_pxl", "min_y_pxl", "max_y_pxl"):
                fields.optional(group, name, getattr(roi, name), "i4", warnings=warnings)
        case RoiCircle():
            fields.text(group, "type", "circle")
            for name in ("center_x_pxl", "center_y_pxl", "radius_pxl"):
                fields.optional(group, name, getattr(roi, name), "f4", warnings=warnings)
        case RoiAzimuthal():
            fields.text(group, "type", "azim")
            for name in ("q_min_recipA", "q_max_recipA", "phi_min_deg", "phi_max_deg"):
                fields.optional(group, name, getattr(roi, name), "f4", warnings=warnings)
