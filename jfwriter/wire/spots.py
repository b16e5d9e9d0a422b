"""Per-image lists: spots, reflections, sums over regions of interest."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from jfwriter.settings import LimitSettings
from jfwriter.wire import aliases, columns, fields
from jfwriter.wire.collect import Problems
from jfwriter.wire.columns import Column, Columns
from jfwriter.wire.item import Table, read_item
from jfwriter.wire.messages import RoiIntegral, Spots
from jfwriter.wire.mismatch import Mismatch, Said
from jfwriter.wire.structures import Entries
from jfwriter.wire.table import RawTable, TableReader

_NAN: Final = float("nan")
_INDICES: Final = ("h", "k", "l")


def _column(name: str, dtype: str, hole: float) -> Column:
    others = tuple(alias for alias, meant in aliases.SPOT.items() if meant == name)
    return Column(np.dtype(dtype), hole, (name, *others))


SPOT_COLUMNS: Final[Mapping[str, Column]] = {
    **{name: _column(name, "f4", _NAN) for name in ("x", "y", "I", "dist_ewald")},
    "maxc": _column("maxc", "i8", 0),
    **{name: _column(name, "u1", 0) for name in ("ice_ring", "indexed")},
    "lattice": _column("lattice", "i4", -1),
    **{name: _column(name, "i4", 0) for name in _INDICES},
}
REFLECTION_COLUMNS: Final[Mapping[str, Column]] = {
    **{name: Column(np.dtype("i4"), 0, (name,)) for name in _INDICES},
    **{
        name: Column(np.dtype("f4"), _NAN, (name,))
        for name in (
            "d", "I", "sigma", "bkg", "x", "y", "obs_x", "obs_y", "image", "lp", aliases.RECIPROCAL_LP,
            "partiality", "delta_phi", "zeta", "image_scale_corr",
        )
    },
}  # fmt: skip


_SUMS: Final = ("sum", "sum_square", "max", "pixels", "x_weighted", "y_weighted")
_EXACT: Final = 1 << 53
"""Integers up to it are exact as float64."""

_EMPTY = np.empty(0, np.float32)
_EMPTY.flags.writeable = False
_NO_SPOTS: Final = Spots(x=_EMPTY, y=_EMPTY, intensity=_EMPTY)


class _PerThread(threading.local):
    def __init__(self) -> None:
        self.spots = TableReader(SPOT_COLUMNS, required=("x", "y"))
        self.reflections = TableReader(REFLECTION_COLUMNS)


_PER_THREAD = _PerThread()


def read_spots(value: object, limits: LimitSettings, problems: Problems) -> Spots:
    """Columns of the spots. A spot without x or y makes the field wrong; another wrong column is left out.

    Of more than `limits.max_spots` the strongest are kept, in the sender's order. Raises Mismatch.
    """
    if value == []:
        return _NO_SPOTS
    found = _PER_THREAD.spots.read(value.data) if isinstance(value, Table) else None
    if found is None:
        found = columns.gather(_opened(value, limits), SPOT_COLUMNS, "spots", problems)
    n = found.n_rows
    filled: dict[str, npt.NDArray[np.generic]] = dict(found.columns)
    for name in ("x", "y"):
        if found.present.get(name, 0) != n:
            raise Mismatch(f"a number `{name}` in each spot", Said(f"{found.present.get(name, 0)} of {n}"))
        filled.setdefault(name, _EMPTY)
    intensity = filled.pop("I", None)
    filled["intensity"] = np.full(n, _NAN, np.float32) if intensity is None else intensity
    if n > limits.max_spots:
        problems.add(
            "spots", Mismatch(f"at most {limits.max_spots} spots, the strongest are kept", Said(str(n)))
        )
        kept = _strongest(filled["intensity"], limits.max_spots)
        filled = {name: column[kept] for name, column in filled.items()}
    return Spots(**filled)  # type: ignore[arg-type]


def raw_spots(table: memoryview) -> RawTable | None:
    """Numbers of the spots in a well-formed CBOR array, in the order of SPOT_COLUMNS; None where `read_spots`
    might find something wrong."""
    return _PER_THREAD.spots.read_raw(table)


def spots_of(table: RawTable) -> Spots:
    """As `read_spots` has them."""
    if not table.n_rows:
        return _NO_SPOTS
    cast = _PER_THREAD.spots.cast(table.numbers)
    filled = {name: cast[column] for column, name in enumerate(SPOT_COLUMNS) if column in table.came}
    intensity = filled.pop("I", None)
    filled["intensity"] = np.full(table.n_rows, _NAN, np.float32) if intensity is None else intensity
    return Spots(**filled)  # type: ignore[arg-type]


def _opened(value: object, limits: LimitSettings) -> object:
    return read_item(value.data, limits) if isinstance(value, Table) else value


def _strongest(intensity: npt.NDArray[np.generic], n: int) -> npt.NDArray[np.intp]:
    """Indices of the `n` highest values, ascending; NaN is lower than any number."""
    order = np.argsort(np.where(np.isnan(intensity), -np.inf, intensity), kind="stable")
    return np.sort(order[-n:])


def read_reflections(
    value: object, limits: LimitSettings, problems: Problems
) -> dict[str, npt.NDArray[np.generic]] | None:
    """Columns of the reflections; None if there are none. h, k, l come in each or not at all."""
    found = _PER_THREAD.reflections.read(value.data) if isinstance(value, Table) else None
    if found is None:
        found = columns.gather(_opened(value, limits), REFLECTION_COLUMNS, "reflections", problems)
    n = found.n_rows
    if n == 0:
        return None
    if len({found.present.get(name, 0) for name in _INDICES} | {n}) > 1 and any(
        name in found.present for name in _INDICES
    ):
        raise Mismatch("h, k and l in each reflection", Said("some without"))
    return _with_lp(found)


def _with_lp(found: Columns) -> dict[str, npt.NDArray[np.generic]]:
    filled = dict(found.columns)
    reciprocal = filled.pop(aliases.RECIPROCAL_LP, None)
    if reciprocal is not None and "lp" not in filled:
        known = np.isfinite(reciprocal) & (reciprocal != 0)
        filled["lp"] = np.full(found.n_rows, _NAN, np.float32)
        np.divide(np.float32(1), reciprocal, out=filled["lp"], where=known)
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
            result[fields.text(name, limits)] = plain_integral(sums) or general_integral(sums, limits)
        except Mismatch as mismatch:
            problems.add(f"roi_integrals.{str(name)[:40]}", mismatch)
    return result


def plain_integral(value: object) -> RoiIntegral | None:
    """The usual form, six integers in their ranges; None for any other, which `general_integral` reads."""
    if type(value) is not dict or len(value) != len(_SUMS):
        return None
    total, square, highest, pixels, x, y = map(value.get, _SUMS)
    if (
        type(total) is type(square) is type(highest) is type(pixels) is type(x) is type(y) is int
        and fields.INT64_MIN <= total <= fields.INT64_MAX
        and 0 <= square <= fields.UINT64_MAX
        and fields.INT64_MIN <= highest <= fields.INT64_MAX
        and 0 <= pixels <= fields.UINT64_MAX
        and -_EXACT <= x <= _EXACT
        and -_EXACT <= y <= _EXACT
        and total != 0
    ):
        return RoiIntegral(sum=total, sum_square=square, max=highest, pixels=pixels, x=x / total, y=y / total)
    return None


def general_integral(value: object, limits: LimitSettings) -> RoiIntegral:
    """Any form; what is absent is 0 or None. Raises Mismatch."""
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
