"""One axis of an NXtransformations chain."""

from __future__ import annotations

import enum

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.nexus import fields


class Motion(enum.Enum):
    """Kind and unit of an axis."""

    TRANSLATION_M = ("translation", "m")
    ROTATION_DEG = ("rotation", "deg")
    ROTATION_RAD = ("rotation", "rad")


def axis(
    parent: h5py.Group, name: str, values: npt.ArrayLike, motion: Motion, *, vector: npt.ArrayLike, on: str
) -> str:
    """Write an axis (f8, scalar or one value per image) and return its absolute path.

    `vector` is a unit vector in the NeXus frame; `on` is the absolute path of the axis that carries this one,
    or ".". Offsets are zero: dxtbx adds them without turning them.
    """
    kind, units = motion.value
    fields.array(parent, name, values, "f8", units)
    dataset = parent[name]
    fields.attributes(
        dataset,
        transformation_type=kind,
        vector=np.asarray(vector, dtype=np.float64) + 0.0,  # no -0.0
        offset=np.zeros(3),
        offset_units="m",
        depends_on=on,
    )
    return str(dataset.name)
