"""A key for what a function is called with: equal keys, equal inputs to the last bit."""

from __future__ import annotations

import dataclasses
import hashlib
import struct
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from jfwriter.kernels.pixel_classes import Array

NameOf = Callable[[Array], bytes | None]
"""The key under which an array was computed, None for one that came from elsewhere."""

_KINDS = "biuf"


def input_key(make: Callable[..., object], inputs: Sequence[object], name_of: NameOf) -> bytes:
    """32 bytes. Dataclasses count by their type and all of their fields, arrays by type, shape and content or
    by the name that they have, floats bit by bit, so that 0.0 is not -0.0.

    Raises TypeError for an input of another kind, and for a function that may see more than its inputs.
    """
    name = f"{make.__module__}.{make.__qualname__}"
    if "<" in name:
        raise TypeError(f"{name}: expected a function or class of a module, which sees its inputs only")
    return hashlib.blake2b(b"".join(_parts((name, *inputs), name_of)), digest_size=32).digest()


def _parts(value: object, name_of: NameOf) -> Iterable[bytes]:
    """Bytes that no other value has, each part behind its kind and length."""
    match value:
        case None | bool() | int() | str():
            yield _part(type(value).__name__, repr(value).encode())
        case float() | np.number():
            number = np.asarray(value)
            yield _part(number.dtype.str, number.tobytes())
        case np.dtype() if value.kind in _KINDS:
            yield _part("dtype", value.str.encode())
        case bytes() | memoryview():
            yield _part("bytes", _hash(value))
        case np.ndarray() if value.dtype.kind in _KINDS:
            named = name_of(value)
            if named is None:
                content = _hash(np.ascontiguousarray(value).data)
                yield _part("array", repr((value.dtype.str, value.shape)).encode() + content)
            else:
                yield _part("named array", named)
        case tuple():
            yield _part("tuple", str(len(value)).encode())
            for element in value:
                yield from _parts(element, name_of)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = dataclasses.fields(value)
            yield _part("dataclass", f"{type(value).__module__}.{type(value).__qualname__}".encode())
            yield from _parts(tuple((field.name, getattr(value, field.name)) for field in fields), name_of)
        case _:
            raise TypeError(f"{type(value).__name__}: expected plain data, from which a key can be made")


def _part(kind: str, content: bytes) -> bytes:
    head = kind.encode()
    return struct.pack("<II", len(head), len(content)) + head + content


def _hash(content: bytes | memoryview) -> bytes:
    return hashlib.blake2b(content, digest_size=32).digest()
