"""Converters for arrays, images and what is made of several numbers; the rules are those of `wire.fields`."""

from __future__ import annotations

import math
from typing import Final, cast

import numpy as np
import numpy.typing as npt

from jfwriter.payload import Payload
from jfwriter.settings import LimitSettings
from jfwriter.wire import fields, tags
from jfwriter.wire.fields import Reader, at
from jfwriter.wire.messages import BinArray, FloatArray, UnitCell, Vector3
from jfwriter.wire.mismatch import Mismatch

MAX_TABLE: Final = 1 << 20
"""Numbers of a lookup table that comes as a CBOR array."""
MAX_LATTICES: Final = 64
_SINGLE: Final = np.dtype(np.float32)


def numbers(value: object, max_elements: int) -> FloatArray:
    """Any array of numbers as float64 [n] (flattened); NaN and infinity included."""
    found = tags.array(value, max_elements) if tags.is_array(value) else tags.number_list(value, max_elements)
    with np.errstate(invalid="ignore"):  # a signalling NaN is no reason for a warning
        return np.ascontiguousarray(found.reshape(-1), np.float64)


def finite_numbers(value: object, max_elements: int) -> FloatArray:
    result = numbers(value, max_elements)
    if not np.isfinite(result).all():
        raise Mismatch("finite numbers", value)
    return result


def n_numbers(value: object, n: int) -> FloatArray:
    """Exactly `n` numbers."""
    result = numbers(value, max(n, 64))
    if result.size != n:
        raise Mismatch(f"{n} numbers", value)
    return result


def vector3(value: object, _limits: LimitSettings) -> Vector3:
    x, y, z = n_numbers(value, 3).tolist()
    if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(z)):
        raise Mismatch("3 finite numbers", value)
    return x, y, z


def bins(value: object, limits: LimitSettings) -> FloatArray:
    """Values of the azimuthal bins; NaN is a value."""
    return numbers(value, limits.max_azint_bins)


def profile(value: object, limits: LimitSettings) -> BinArray:
    """`bins`, but float32 stays what it is, a view into the message: profiles are stored so."""
    if tags.is_array(value):
        found = tags.array(value, limits.max_azint_bins)
        if found.dtype == _SINGLE:
            return cast("BinArray", found.reshape(-1))
    return bins(value, limits)


def finite_bins(value: object, limits: LimitSettings) -> FloatArray:
    return finite_numbers(value, limits.max_azint_bins)


def bin_counts(value: object, limits: LimitSettings) -> npt.NDArray[np.uint64]:
    """Unsigned integers [n]."""
    n_max = limits.max_azint_bins
    found = tags.array(value, n_max) if tags.is_array(value) else tags.number_list(value, n_max)
    found = found.reshape(-1)
    if found.dtype.kind == "u":
        return found.astype(np.uint64)
    with np.errstate(invalid="ignore"):
        whole = found.astype(np.uint64)
        sent = found.astype(np.float64)
        if not ((sent >= 0).all() and np.array_equal(whole.astype(np.float64), sent)):
            raise Mismatch("unsigned integers", value)
    return whole


def table(value: object, limits: LimitSettings) -> npt.NDArray[np.generic]:
    """A lookup table in the sender's type and shape, native byte order."""
    if not tags.is_array(value):
        return tags.number_list(value, MAX_TABLE)
    found = tags.array(value, limits.max_image_pixels)
    return np.ascontiguousarray(found, found.dtype.newbyteorder("="))


def lattice(value: object, _limits: LimitSettings) -> FloatArray | None:
    """Nine numbers; None where they hold NaN."""
    result = n_numbers(value, 9)
    if all(map(math.isfinite, result.tolist())):
        return result
    if np.isinf(result).any():
        raise Mismatch("9 finite numbers", value)
    return None


def lattices(value: object, limits: LimitSettings) -> FloatArray | None:
    """Float64 [m, 9] from an array of lattices, or from 9·m numbers in one array; None for none."""
    if isinstance(value, list | tuple) and not all(type(item) in (int, float) for item in value):
        if len(value) > MAX_LATTICES:
            raise Mismatch(f"at most {MAX_LATTICES} lattices", value)
        rows = [at(f"[{i}]", lattice, item, limits) for i, item in enumerate(value)]
        kept = [row for row in rows if row is not None]
        return np.array(kept, np.float64) if kept else None
    flat = finite_numbers(value, 9 * MAX_LATTICES)
    if flat.size % 9:
        raise Mismatch("a multiple of 9 numbers", value)
    return flat.reshape(-1, 9) if flat.size else None


def matrix3(value: object, _limits: LimitSettings) -> FloatArray:
    """Float64 [3, 3], row-major, from nine numbers or three rows of three."""
    if isinstance(value, list | tuple) and len(value) == 3:
        return np.array([at(f"[{i}]", vector3, row, _limits) for i, row in enumerate(value)], np.float64)
    result = n_numbers(value, 9)
    if not np.isfinite(result).all():
        raise Mismatch("9 finite numbers", value)
    return result.reshape(3, 3)


def unit_cell(value: object, limits: LimitSettings) -> UnitCell:
    """A map of a, b, c, alpha, beta, gamma, or six numbers in this order; all above 0."""
    names = ("a", "b", "c", "alpha", "beta", "gamma")
    if isinstance(value, dict):
        cell = [at(f".{name}", fields.positive, value.get(name), limits) for name in names]
    else:
        cell = n_numbers(value, 6).tolist()
        if not all(0 < x < math.inf for x in cell):
            raise Mismatch("6 numbers above 0", value)
    return UnitCell(*cell)


def single_image(dtypes: frozenset[str]) -> Reader[Payload]:
    def convert(value: object, limits: LimitSettings) -> Payload:
        return tags.image(value, dtypes, limits.max_image_pixels)

    return convert


def image_map(dtypes: frozenset[str]) -> Reader[dict[str, Payload]]:
    """Map of channel name -> image."""
    image = single_image(dtypes)

    def convert(value: object, limits: LimitSettings) -> dict[str, Payload]:
        if not isinstance(value, dict) or not value:
            raise Mismatch("a map of images", value)
        if len(value) > limits.max_channels:
            raise Mismatch(f"at most {limits.max_channels} channels", value)
        images: dict[str, Payload] = {}
        for name, content in value.items():
            text = at(".*", fields.text, name, limits)
            try:
                images[text] = image(content, limits)
            except Mismatch as mismatch:
                raise mismatch.inside(f".{text}") from None
        return images

    return convert
