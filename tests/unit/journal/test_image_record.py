"""The record of an image: the message without its pixels, and where those are."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.journal.image_record import Chunk, packed, unpacked
from jfwriter.payload import Codec, Payload
from jfwriter.wire.messages import ImageMessage

LIMIT = 1 << 20


def payload(view: memoryview) -> Payload:
    return Payload(view, Codec.NONE, np.dtype("u1"), (1, len(view)))


def image(image_id: int, source: memoryview | None, cuts: Sequence[Sequence[int]] = ()) -> ImageMessage:
    return ImageMessage(series_id=1, image_id=image_id, channels={}, source=source, cuts=cuts)


def body(*parts: bytes | memoryview) -> bytes:
    return b"".join(parts)


@given(st.binary(min_size=1, max_size=300), st.data())
def test_the_message_comes_back_with_zeros_for_the_pixels(message, data):
    n = len(message)
    edges = sorted(data.draw(st.lists(st.integers(0, n), min_size=4, max_size=4)))
    source = memoryview(message)
    views = [source[edges[0] : edges[1]], source[edges[2] : edges[3]]]
    places = [(1000, 11), (2000, 22)]
    sent = image(7, source, [(edges[0], edges[1] - edges[0]), (edges[2], edges[3] - edges[2])])
    if data.draw(st.booleans()):  # where the views are is known of messages that were decoded
        sent = image(7, source)
    if data.draw(st.booleans()):  # storage order need not be the order of the message
        views.reverse()
    record = unpacked(body(*packed(sent, 3, [payload(view) for view in views], places)), LIMIT)
    wanted = bytearray(message)
    for first, stop in (edges[:2], edges[2:]):
        wanted[first:stop] = bytes(stop - first)
    assert record.message() == wanted
    assert (record.image_id, record.row) == (7, 3)
    assert [(chunk.place, chunk.n_bytes) for chunk in record.chunks] == [(1000, 11), (2000, 22)]
    assert len(record.rest) == n - (edges[1] - edges[0]) - (edges[3] - edges[2])


@pytest.mark.parametrize("cuts", [(), [(0, 21)]], ids=["unknown views", "a view of that size"])
def test_pixels_that_are_no_part_of_the_message_leave_it_whole(cuts):
    message = memoryview(b"the whole message, which is longer")
    other = memoryview(b"pixels from elsewhere")
    record = unpacked(body(*packed(image(0, message, cuts), 0, [payload(other)], [(5, 21)])), LIMIT)
    assert record.message() == message


def test_an_image_without_its_message():
    record = unpacked(body(*packed(image(0, None), 0, [], [(5, 21)])), LIMIT)
    assert record.message() == b""
    assert record.chunks == (Chunk(5, 21),)


HOSTILE = {
    "empty": b"",
    "no channel": struct.pack("<QQQI", 1, 1, 0, 0),
    "more channels than bytes": struct.pack("<QQQI", 1, 1, 0, 3),
    "2^32 channels": struct.pack("<QQQI", 1, 1, 0, 0xFFFF_FFFF),
    "a huge message": struct.pack("<QQQI4Q", 1, 1, 1 << 62, 1, 0, 8, 0, 1 << 62),
    "less than said": struct.pack("<QQQI4Q", 1, 1, 100, 1, 0, 8, 0, 8) + b"short",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_record_that_cannot_be_is_refused(data):
    with pytest.raises(ValueError, match="record of an image"):
        unpacked(data, LIMIT)


@pytest.mark.parametrize(
    "cuts", [((0, 8), (4, 8)), ((12, 8), (0, 8)), ((1 << 40, 8), (0, 8))], ids=["overlap", "behind", "far"]
)
def test_cuts_that_overlap_or_lie_outside_are_refused(cuts):
    chunks = b"".join(struct.pack("<4Q", 0, 8, *cut) for cut in cuts)
    record = unpacked(struct.pack("<QQQI", 1, 1, 18, 2) + chunks + b"ab", LIMIT)
    with pytest.raises(ValueError, match="parts of the message"):
        record.message()


@given(st.binary(max_size=300))
def test_any_bytes_are_a_record_or_refused(data):
    try:
        record = unpacked(data, LIMIT)
        record.message()
    except ValueError:
        return
    assert record.message_bytes <= LIMIT
