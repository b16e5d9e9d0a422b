"""Two inputs have one key if they are the same to the last bit, and only then."""

from __future__ import annotations

import copy
import dataclasses
import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jfwriter.analysis.input_key import input_key
from jfwriter.kernels.azint_map import AzintMap, AzintSettings
from jfwriter.kernels.geometry import CachedGeometry, Geometry
from jfwriter.kernels.pixel_classes import Array, PixelRules
from jfwriter.kernels.roi import Azimuthal, Box, Circle
from jfwriter.kernels.spots import SpotSettings
from jfwriter.payload import Codec, Payload

MASK = np.zeros((3, 4), np.uint8)
GEOMETRY = (MASK.shape, 1e-4, 1e-4, 2.0, 1.5, 0.1, 1.0, 0.0, 0.0, 0.0)
INPUTS: tuple[Any, ...] = (
    Geometry(*GEOMETRY),
    CachedGeometry(*GEOMETRY),
    AzintSettings(0.1, 2.0, 0.1),
    AzintMap(MASK.astype(np.uint32), MASK.astype(np.float32), *(np.zeros((1, 2)) for _ in range(3))),
    PixelRules(MASK, -1, 100),
    SpotSettings(high_resolution_limit=1.0, low_resolution_limit=50.0),
    Box(1, 2, 3, 4),
    Circle(1.0, 2.0, 3.0),
    Azimuthal(1.0, 2.0, 3.0, 4.0),
    Payload(memoryview(b"abcd"), Codec.BSLZ4, np.dtype("<u2"), (1, 2)),
)
"""One of each dataclass that a product is made from."""

Plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.floats() | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)
Arrays = hnp.arrays(st.sampled_from(["u1", "<i4", "<f4", ">u2"]), hnp.array_shapes(max_dims=2, max_side=3))


def make() -> None: ...


def other() -> None: ...


def key(*inputs: object) -> bytes:
    return input_key(make, inputs, lambda _: None)


def bits(value: object) -> object:
    """Equal for the same type and bits."""
    match value:
        case float():
            return struct.pack("<d", value)
        case tuple():
            return ("tuple", *map(bits, value))
        case np.ndarray():
            return value.dtype.str, value.shape, value.tobytes()
    return type(value), value


def changed_array(array: Array) -> Array:
    other = array.copy()
    other.flat[-1] = np.nextafter(other.flat[-1], 1) if other.dtype.kind == "f" else 1
    return other


CHANGES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (bool, lambda value: not value),
    (Codec, lambda _: Codec.NONE),
    (int, lambda value: value + 1),
    (float, lambda value: math.nextafter(value, math.inf)),
    (memoryview, lambda value: memoryview(bytes(value[:-1]) + b"!")),
    (np.dtype, lambda value: value.newbyteorder()),
    (tuple, lambda value: (changed(value[0]), *value[1:])),
    (np.ndarray, changed_array),
)
"""As little as possible. A field of another type has to be entered here before it can be an input."""


def changed(value: Any) -> Any:
    return next(change for kind, change in CHANGES if isinstance(value, kind))(value)


@pytest.mark.parametrize("value", INPUTS, ids=lambda value: type(value).__name__)
def test_every_field_counts(value: Any) -> None:
    assert key(copy.copy(value)) == key(value)
    fields = dataclasses.fields(value)
    others = [
        dataclasses.replace(value, **{field.name: changed(getattr(value, field.name))}) for field in fields
    ]
    assert len({key(one) for one in [value, *others]}) == len(fields) + 1
    absent = [field.name for field in fields if "None" in str(field.type)]
    assert all(key(dataclasses.replace(value, **{name: None})) != key(value) for name in absent)


def test_types_functions_and_places_count() -> None:
    assert key(INPUTS[0]) != key(INPUTS[1])
    assert input_key(other, (1,), lambda _: None) != key(1)
    assert key(1, 2) != key(2, 1)
    assert key((1,), 2) != key(1, (2,))
    assert len({key(0.0), key(-0.0), key(0), key(False), key(None), key("0"), key(b"0")}) == 7
    assert key(math.nan) == key(math.nan)


@given(Plain | Arrays, Plain | Arrays)
def test_same_key_same_bits(left: object, right: object) -> None:
    assert (key(left) == key(right)) is (bits(left) == bits(right))
    assert key(left) == key(copy.deepcopy(left))


@given(Arrays, st.data())
def test_a_single_element_counts(array: Array, data: st.DataObject) -> None:
    before = key(array)
    place = data.draw(st.integers(0, array.size - 1))
    array.reshape(-1).view(np.uint8)[place * array.itemsize] ^= 1
    assert key(array) != before
    assert key(np.asfortranarray(array)) == key(array)


def test_a_name_stands_for_the_content() -> None:
    array = np.zeros(3)
    named = input_key(make, (array,), lambda _: b"name")
    assert named == input_key(make, (np.ones(2),), lambda _: b"name")
    assert named not in {key(array), input_key(make, (array,), lambda _: b"other")}


@pytest.mark.parametrize(
    "value", [{}, [1], object(), Box, 1j, np.array([object()]), np.array([b"a"]), np.dtype("S1"), {1}]
)
def test_only_plain_data_has_a_key(value: object) -> None:
    with pytest.raises(TypeError, match="expected plain data"):
        key(value)
    with pytest.raises(TypeError, match="expected plain data"):
        key((1, value))


def test_a_function_that_may_see_more_is_refused() -> None:
    def inner() -> None: ...

    for function in (inner, lambda: None):
        with pytest.raises(TypeError, match="expected a function or class of a module"):
            input_key(function, (), lambda _: None)
