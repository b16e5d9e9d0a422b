"""A value of the wrong type: how converters say so, and how what came is shown to a person."""

from __future__ import annotations

import cbor2
import numpy as np

_SHOWN = 40


class Said(str):
    """Words that describe what came, in place of the value."""

    __slots__ = ()


class Mismatch(Exception):
    """Raised by converters, never leaves `wire`. `part`: the place inside the field, e.g. `.omega.start`."""

    def __init__(self, expected: str, got: object, part: str = "") -> None:
        super().__init__(expected)
        self.expected = expected
        self.got = describe(got)
        self.part = part

    def inside(self, part: str) -> Mismatch:
        """The same mismatch, seen from the enclosing value."""
        self.part = part + self.part
        return self


def describe(value: object) -> str:  # noqa: C901, PLR0911 one line per kind of value
    """What came, in at most about sixty printable ASCII characters."""
    match value:
        case Said():
            return str(value)
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int():
            return f"integer {_short(str(value))}"
        case float():
            return f"float {value!r}"
        case str():
            return f"text {_short(ascii(value[: 2 * _SHOWN]))}"
        case bytes() | memoryview():
            return f"byte string of {len(value)} bytes"
        case list() | tuple():
            return f"array of {len(value)} items"
        case dict():
            return f"map of {len(value)} entries"
        case cbor2.CBORTag():
            return f"tag {value.tag}"
        case np.ndarray():
            return f"{value.dtype.name} array {list(value.shape)}"
    return _short(ascii(value))


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
