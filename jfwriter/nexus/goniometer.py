"""Rotation axes of the sample (NXtransformations), one value per image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.nexus import fields
from jfwriter.nexus.image_numbers import ImageNumbers
from jfwriter.nexus.names import link_names
from jfwriter.nexus.transformations import Motion, axis
from jfwriter.wire.messages import GoniometerAxis, Vector3

DEFAULT_VECTOR: Vector3 = (-1.0, 0.0, 0.0)
"""Axis of a spindle that the sender gives no direction for, in the NeXus frame."""
_STREAM_V2_CHAIN = ("phi", "chi", "kappa", "omega")
"""DECTRIS Stream V2's axes from the sample outwards. An axis of another name sits nearest to the sample."""
_DETECTOR_AXES = frozenset({"two_theta"})
"""Stream V2 lists the detector's arm with the goniometer; it does not move the sample."""


def moving_axes(goniometer: Mapping[str, GoniometerAxis]) -> dict[str, GoniometerAxis]:
    """The axes worth writing, from the sample outwards.

    Stream V2 senders list every axis that they know of: one with start and increment 0 and no direction says
    nothing and is left out.
    """
    told = {
        name: gonio
        for name, gonio in goniometer.items()
        if gonio.start or gonio.increment or gonio.axis is not None or gonio.helical_step is not None
    }
    others = [name for name in told if name not in _STREAM_V2_CHAIN]
    return {name: told[name] for name in (*others, *_STREAM_V2_CHAIN) if name in told}


def goniometer(
    transformations: h5py.Group,
    axes: Mapping[str, GoniometerAxis],
    numbers: ImageNumbers,
    warnings: list[str],
    *,
    reserved: Iterable[str] = (),
) -> str:
    """Write `axes` (from the sample outwards) and return the path of the innermost one, "." without any.

    `numbers` [n_images] are the exposures behind the rows. Angles in deg at the start of the exposure.
    """
    names = link_names(axes, "goniometer axis", warnings, reserved=reserved)
    depends_on = "."
    for name in reversed(names):  # the outermost first: an axis names the one that carries it
        carrier = "." if name in _DETECTOR_AXES else depends_on
        written = rotation_axis(
            transformations, names[name], axes[name], numbers, on=carrier, warnings=warnings
        )
        if written is not None and name not in _DETECTOR_AXES:
            depends_on = written
    return depends_on


def rotation_axis(
    group: h5py.Group,
    name: str,
    gonio: GoniometerAxis,
    numbers: ImageNumbers,
    *,
    on: str,
    warnings: list[str],
) -> str | None:
    """One rotation axis with its end angles, ranges and helical steps; its path, None if it is left out.

    `<name>`, `<name>_end` f8 [n_images] deg; `<name>_range_average`, `<name>_range_total` deg;
    `<name>_helical_x`, `_y`, `_z` f8 [n_images] m, positions beside the axis, not axes of the chain.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        angles = gonio.start + numbers * gonio.increment
        members = _members(name, gonio, numbers, angles)
    if not all(np.isfinite(values).all() for values, _ in members.values()) or not np.isfinite(angles).all():
        warnings.append(f"goniometer axis {name!a}: its angles or positions are not finite; it is left out")
        return None
    if any(member in group for member in (name, *members)):
        warnings.append(f"goniometer axis {name!a}: a name of it is taken; it is left out")
        return None
    vector = _unit(gonio.axis, name, warnings)
    path = axis(group, name, angles, Motion.ROTATION_DEG, vector=vector, on=on)
    for member, (values, units) in members.items():
        fields.array(group, member, values, "f8", units)
    return path


def _members(
    name: str, gonio: GoniometerAxis, numbers: ImageNumbers, angles: npt.NDArray[np.float64]
) -> dict[str, tuple[npt.NDArray[np.float64], str]]:
    members = {
        f"{name}_end": (angles + gonio.increment, "deg"),
        f"{name}_range_average": (np.asarray(gonio.increment, dtype=np.float64), "deg"),
        f"{name}_range_total": (np.asarray(gonio.increment * len(numbers), dtype=np.float64), "deg"),
    }
    if gonio.helical_step is not None:
        for letter, step in zip("xyz", gonio.helical_step, strict=True):
            members[f"{name}_helical_{letter}"] = (numbers * step, "m")
    return members


def _unit(vector: Vector3 | None, name: str, warnings: list[str]) -> npt.NDArray[np.float64]:
    """`vector` with length 1: NXtransformations takes the length of an axis' vector for a factor."""
    if vector is None:
        return np.array(DEFAULT_VECTOR)
    direction = np.array(vector, dtype=np.float64)
    with np.errstate(over="ignore"):
        length = float(np.hypot.reduce(direction))
    if not 0.0 < length < np.inf:
        warnings.append(
            f"goniometer axis {name!a}: direction {vector} has no length; {DEFAULT_VECTOR} is written"
        )
        return np.array(DEFAULT_VECTOR)
    return direction / length
