"""Per-image lists: spots, reflections, sums over regions of interest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from jfwriter.settings import LimitSettings
from jfwriter.wire import aliases, columns, fields
from jfwriter.wire.collect import Problems
from jfwriter.wire.columns import Column
from jfwriter.wire.messages import RoiIntegral, Spots
from jfwriter.wire.mismatch import Mismatch, Said
from jfwriter.wire.structures import Entries

_NAN = float("nan")


def _with_spellings(specs: Mapping[str, tuple[type[np.generic], float | int]]) -> dict[str, Column]:
    other = {name: alias for alias, name in aliases.SPOT.items()}
    return {
        name: Column(dtype, hole, (name, other[name]) if name in other else (name,))
        for name, (dtype, hole) in specs.items()
    }


SPOT_COLUMNS: Final = _with_spellings(
    {
        "x": (np.float32, _NAN),
        "y": (np.float32, _NAN),
        "I": (np.float32, _NAN),
        "maxc": (np.int64, 0),
        "ice_ring": (np.uint8, 0),
        "indexed": (np.uint8, 0),
        "lattice": (np.int32, -1),
        "h": (np.int32, 0),
        "k": (np.int32, 0),
        "l": (np.int32, 0),
        "dist_ewald": (np.float32, _NAN),
    }
)

_INDICES = ("h", "k", "l")
REFLECTION_COLUMNS: Final = {
    **{name: Column(np.int32, 0, (name,)) for name in _INDICES},
    **{
        name: Column(np.float32, _NAN, (name,))
        for name in (
            "d", "I", "sigma", "bkg", "x", "y", "obs_x", "obs_y", "image", "lp", aliases.RECIPROCAL_LP,
            "partiality", "delta_phi", "zeta", "image_scale_corr",
        )
    },
}  # fmt: skip


def read_spots(value: object, limits: LimitSettings, problems: Problems) -> Spots | None:
    """Columns of the spots. A spot without x or y makes the field wrong; another wrong column is left out.

    Of more than `limits.max_spots` the strongest are kept, in the sender's order.
    """
    n, found = columns.gather(value, SPOT_COLUMNS)
    filled: dict[str, npt.NDArray[np.generic]] = {}
    for name in ("x", "y"):
        column = found.pop(name, None)
        if n and (column is None or (isinstance(column, list) and None in column)):
            raise Mismatch(f"`{name}` in each spot", Said("a spot without"))
        filled[name] = fields.at(
            f".{name}", lambda v, _l: columns.fill(v, SPOT_COLUMNS["x"]), column or [], limits
        )
    filled |= _fill("spots", found, SPOT_COLUMNS, problems)
    intensity = filled.pop("I", None)
    if intensity is None:
        intensity = np.full(n, _NAN, np.float32)
    filled["intensity"] = intensity
    if n > limits.max_spots:
        problems.add("spots", Mismatch(f"at most {limits.max_spots} spots (the strongest are kept)", value))
        order = np.argsort(np.nan_to_num(-intensity.astype(np.float64), nan=np.inf), kind="stable")
        kept = np.sort(order[: limits.max_spots])
        filled = {name: column[kept] for name, column in filled.items()}
    return Spots(**filled)  # type: ignore[arg-type]


def read_reflections(
    value: object, _limits: LimitSettings, problems: Problems
) -> dict[str, npt.NDArray[np.generic]] | None:
    """Columns of the reflections; None if there are none. h, k, l come together or not at all."""
    n, found = columns.gather(value, REFLECTION_COLUMNS)
    if n == 0:
        return None
    incomplete = [
        name
        for name in _INDICES
        if name not in found or (isinstance(found[name], list) and None in found[name])
    ]
    if incomplete and any(name in found for name in _INDICES):
        raise Mismatch("h, k and l in each reflection", Said(f"one without `{incomplete[0]}`"))
    filled = _fill("reflections", found, REFLECTION_COLUMNS, problems)
    reciprocal = filled.pop(aliases.RECIPROCAL_LP, None)
    if reciprocal is not None and "lp" not in filled:
        with np.errstate(divide="ignore"):
            inverse = np.float32(1) / reciprocal
        filled["lp"] = np.where(np.isfinite(inverse), inverse, np.float32(_NAN))
    return filled


def _fill(
    field: str, found: Mapping[str, object], specs: Mapping[str, Column], problems: Problems
) -> dict[str, npt.NDArray[np.generic]]:
    filled = {}
    for name, column in found.items():
        try:
            filled[name] = columns.fill(column, specs[name])
        except Mismatch as mismatch:
            problems.add(f"{field}.{name}", mismatch)
    return filled


def read_roi_integrals(value: object, limits: LimitSettings, problems: Problems) -> dict[str, RoiIntegral]:
    """Region name -> sums; a region with a wrong value is left out."""
    if not isinstance(value, dict):
        raise Mismatch("a map of regions of interest", value)
    if len(value) > limits.max_rois:
        raise Mismatch(f"at most {limits.max_rois} regions", value)
    result = {}
    for name, sums in value.items():
        try:
            result[fields.text(name, limits)] = _roi_integral(sums, limits)
        except Mismatch as mismatch:
            problems.add(f"roi_integrals.{str(name)[:40]}", mismatch)
    return result


def _roi_integral(value: object, limits: LimitSettings) -> RoiIntegral:
    entries = Entries(value, limits)
    total = entries.optional("sum", fields.int64) or 0
    return RoiIntegral(
        sum=total,
        sum_square=entries.optional("sum_square", fields.uint64) or 0,
        max=entries.optional("max", fields.int64),
        pixels=entries.optional("pixels", fields.uint64) or 0,
        x=_centre(entries, "x", total),
        y=_centre(entries, "y", total),
    )


def _centre(entries: Entries, axis: str, total: int) -> float | None:
    direct = entries.optional(axis, fields.measured)
    if direct is not None:
        return direct
    weighted = entries.optional(f"{axis}_weighted", fields.finite)
    return weighted / total if weighted is not None and total != 0 else None
