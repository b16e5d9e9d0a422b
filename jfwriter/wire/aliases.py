"""Every other spelling that is accepted, in one place. The name of the wire wins where both come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

IMAGE: Final = {"saturated_pixels": "saturated_pixel_count", "error_pixels": "error_pixel_count"}
SPOT: Final = {"intensity": "I", "dist_ewald_sphere": "dist_ewald"}
ROI_BOX: Final = {"xmin": "min_x_pxl", "xmax": "max_x_pxl", "ymin": "min_y_pxl", "ymax": "max_y_pxl"}
ROI_CIRCLE: Final = {"x": "center_x_pxl", "y": "center_y_pxl", "r": "radius_pxl"}
ROI_AZIMUTHAL: Final = {"qmin": "q_min_recipA", "qmax": "q_max_recipA"}
LATTICE_TYPE: Final = "lattice_type"
"""A map of `centering`, `system` and `niggli_class`, for `bravais_lattice` and `niggli_class`."""
RECIPROCAL_LP: Final = "rlp"
"""1 / `lp` of a reflection."""


def rename(fields: dict[str, object], aliases: Mapping[str, str]) -> None:
    """Put each value that came under another spelling under the wire's name, in place."""
    for alias, name in aliases.items():
        if alias in fields:
            value = fields.pop(alias)
            fields.setdefault(name, value)


CRYSTAL_SYSTEMS: Final = {
    "triclinic": "a", "monoclinic": "m", "orthorhombic": "o", "tetragonal": "t",
    "trigonal": "h", "rhombohedral": "h", "hexagonal": "h", "cubic": "c",
}  # fmt: skip
"""Name of a crystal system -> first letter of the Bravais lattice (International Tables A, 3.1.2)."""
