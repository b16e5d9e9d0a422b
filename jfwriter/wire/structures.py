"""The maps inside a start message: goniometer, grid scan, fluorescence, regions of interest."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from jfwriter.settings import LimitSettings
from jfwriter.wire import aliases, array_fields, fields
from jfwriter.wire.fields import at
from jfwriter.wire.messages import (
    Fluorescence,
    GoniometerAxis,
    GridScan,
    Roi,
    RoiAzimuthal,
    RoiBox,
    RoiCircle,
)
from jfwriter.wire.mismatch import Mismatch

MAX_AXES: Final = 16
_int32 = fields.integer_field(-(2**31), 2**31 - 1)
_count = fields.integer_field(1, 2**31 - 1)


class Entries:
    """The entries of a map by name; null is absent."""

    def __init__(self, value: object, limits: LimitSettings, expected: str = "a map") -> None:
        if not isinstance(value, dict):
            raise Mismatch(expected, value)
        self.values = {key: item for key, item in value.items() if item is not None and isinstance(key, str)}
        self._limits = limits

    def required(self, name: str, convert: fields.Reader[fields.T]) -> fields.T:
        if name not in self.values:
            raise Mismatch("a value", None, f".{name}")
        return at(f".{name}", convert, self.values[name], self._limits)

    def optional(self, name: str, convert: fields.Reader[fields.T]) -> fields.T | None:
        value = self.values.get(name)
        if value is None:
            return None
        try:
            return convert(value, self._limits)
        except Mismatch as mismatch:
            raise mismatch.inside(f".{name}") from None


def goniometer(value: object, limits: LimitSettings) -> dict[str, GoniometerAxis]:
    """Axis name -> axis."""
    axes = Entries(value, limits, "a map of axes").values
    if len(axes) > MAX_AXES:
        raise Mismatch(f"at most {MAX_AXES} axes", value)
    return {at(".*", fields.text, name, limits): at(f".{name}", _axis, axes[name], limits) for name in axes}


def _axis(value: object, limits: LimitSettings) -> GoniometerAxis:
    entries = Entries(value, limits, "a map of start and increment")
    return GoniometerAxis(
        start=entries.optional("start", fields.finite) or 0.0,
        increment=entries.optional("increment", fields.finite) or 0.0,
        axis=entries.optional("axis", array_fields.vector3),
        helical_step=entries.optional("helical_step", array_fields.vector3),
    )


def grid_scan(value: object, limits: LimitSettings) -> GridScan:
    entries = Entries(value, limits)
    return GridScan(
        n_fast=entries.required("n_fast", _count),
        n_slow=entries.optional("n_slow", _count),
        step_x_axis=entries.optional("step_x_axis", fields.finite) or 0.0,
        step_y_axis=entries.optional("step_y_axis", fields.finite) or 0.0,
        vertical=entries.optional("vertical", fields.boolean) or False,
        snake=entries.optional("snake", fields.boolean) or False,
    )


def fluorescence(value: object, limits: LimitSettings) -> Fluorescence:
    entries = Entries(value, limits)
    energy = entries.required("energy", array_fields.finite_bins)
    data = entries.required("data", array_fields.finite_bins)
    if len(energy) != len(data):
        raise Mismatch(f"{len(energy)} numbers, as many as `energy` has", data, ".data")
    return Fluorescence(energy, data)


def rois(value: object, limits: LimitSettings) -> tuple[Roi, ...]:
    """The regions, each with its bit in `roi_map`: its place in the array, in which null is no region."""
    if not isinstance(value, list | tuple):
        raise Mismatch("an array of regions of interest", value)
    places = [(i, item) for i, item in enumerate(value) if item is not None]
    return tuple(replace(at(f"[{i}]", roi, item, limits), bit_index=i) for i, item in places)


def roi(value: object, limits: LimitSettings) -> Roi:
    entries = Entries(value, limits)
    kind = entries.optional("type", fields.text) or _kind_by_keys(entries)
    if kind == "box":
        return _box(entries)
    if kind == "circle":
        return _circle(entries)
    if kind == "azim":
        return _azimuthal(entries)
    raise Mismatch("box, circle or azim", kind, ".type")


def _name(value: object, limits: LimitSettings) -> str:
    name = fields.text(value, limits)
    if not name:
        raise Mismatch("text that is not empty", value)
    return name


def _kind_by_keys(entries: Entries) -> str:
    names = set(entries.values)
    if names & {"radius_pxl", "r"}:
        return "circle"
    if names & {"q_min_recipA", "qmin"}:
        return "azim"
    return "box" if names & {"min_x_pxl", "xmin"} else ""


def _box(entries: Entries) -> RoiBox:
    aliases.rename(entries.values, aliases.ROI_BOX)
    return RoiBox(
        name=entries.required("name", _name),
        min_x_pxl=entries.required("min_x_pxl", _int32),
        max_x_pxl=entries.required("max_x_pxl", _int32),
        min_y_pxl=entries.required("min_y_pxl", _int32),
        max_y_pxl=entries.required("max_y_pxl", _int32),
    )


def _circle(entries: Entries) -> RoiCircle:
    aliases.rename(entries.values, aliases.ROI_CIRCLE)
    return RoiCircle(
        name=entries.required("name", _name),
        center_x_pxl=entries.required("center_x_pxl", fields.finite),
        center_y_pxl=entries.required("center_y_pxl", fields.finite),
        radius_pxl=entries.required("radius_pxl", fields.positive),
    )


def _azimuthal(entries: Entries) -> RoiAzimuthal:
    aliases.rename(entries.values, aliases.ROI_AZIMUTHAL)
    phi_min = entries.optional("phi_min_deg", fields.finite)
    phi_max = entries.optional("phi_max_deg", fields.finite)
    if (phi_min is None) != (phi_max is None):
        raise Mismatch("both phi_min_deg and phi_max_deg, or neither", entries.values)
    return RoiAzimuthal(
        name=entries.required("name", _name),
        q_min_recipA=entries.required("q_min_recipA", fields.not_negative),
        q_max_recipA=entries.required("q_max_recipA", fields.not_negative),
        phi_min_deg=phi_min,
        phi_max_deg=phi_max,
    )
