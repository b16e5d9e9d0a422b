from __future__ import annotations

import cbor2
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from jfwriter.payload import Codec, Payload
from jfwriter.settings import LimitSettings
from jfwriter.wire import encode as encoder
from jfwriter.wire import tags
from jfwriter.wire.decode import decode
from jfwriter.wire.encode import encode, pixels, typed_array
from jfwriter.wire.item import read_item
from jfwriter.wire.messages import Rational
from tests.support.wire_fields import MESSAGES, assert_same, payload

LIMITS = LimitSettings()
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
)
values = st.recursive(
    scalars | st.binary(max_size=100),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)
DTYPES = [dtype.str for dtype in tags.TYPED_ARRAYS.values()]


def as_bytes(value: object) -> object:
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, list):
        return [as_bytes(item) for item in value]
    return {key: as_bytes(item) for key, item in value.items()} if isinstance(value, dict) else value


@given(st.dictionaries(st.text(min_size=1, max_size=8), values, max_size=8))
@settings(max_examples=300, deadline=None)
def test_what_is_encoded_is_decoded(fields):
    fields = {"type": "any", **fields}
    for table in ("spots", "images", "reflections"):  # these come as the bytes of their arrays
        fields.pop(table, None)
    assert as_bytes(read_item(encode(fields), LIMITS)) == fields


@given(
    st.sampled_from(sorted(set(DTYPES))).flatmap(
        lambda dtype: hnp.arrays(np.dtype(dtype), hnp.array_shapes(min_dims=1, max_dims=3, max_side=6))
    )
)
@settings(max_examples=300, deadline=None)
def test_arrays_of_every_type_and_shape(array):
    got = read_item(encode({"type": "any", "a": typed_array(array)}), LIMITS)
    assert_same(tags.array(got["a"], 1000), array)
    strided = array[..., ::2]
    got = read_item(encode({"type": "any", "a": [typed_array(strided)]}), LIMITS)
    assert_same(tags.array(got["a"][0], 1000), np.ascontiguousarray(strided))


@given(
    st.sampled_from(sorted(tags.IMAGE_DTYPES)),
    st.sampled_from(list(Codec)),
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    st.binary(max_size=200),
)
@settings(max_examples=200, deadline=None)
def test_images_of_every_type_and_codec(dtype, codec, shape, data):
    sent = {"type": "image", "series_id": 1, "image_id": 0, "data": {"a": pixels(data, codec, dtype, shape)}}
    assert decode(encode(sent), LIMITS).channels == {
        "a": Payload(memoryview(data), codec, np.dtype(dtype), shape)
    }


@pytest.mark.parametrize("kind", MESSAGES)
def test_messages_come_back_as_they_went(kind):
    """All values of the examples, sent from the attributes of a decoded message by our own encoder."""
    fields: dict[str, object] = {"type": kind}
    for name, example in MESSAGES[kind].items():
        fields[name] = to_wire(example.value) if isinstance(example.value, PLAIN) else example.sent
    for name, value in fields.items():
        if isinstance(value, cbor2.CBORTag) or name in {"data", "pixel_mask", "flatfield"}:
            fields[name] = to_wire(MESSAGES[kind][name].value)
    got = decode(encode(fields), LIMITS)
    assert got.problems == ()
    for example in MESSAGES[kind].values():
        assert_same(getattr(got, example.attribute), example.value, example.attribute)


PLAIN = (np.ndarray, Rational, Payload)


def to_wire(value: object) -> object:
    if isinstance(value, Payload):
        return pixels(value.data, value.codec, value.dtype, value.shape)
    if isinstance(value, np.ndarray):
        return typed_array(value)
    if isinstance(value, dict):
        return {name: to_wire(item) for name, item in value.items()}
    return value


def test_type_is_the_first_key_and_the_prefix_stands_before_it():
    data = encode({"series_id": 1, "type": "end"})
    assert data == b"\xd9\xd9\xf7\xa2\x64type\x63end\x69series_id\x01"


def test_the_same_fields_give_the_same_bytes():
    fields = {"type": "image", "a": {"x": [1, 2.5]}, "data": {"d": typed_array(np.arange(5))}}
    assert encode(fields) == encode(dict(fields))


def test_bytes_are_those_of_plain_cbor2():
    image = np.arange(6, dtype="<i2").reshape(2, 3)
    ours = encode(
        {
            "type": "image",
            "time": Rational(1, 2),
            "data": {
                "raw": pixels(image.tobytes(), Codec.NONE, image.dtype, image.shape),
                "packed": pixels(b"x" * 300, Codec.BSLZ4, "<u4", (1000, 70000)),
                "lz4": pixels(b"abc", Codec.LZ4, "<u2", (1, 1)),
                "same": typed_array(image),
            },
            "list": [typed_array(np.array([1.5], ">f4")), 1],
            "numbers": [np.float32(1.5), np.int64(-5), np.bool_(True)],
        }
    )
    t = cbor2.CBORTag
    raw = t(40, [[2, 3], t(77, image.tobytes())])
    theirs = {
        "type": "image",
        "time": [1, 2],
        "data": {
            "raw": raw,
            "packed": t(40, [[1000, 70000], t(70, t(56500, ["bslz4", 4, b"x" * 300]))]),
            "lz4": t(40, [[1, 1], t(69, t(56500, ["lz4", 0, b"abc"]))]),
            "same": raw,
        },
        "list": [t(81, b"\x3f\xc0\0\0"), 1],
        "numbers": [1.5, -5, True],
    }
    assert ours == b"\xd9\xd9\xf7" + cbor2.dumps(theirs)


@pytest.mark.parametrize("argument", [0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**64 - 1])
def test_heads_are_the_shortest(argument):
    assert encoder._head(0, argument) == cbor2.dumps(argument)


def test_what_has_no_place_in_a_message():
    with pytest.raises(KeyError):
        encode({"series_id": 1})
    with pytest.raises((TypeError, cbor2.CBOREncodeError)):
        encode({"type": "a", "x": object()})
    with pytest.raises(TypeError, match="no typed array holds complex128"):
        typed_array(np.zeros(3, complex))


def test_pixels_are_not_copied_before_the_message_is_joined():
    data = memoryview(bytes(1000))
    assert any(part is data for part in pixels(data, Codec.NONE, "u1", (10, 100)).parts)
    array = np.zeros((10, 10), "f4")
    assert np.shares_memory(np.frombuffer(typed_array(array).parts[-1], np.uint8), array)


def test_examples_are_payloads():
    assert payload(np.zeros((1, 2), "u1")).shape == (1, 2)
