"""Converters: one CBOR value -> one checked Python value, or Mismatch.

A converter takes (value, limits). Null never reaches one. Rule for numbers: an integer may come as a float
and a float as an integer where the value is exact; nothing else changes its type.
"""

from __future__ import annotations

import datetime
import functools
import math
import sys
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from jfwriter.settings import LimitSettings
from jfwriter.wire.messages import Rational
from jfwriter.wire.mismatch import Mismatch

T = TypeVar("T")
Reader = Callable[[object, LimitSettings], T]
Converter = Reader[object]

MAX_TEXT: Final = 4096
UINT32_MAX: Final = 2**32 - 1
UINT64_MAX: Final = 2**64 - 1
INT64_MAX: Final = 2**63 - 1
INT64_MIN: Final = -(2**63)


class Plain(NamedTuple):
    """Values that a converter gives back as they are: exactly of this type, within the bounds."""

    kind: type[int] | type[float]
    lowest: float
    highest: float


_PLAIN: Final[dict[Converter, Plain]] = {}


def plain_of(converter: Converter) -> Plain | None:
    """What of `converter` need not be called for; None if nothing."""
    return _PLAIN.get(converter)


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

    _PLAIN[convert] = Plain(int, lowest, highest)
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


_PLAIN[measured] = Plain(float, -sys.float_info.max, sys.float_info.max)


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


@functools.lru_cache(maxsize=8)  # every image of a run carries the same one
def _is_date(text: str) -> bool:
    try:
        datetime.datetime.fromisoformat(text.upper())
    except ValueError:
        return False
    return True


def date(value: object, _limits: LimitSettings) -> str:
    """Date and time, RFC 3339: text (tag 0, kept as it came) or seconds since 1970 (tag 1)."""
    if type(value) is str:
        if not _is_date(value):
            raise Mismatch("a date and time (RFC 3339)", value)
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
