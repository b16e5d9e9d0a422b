"""Free-form data of the sender (header and image appendix) as JSON-like Python values.

Whatever comes out can be written as JSON text again: text, bool, None, finite floats, integers of 64 bits,
lists, maps with text keys. Integers beyond become floats, everything else None.
"""

from __future__ import annotations

import json
import math
from typing import Final

from jfwriter.wire.mismatch import Mismatch, Said

MAX_VALUES: Final = 1 << 16
"""Values of one message's free-form data, names of entries included. A byte of the message can ask for
seventy bytes of memory, and for a microsecond of the event loop."""
_MAX_DIGITS = 40
_SURROGATES = range(0xD800, 0xE000)


def parse_object(text: str, max_nesting: int) -> dict[str, object] | None:
    """The JSON object in `text`, or None if it holds no JSON object.

    NaN and infinities, which JSON does not know but many writers produce, come as None. Raises Mismatch where
    the text, with a comma or an opening bracket before each value, may hold more than MAX_VALUES.
    """
    if not text.lstrip().startswith("{"):
        return None
    _refuse_many(sum(map(text.count, ",[{")))
    try:
        value = json.loads(text, parse_constant=_no_value, parse_int=_integer, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    plain = _clean(value, max_nesting)
    return plain if isinstance(plain, dict) else None


def clean(value: object, max_nesting: int) -> object:
    """`value` with everything that JSON cannot say, or that is nested deeper, replaced by None.

    Raises Mismatch where it holds more than MAX_VALUES.
    """
    _refuse_many(n_values(value))
    return _clean(value, max_nesting)


def n_values(value: object) -> int:
    """Values inside `value`, itself and the names of entries included; counting ends behind MAX_VALUES."""
    n, waiting = 1, [value]
    while waiting and n <= MAX_VALUES:
        container = waiting.pop()
        if isinstance(container, dict):
            n += len(container)
            container = list(container.values())
        if isinstance(container, list | tuple):
            n += len(container)
            if n <= MAX_VALUES:
                waiting += [item for item in container if isinstance(item, dict | list | tuple)]
    return n


def _refuse_many(n: int) -> None:
    if n > MAX_VALUES:
        raise Mismatch(f"at most {MAX_VALUES} values", Said("more"))


def _clean(value: object, max_nesting: int) -> object:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple) and max_nesting > 0:
        return [_clean(item, max_nesting - 1) for item in value]
    if isinstance(value, dict) and max_nesting > 0:
        return {clean_text(str(key)): _clean(item, max_nesting - 1) for key, item in value.items()}
    return None


def clean_text(text: str) -> str:
    """`text` with U+FFFD for lone surrogates, which no UTF-8 text can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if ord(char) in _SURROGATES else char for char in text)
    return text


def _no_value(_constant: str) -> None:
    return None


def _integer(digits: str) -> int | float | None:
    return int(digits) if len(digits) <= _MAX_DIGITS else _finite(digits)


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None
