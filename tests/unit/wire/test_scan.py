"""The walker against cbor2 as the oracle."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping

import cbor2
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from jfwriter.errors import ProtocolError
from jfwriter.settings import LimitSettings
from jfwriter.wire.item import ItemReader, Table, read_item
from jfwriter.wire.scan import LARGE_BYTES

LIMITS = LimitSettings()
TAGS = (0, 1, 30, 40, 64, 70, 77, 87, 56500)


def plain(value: object) -> object:  # noqa: PLR0911 one line per kind
    """A decoded value as nested tuples that compare by value: NaN equal, 1 != 1.0 != True, views as bytes."""
    if isinstance(value, cbor2.CBORTag):
        return ("tag", value.tag, plain(value.value))
    if isinstance(value, Table):
        return plain(read_item(value.data, LIMITS))
    if isinstance(value, list | tuple):
        return ("array", *(plain(item) for item in value))
    if isinstance(value, Mapping):
        return ("map", *((key, plain(item)) for key, item in value.items()))
    if isinstance(value, memoryview):
        return ("bytes", bytes(value))
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else value)
    if value is cbor2.undefined:
        return plain(None)
    return (type(value).__name__, value)


def by_cbor2(data: bytes) -> object:
    """The same item by cbor2 alone; tags 0, 1, 30 transparent as in the walker."""
    transparent = {number: (lambda value, _immutable: value) for number in (0, 1, 30)}
    keep = {"semantic_decoders": transparent, "allow_duplicate_keys": False, "str_errors": "replace"}
    return cbor2.loads(data.removeprefix(b"\xd9\xd9\xf7"), **keep)


@st.composite
def head(draw: st.DrawFn, major: int, argument: int) -> bytes:
    """A head of any length that holds the argument, shortest or not (RFC 8949, section 3)."""
    fits = [info for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)) if argument < 1 << 8 * size]
    if argument < 24 and draw(st.booleans()):
        return bytes((major << 5 | argument,))
    info = draw(st.sampled_from(fits))
    return bytes((major << 5 | info,)) + argument.to_bytes(1 << info - 24, "big")


@st.composite
def chunks(draw: st.DrawFn, major: int, parts: list[bytes]) -> bytes:
    """A string, definite, or of indefinite length in these parts."""
    if draw(st.booleans()):
        return draw(head(major, sum(map(len, parts)))) + b"".join(parts)
    opened = [draw(head(major, len(part))) + part for part in parts]
    return bytes((major << 5 | 31,)) + b"".join(opened) + b"\xff"


@st.composite
def key(draw: st.DrawFn) -> bytes:
    if draw(st.integers(0, 9)) == 0:
        return b"\x19" + draw(st.binary(min_size=2, max_size=2))
    return draw(
        chunks(3, [draw(st.sampled_from(("spots", "reflections", "a", "")) | st.text(max_size=9)).encode()])
    )


@st.composite
def item(draw: st.DrawFn, depth: int = 4) -> bytes:  # noqa: PLR0911 one line per kind
    """Any item that the walker allows, in any of its encodings."""
    kind = draw(st.integers(0, 7 if depth else 3))
    if kind == 0:
        return draw(head(draw(st.integers(0, 1)), draw(st.integers(0, 2**64 - 1))))
    if kind == 1:
        sizes = st.sampled_from((0, 1, LARGE_BYTES - 1, LARGE_BYTES, LARGE_BYTES + 1, 300))
        return draw(chunks(2, [bytes(draw(sizes)) for _ in range(draw(st.integers(0, 2)))]))
    if kind == 2:
        return draw(chunks(3, [text.encode() for text in draw(st.lists(st.text(max_size=80), max_size=2))]))
    if kind == 3:
        return draw(
            st.sampled_from((b"\xf4", b"\xf5", b"\xf6", b"\xf7", b"\xe3", b"\xf8\x20", b"\xf8\xff"))
            | st.floats().map(lambda value: b"\xfb" + struct.pack(">d", value))
            | st.floats(width=32).map(lambda value: b"\xfa" + struct.pack(">f", value))
            | st.binary(min_size=2, max_size=2).map(lambda half: b"\xf9" + half)
        )
    if kind == 4:
        return draw(head(6, draw(st.sampled_from(TAGS)))) + draw(item(depth - 1))
    n = draw(st.integers(0, 4))
    entries = [draw(item(depth - 1)) for _ in range(n)]
    major = 4 if kind == 5 else 5
    if major == 5:
        entries = [draw(key()) + entry for entry in entries]
    if draw(st.booleans()):
        return draw(head(major, n)) + b"".join(entries)
    return bytes((major << 5 | 31,)) + b"".join(entries) + b"\xff"


@given(item(), st.booleans())
@settings(max_examples=400, deadline=None)
def test_the_walker_agrees_with_cbor2(data, prefixed):
    data = b"\xd9\xd9\xf7" * prefixed + data
    try:
        wanted = plain(by_cbor2(data))
    except cbor2.CBORDecodeError as error:
        assert "Duplicate map key" in str(error)  # noqa: PT017 the only thing that `item` may get wrong
        with pytest.raises(ProtocolError):
            plain(read_item(data, LIMITS))
    else:
        assert plain(read_item(data, LIMITS)) == wanted


@given(item(), st.data())
@settings(max_examples=400, deadline=None)
def test_damaged_items_are_refused_or_read_like_cbor2(data, draw):
    """The walker may refuse more (keys, tags, trailing bytes), never accept more or read otherwise."""
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = draw.draw(st.integers(0, 255))
    try:
        got = plain(read_item(bytes(damaged), LIMITS))
    except ProtocolError:
        return
    assert got == plain(by_cbor2(bytes(damaged)))


@given(item())
@settings(max_examples=50, deadline=None)
def test_every_truncation_is_refused(data):
    for size in range(len(data)):
        with pytest.raises(ProtocolError):
            plain(read_item(data[:size], LIMITS))


@given(st.binary(max_size=200))
@settings(max_examples=400, deadline=None)
def test_random_bytes_never_do_more_than_be_refused(data):
    try:
        got = plain(read_item(data, LIMITS))
    except ProtocolError:
        return
    assert got == plain(by_cbor2(data))


@given(st.lists(st.integers(0, 200), max_size=150))
@settings(max_examples=50, deadline=None)
def test_any_number_of_byte_strings(sizes):
    values = [bytes([i % 256]) * size for i, size in enumerate(sizes)]
    got = read_item(cbor2.dumps(values), LIMITS)
    assert isinstance(got, list)
    assert [bytes(item) for item in got] == values
    assert [isinstance(item, memoryview) for item in got] == [size >= LARGE_BYTES for size in sizes]


def test_views_share_the_received_memory_and_are_read_only():
    received = bytearray(cbor2.dumps({"type": "image", "a": bytes(1000), "spots": [{"x": 1}]}))
    reader = ItemReader()
    got = reader.read(memoryview(received), LIMITS)
    views = (got["a"], got["spots"].data)
    for view in views:
        assert view.readonly
        assert np.shares_memory(np.frombuffer(view, np.uint8), np.frombuffer(received, np.uint8))
    assert [received[offset : offset + size] for offset, size in reader.cuts] == [*views]


def test_metadata_larger_than_the_first_scratch():
    value = {"text": "a" * 500_000, "pixels": bytes(1_000_000), "undefined": cbor2.undefined}
    got = ItemReader().read(cbor2.dumps(value), LIMITS)
    assert got == {"text": "a" * 500_000, "pixels": bytes(1_000_000), "undefined": None}


@pytest.mark.parametrize("n", [0, 1, 2])
def test_nesting_limit_counts_arrays_maps_and_tags(n):
    limits = LimitSettings(max_nesting=6)
    data = b"\x81\xa1\x61a\xd8\x28\xc0" + b"\x81" * n + b"\x9f\x01\xff"
    if n <= 1:
        read_item(data, limits)
    else:
        with pytest.raises(ProtocolError, match="max_nesting"):
            read_item(data, limits)


def test_metadata_limit_counts_all_but_byte_strings():
    limits = LimitSettings(max_metadata_bytes=1000)
    read_item(cbor2.dumps({"a": bytes(100_000), "b": "x" * 900}), limits)
    for value in ({"b": "x" * 1000}, {"spots": [{"x": 1.5, "y": 1.5}] * 100}, {"a": [1.5] * 200}):
        with pytest.raises(ProtocolError, match="max_metadata_bytes"):
            read_item(cbor2.dumps(value), limits)


@pytest.mark.parametrize("name", ["spots", "reflections", "images"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("open_map", [True, False])
@pytest.mark.parametrize("open_array", [True, False])
def test_tables_are_cut_out_wherever_they_stand(name, last, open_map, open_array):
    rows = b"\xa1\x61x\x01" * 3
    table = b"\x9f" + rows + b"\xff" if open_array else b"\x83" + rows
    entries = [cbor2.dumps(name) + table, b"\x61a\x01"]
    body = b"".join(entries if not last else entries[::-1])
    got = read_item(b"\xbf" + body + b"\xff" if open_map else b"\xa2" + body, LIMITS)
    assert got["a"] == 1
    assert bytes(got[name].data) == table


def test_only_arrays_of_the_top_level_are_tables():
    got = read_item(cbor2.dumps({"a": {"spots": [1]}, "spots": {"x": [1]}, "reflections": []}), LIMITS)
    assert got == {"a": {"spots": [1]}, "spots": {"x": [1]}, "reflections": []}
    after_open_key = b"\xa2\x65spots\x01\x7f\x61a\xff\x81\x02"
    assert read_item(after_open_key, LIMITS) == {"spots": 1, "a": [2]}


def test_text_that_is_no_utf8_is_marked():
    assert read_item(b"\x62\xff\xfe", LIMITS) == "\ufffd\ufffd"


@pytest.mark.parametrize("number", [0, 5, 2**64, 2**70, -(2**64) - 1, -(2**70), 2**500, 2**504 - 1])
def test_big_integers(number: int) -> None:
    n_bytes = number.to_bytes(63, "big") if number >= 0 else (-1 - number).to_bytes(63, "big")
    data = (b"\xc2" if number >= 0 else b"\xc3") + b"\x58\x3f" + n_bytes
    assert read_item(b"\x82" + data + cbor2.dumps(number), LIMITS) == [number, number]


def test_refusals_say_where():
    with pytest.raises(ProtocolError, match=r"a tag outside .* \(byte 1 of 4\)") as caught:
        read_item(b"\x81\xd8\x23\x00", LIMITS)
    assert caught.value.reason == "tag_refused"
