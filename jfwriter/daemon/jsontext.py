"""JSON that every parser accepts, from data that a sender made up."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import numpy as np

MAX_DEPTH = 64


def dumps(value: object) -> bytes:
    """Compact ASCII JSON of `value`; what JSON cannot say is replaced as `json_safe` does."""
    return json.dumps(json_safe(value), separators=(",", ":"), allow_nan=False).encode("ascii")


def json_safe(value: object, depth: int = MAX_DEPTH) -> object:
    """`value` as plain JSON data.

    A number that is not finite becomes null, a lone surrogate U+FFFD, bytes and anything else their text;
    what lies deeper than `depth` is cut off as null.
    """
    kind = type(value)
    if kind is str or value is None or kind is bool or kind is int:  # nearly all that a status holds
        return _without_surrogates(value) if kind is str else value  # type: ignore[arg-type]
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    is_sequence = isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview)
    if is_sequence or isinstance(value, Mapping):
        return None if depth == 0 else _container(value, depth - 1)
    return _without_surrogates(str(value))


def _container(value: object, depth: int) -> object:
    if isinstance(value, Mapping):
        return {_without_surrogates(str(k)): json_safe(v, depth) for k, v in value.items()}
    assert isinstance(value, Sequence)  # noqa: S101 the caller looked
    return [json_safe(item, depth) for item in value]


def parsed_or_text(text: str) -> object:
    """The data that `text` holds if it is valid JSON (RFC 8259), else `text` itself."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _without_surrogates(text: str) -> str:
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
