"""Converters: one CBOR value -> one checked Python value, or Mismatch.

A converter takes (value, limits). Null never reaches one. Rule for numbers: an integer may come as a float
and a float as an integer where the value is exact; nothing else changes its type.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from jfwriter.payload import Payload
from jfwriter.settings import LimitSettings
from jfwriter.wire import tags
from jfwriter.wire.messages import FloatArray, Rational, UnitCell, Vector3
from jfwriter.wire.mismatch import Mismatch

T = TypeVar("T")
Reader = Callable[[object, LimitSettings], T]
Converter = Reader[object]

MAX_TEXT: Final = 4096
MAX_TABLE: Final = 1 << 20
"""Elements of a lookup table or spectrum."""
MAX_LATTICES: Final = 64
UINT32_MAX: Final = 2**32 - 1
UINT64_MAX: Final = 2**64 - 1
INT64_MAX: Final = 2**63 - 1
INT64_MIN: Final = -(2**63)


def integer(value: object, lowest: int, highest: int) -> int:
    """An integer within the bounds; a float that is one."""
    exact = int(value) if type(value) is float and value.is_integer() else value
    if type(exact) is not int:
        raise Mismatch("an integer", value)
    if not lowest <= exact <= highest:
        raise Mismatch(f"an integer from {lowest} to {highest}", value)
    return exact


def integer_field(lowest: int, highest: int) -> Reader[int]:
    def convert(value: object, _limits: LimitSettings) -> int:
        if type(value) is int and lowest <= value <= highest:
            return value
        return integer(value, lowest, highest)

    return convert


uint8 = integer_field(0, 255)
uint32 = integer_field(0, UINT32_MAX)
uint63 = integer_field(0, INT64_MAX)
uint64 = integer_field(0, UINT64_MAX)
int64 = integer_field(INT64_MIN, INT64_MAX)


def number(value: object) -> float:
    """A float, NaN and infinity included; an integer that a float holds exactly."""
    if type(value) is float:
        return value
    if type(value) is not int:
        raise Mismatch("a number", value)
    try:
        exact = float(value)
    except OverflowError:
        exact = math.inf
    if exact != value:
        raise Mismatch("a number that a float64 holds exactly", value)
    return exact


def finite(value: object, _limits: LimitSettings) -> float:
    result = number(value)
    if not math.isfinite(result):
        raise Mismatch("a finite number", value)
    return result


def positive(value: object, _limits: LimitSettings) -> float:
    result = number(value)
    if not 0 < result < math.inf:
        raise Mismatch("a number above 0", value)
    return result


def not_negative(value: object, _limits: LimitSettings) -> float:
    result = number(value)
    if not 0 <= result < math.inf:
        raise Mismatch("a number not below 0", value)
    return result


def fraction(value: object, _limits: LimitSettings) -> float:
    result = number(value)
    if not 0 <= result <= 1:
        raise Mismatch("a number from 0 to 1", value)
    return result


def measured(value: object, _limits: LimitSettings) -> float | None:
    """A result of an analysis: NaN is how senders say "none"."""
    if type(value) is float and -math.inf < value < math.inf:
        return value
    result = number(value)
    if math.isinf(result):
        raise Mismatch("a finite number", value)
    return None if math.isnan(result) else result


def boolean(value: object, _limits: LimitSettings) -> bool:
    if type(value) is not bool:
        raise Mismatch("true or false", value)
    return value


def any_text(value: object, _limits: LimitSettings) -> str:
    """Text as it came; for values that are judged elsewhere."""
    if type(value) is not str:
        raise Mismatch("text", value)
    return value


def text(value: object, _limits: LimitSettings) -> str:
    """Text that a null-terminated string can hold."""
    if type(value) is not str:
        raise Mismatch("text", value)
    if len(value) > MAX_TEXT:
        raise Mismatch(f"text of at most {MAX_TEXT} characters", value)
    if "\0" in value:
        raise Mismatch("text without NUL", value)
    return value


def texts(max_items: Callable[[LimitSettings], int]) -> Reader[tuple[str, ...]]:
    """An array of different texts."""

    def convert(value: object, limits: LimitSettings) -> tuple[str, ...]:
        if not isinstance(value, list | tuple):
            raise Mismatch("an array of texts", value)
        if len(value) > max_items(limits):
            raise Mismatch(f"at most {max_items(limits)} texts", value)
        result = tuple(at(f"[{i}]", text, item, limits) for i, item in enumerate(value))
        if len(set(result)) != len(result):
            raise Mismatch("texts that differ", value)
        return result

    return convert


def at(part: str, convert: Reader[T], value: object, limits: LimitSettings) -> T:
    """Convert a value inside a field; a mismatch names its place."""
    try:
        return convert(value, limits)
    except Mismatch as mismatch:
        raise mismatch.inside(part) from None


def date(value: object, _limits: LimitSettings) -> str:
    """Date and time, RFC 3339: text (tag 0, kept as it came) or seconds since 1970 (tag 1)."""
    if type(value) is str:
        try:
            datetime.datetime.fromisoformat(value.upper())
        except ValueError:
            raise Mismatch("a date and time (RFC 3339)", value) from None
        return value
    if type(value) in (int, float):
        try:
            moment = datetime.datetime.fromtimestamp(number(value), datetime.UTC)
        except (ValueError, OverflowError, OSError):
            raise Mismatch("a date and time in seconds since 1970", value) from None
        return moment.isoformat().replace("+00:00", "Z")
    raise Mismatch("a date and time (RFC 3339)", value)


def rational(value: object, _limits: LimitSettings) -> Rational:
    """`[numerator, denominator]`, an integer, or a float, which is taken to 1e-9."""
    if isinstance(value, list | tuple) and len(value) == 2:
        numerator = integer(value[0], 0, UINT64_MAX)
        return Rational(numerator, integer(value[1], 1, UINT64_MAX))
    if type(value) is int:
        return Rational(integer(value, 0, UINT64_MAX), 1)
    if type(value) is float and 0 <= value < 1e9:
        return Rational(round(value * 1e9), 10**9)
    raise Mismatch("[numerator, denominator]", value)


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


def finite_bins(value: object, limits: LimitSettings) -> FloatArray:
    return finite_numbers(value, limits.max_azint_bins)


def bin_counts(value: object, limits: LimitSettings) -> npt.NDArray[np.uint64]:
    """Unsigned integers [n]."""
    n_max = limits.max_azint_bins
    found = tags.array(value, n_max) if tags.is_array(value) else tags.number_list(value, n_max)
    with np.errstate(invalid="ignore"):
        whole = found.reshape(-1).astype(np.uint64)
        if found.dtype.kind != "u":
            sent = found.reshape(-1).astype(np.float64)
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
        cell = [at(f".{name}", positive, value.get(name), limits) for name in names]
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
        return {
            at(".*", text, name, limits): at(f".{name}", image, content, limits)
            for name, content in value.items()
        }

    return convert
