"""Message fields -> bytes, for the simulator and the tests. Pixels are copied once, into the message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import cbor2
import numpy as np
import numpy.typing as npt

from jfwriter.payload import Codec
from jfwriter.wire.messages import Rational
from jfwriter.wire.tags import TAG_ARRAY, TAG_COMPRESSED, TYPED_ARRAYS

SELF_DESCRIBED: Final = b"\xd9\xd9\xf7"
"""Tag 55799 (RFC 8949, section 3.4.6)."""
_TAGS: Final = {dtype.str: tag for tag, dtype in reversed(TYPED_ARRAYS.items())}


class Encoded:
    """Ready CBOR in parts, joined only when the whole message is."""

    __slots__ = ("parts",)

    def __init__(self, *parts: bytes | memoryview) -> None:
        self.parts = parts


class _HoldsEncoded(Exception):
    """A signal between two functions of this module."""


def encode(fields: Mapping[str, object]) -> bytes:
    """One message: `type` first, then the order of `fields`.

    Values are None, bool, int, float, text, bytes, NumPy scalars, `Rational`, lists and maps of these,
    and what `pixels` and `typed_array` return. The same fields give the same bytes. Raises KeyError without
    `type`, TypeError for a value of another type.
    """
    ordered = {"type": fields["type"], **fields}
    parts: list[bytes | memoryview] = [SELF_DESCRIBED, _head(5, len(ordered))]
    for name, value in ordered.items():
        parts.append(cbor2.dumps(name))
        _append(parts, value)
    return b"".join(parts)


def pixels(data: bytes | memoryview, codec: Codec, dtype: npt.DTypeLike, shape: tuple[int, int]) -> Encoded:
    """An image [height, width] (tag 40) around bytes that are already packed with `codec`."""
    kind = np.dtype(dtype)
    content: tuple[bytes | memoryview, ...] = (_head(2, len(data)), data)
    if codec is not Codec.NONE:
        modifier = 0 if codec is Codec.LZ4 else kind.itemsize
        content = (
            _head(6, TAG_COMPRESSED) + b"\x83" + cbor2.dumps(codec.value) + cbor2.dumps(modifier),
            *content,
        )
    return Encoded(_array_head(shape), _head(6, _tag(kind)), *content)


def typed_array(array: npt.NDArray[np.generic]) -> Encoded:
    """A typed array (RFC 8746) in the array's own byte order; inside tag 40 if it is not one-dimensional."""
    flat = np.ascontiguousarray(array)
    typed = Encoded(_head(6, _tag(flat.dtype)) + _head(2, flat.nbytes), flat.reshape(-1).view(np.uint8).data)
    return typed if array.ndim == 1 else Encoded(_array_head(array.shape), *typed.parts)


def _array_head(shape: tuple[int, ...]) -> bytes:
    return _head(6, TAG_ARRAY) + b"\x82" + cbor2.dumps(list(shape))


def _tag(dtype: np.dtype[np.generic]) -> int:
    try:
        return _TAGS[dtype.str]
    except KeyError:
        raise TypeError(f"no typed array holds {dtype}") from None


def _append(parts: list[bytes | memoryview], value: object) -> None:
    """Append `value`; containers that hold `Encoded` are walked here, all others go to cbor2 as a whole."""
    if isinstance(value, Encoded):
        parts.extend(value.parts)
        return
    try:
        parts.append(cbor2.dumps(value, default=_plain))
    except _HoldsEncoded:
        if isinstance(value, Mapping):
            parts.append(_head(5, len(value)))
            for name, item in value.items():
                parts.append(cbor2.dumps(name))
                _append(parts, item)
        else:
            assert isinstance(value, list | tuple)  # noqa: S101 cbor2 found it inside an iterable of its own
            parts.append(_head(4, len(value)))
            for item in value:
                _append(parts, item)


def _plain(encoder: cbor2.CBOREncoder, value: object) -> None:
    if isinstance(value, Encoded):
        raise _HoldsEncoded
    if isinstance(value, Rational):
        encoder.encode([value.numerator, value.denominator])
    elif isinstance(value, np.generic):
        encoder.encode(value.item())
    else:
        raise TypeError(f"{type(value).__name__} has no place in a message")


def _head(major: int, argument: int) -> bytes:
    """Shortest head of an item (RFC 8949, section 4.2.1)."""
    if argument < 24:
        return bytes((major << 5 | argument,))
    size = 1 if argument < 1 << 8 else 2 if argument < 1 << 16 else 4 if argument < 1 << 32 else 8
    return bytes((major << 5 | 23 + size.bit_length(),)) + argument.to_bytes(size, "big")
