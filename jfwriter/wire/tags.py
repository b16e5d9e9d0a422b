"""Arrays and images out of CBOR tags.

Typed arrays: RFC 8746, section 2 (tags 64-87). Multi-dimensional arrays, row-major: section 3.1.1 (tag 40).
Compressed byte strings: DECTRIS tag 56500, `[algorithm, modifier, bytes]`.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final, NamedTuple

import cbor2
import numpy as np
import numpy.typing as npt

from jfwriter.payload import Codec, Payload
from jfwriter.wire.mismatch import Mismatch, Said

TAG_ARRAY: Final = 40
TAG_COMPRESSED: Final = 56500
_LIST: Final = (list, tuple)
_BYTES: Final = (bytes, memoryview)

TYPED_ARRAYS: Final[dict[int, np.dtype[np.generic]]] = {
    tag: np.dtype(code)
    for tag, code in {
        64: "u1", 65: ">u2", 66: ">u4", 67: ">u8", 68: "u1", 69: "<u2", 70: "<u4", 71: "<u8",
        72: "i1", 73: ">i2", 74: ">i4", 75: ">i8", 77: "<i2", 78: "<i4", 79: "<i8",
        80: ">f2", 81: ">f4", 82: ">f8", 84: "<f2", 85: "<f4", 86: "<f8",
    }.items()
}  # fmt: skip
"""Tag -> element type. 76 is reserved; 83 and 87 (float128) have no use here."""

_NAMES: Final = {tag: dtype.name for tag, dtype in TYPED_ARRAYS.items()}
"""Looked up here because a dtype makes its name anew each time."""

ALGORITHMS: Final = {
    "bslz4": Codec.BSLZ4,
    "bszstd": Codec.BSZSTD,
    "bszstd_rle": Codec.BSZSTD,
    "bszstd_rlehuf": Codec.BSZSTD,
    "lz4": Codec.LZ4,
}
"""The encoders behind the three bszstd names differ; what they write is read alike."""

IMAGE_DTYPES: Final = frozenset({"int8", "int16", "int32", "uint8", "uint16", "uint32", "float32"})
"""Pixel types of detector images."""
INTEGER_DTYPES: Final = frozenset({"int8", "int16", "int32", "uint8", "uint16", "uint32"})
"""Pixel types of masks and maps."""
NUMBER_DTYPES: Final = frozenset(dtype.name for dtype in TYPED_ARRAYS.values())


class _Elements(NamedTuple):
    dtype: np.dtype[np.generic]
    name: str
    codec: Codec
    data: bytes | memoryview


def is_array(value: object) -> bool:
    """Whether the value is a typed or a multi-dimensional array."""
    return isinstance(value, cbor2.CBORTag) and (value.tag == TAG_ARRAY or value.tag in TYPED_ARRAYS)


def image(value: object, dtypes: Collection[str], max_pixels: int) -> Payload:
    """A two-dimensional image, still packed.

    Leading dimensions of length 1 are dropped. Raises Mismatch for anything but tag 40 around two dimensions
    and a typed array of one of `dtypes`, for a compression that is not known, and over `max_pixels`.
    """
    if not isinstance(value, cbor2.CBORTag) or value.tag != TAG_ARRAY:
        raise Mismatch("an image (tag 40 around a typed array)", value)
    shape, content = _dimensions(value.value)
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != 2:
        raise Mismatch("an image of two dimensions", list(shape))
    if not 0 < math.prod(shape) <= max_pixels:
        raise Mismatch(f"an image of 1 to {max_pixels} pixels", Said(f"{shape[0]} x {shape[1]} pixels"))
    elements = _elements(content, "a typed array inside tag 40")
    if elements.name not in dtypes:
        raise Mismatch(f"pixels of type {', '.join(sorted(dtypes))}", Said(elements.name))
    return Payload(memoryview(elements.data), elements.codec, elements.dtype, (shape[0], shape[1]))


def array(value: object, max_elements: int) -> npt.NDArray[np.generic]:
    """The numbers of a typed array, or of a tag 40 around one or around a CBOR array; never compressed.

    Typed arrays come as read-only views in the sender's byte order. Raises Mismatch.
    """
    if isinstance(value, cbor2.CBORTag) and value.tag == TAG_ARRAY:
        shape, content = _dimensions(value.value)
        flat = array(content, max_elements) if is_array(content) else number_list(content, max_elements)
        if math.prod(shape) != flat.size or flat.ndim != 1:
            raise Mismatch(f"{math.prod(shape)} numbers inside tag 40", Said(f"{flat.size} numbers"))
        return flat.reshape(shape)
    elements = _elements(value, "an array of numbers")
    if elements.codec is not Codec.NONE:
        raise Mismatch("an array of numbers without compression", Said(f"{elements.codec} data"))
    size, rest = divmod(len(elements.data), elements.dtype.itemsize)
    if rest:
        raise Mismatch(f"a whole number of {elements.name} elements", elements.data)
    if size > max_elements:
        raise Mismatch(f"at most {max_elements} numbers", Said(f"{size} numbers"))
    return np.frombuffer(elements.data, elements.dtype) if size else np.empty(0, elements.dtype)


def number_list(value: object, max_elements: int) -> npt.NDArray[np.int64 | np.uint64 | np.float64]:
    """A CBOR array of numbers as int64 (uint64 above its range) if all are integers, else float64."""
    if not isinstance(value, _LIST):
        raise Mismatch("an array of numbers", value)
    if len(value) > max_elements:
        raise Mismatch(f"at most {max_elements} numbers", Said(f"{len(value)} numbers"))
    kinds = set(map(type, value))
    if not kinds <= {int, float}:
        wrong = next(i for i, v in enumerate(value) if type(v) not in (int, float))
        raise Mismatch("a number", value[wrong], f"[{wrong}]")
    if kinds != {int}:
        return np.array(value, np.float64)
    try:
        return np.array(value, np.int64)
    except OverflowError:
        pass
    try:
        return np.array(value, np.uint64)
    except OverflowError:
        return np.array(value, np.float64)


def _dimensions(content: object) -> tuple[tuple[int, ...], object]:
    """(shape, elements) of the content of tag 40."""
    if not isinstance(content, _LIST) or len(content) != 2:
        raise Mismatch("tag 40 around [dimensions, elements]", content)
    dimensions, elements = content
    if is_array(dimensions) and dimensions.tag != TAG_ARRAY:
        dimensions = array(dimensions, 16).tolist()
    if not isinstance(dimensions, _LIST) or not 1 <= len(dimensions) <= 16:
        raise Mismatch("1 to 16 dimensions in tag 40", dimensions)
    for size in dimensions:
        if type(size) is not int or not 0 <= size < 1 << 32:
            raise Mismatch("dimensions in tag 40 that are unsigned integers", size)
    return tuple(dimensions), elements


def _elements(value: object, expected: str) -> _Elements:
    if not isinstance(value, cbor2.CBORTag) or value.tag not in TYPED_ARRAYS:
        raise Mismatch(expected, value)
    number = value.tag
    dtype = TYPED_ARRAYS[number]
    content = value.value
    if isinstance(content, _BYTES):
        return _Elements(dtype, _NAMES[number], Codec.NONE, content)
    if not isinstance(content, cbor2.CBORTag) or content.tag != TAG_COMPRESSED:
        raise Mismatch("a byte string or tag 56500 inside the typed array", content)
    parts = content.value
    if not isinstance(parts, _LIST) or len(parts) != 3 or not isinstance(parts[2], _BYTES):
        raise Mismatch("tag 56500 around [algorithm, element size, byte string]", parts)
    algorithm, element_size, data = parts
    codec = ALGORITHMS.get(algorithm) if isinstance(algorithm, str) else None
    if codec is None:
        raise Mismatch(f"compression {', '.join(ALGORITHMS)}", algorithm)
    if codec is not Codec.LZ4 and element_size != dtype.itemsize:
        raise Mismatch(f"element size {dtype.itemsize} in tag 56500", element_size)
    return _Elements(dtype, _NAMES[number], codec, data)
