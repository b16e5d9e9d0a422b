"""What may come while a run is written, and what must come of it: one counter and one line of the log.

Each intruder comes in the middle of run 1 of `tests.support.stream`, behind image 5 of ten. The run must have
the files of one that nobody disturbed (`tests/integration/test_intruders.py`, in process and over sockets).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.support import stream
from tests.support.hostile import MALFORMED, reason_of
from tests.support.plain_dcu import compress, encode, image
from tests.support.wire_fields import tag

NEXT_IMAGE = 6
"""Not yet written when an intruder comes."""
SHAPE = (stream.HEIGHT, stream.WIDTH)


@dataclass(frozen=True)
class Intruder:
    """`counted`: how much each counter rises, as `counter/label`; `says`: in the one line of the log."""

    name: str
    messages: tuple[bytes, ...]
    counted: Mapping[str, int]
    says: str
    outcome: str = "complete"
    """A number beyond all bounds may have been another image of the run, so the verdict is a doubt."""


def _image(image_id: Any = NEXT_IMAGE, **fields: Any) -> bytes:
    message: dict[str, Any] = {
        "type": "image",
        "series_id": 1,
        "series_unique_id": "series 1",
        "image_id": image_id,
        "data": {"default": image(stream.pixels(NEXT_IMAGE), "bslz4")},
    }
    return encode({**message, **fields})


def _packed(data: bytes, algorithm: str = "bslz4", shape: tuple[int, int] = SHAPE) -> dict[str, Any]:
    """`data` of an image of uint16 with these packed bytes."""
    packed = tag(56500, [algorithm, 2, data])
    return {"data": {"default": tag(40, [list(shape), tag(69, packed)])}}


def _header(raw_bytes: int, block_bytes: int) -> bytes:
    return raw_bytes.to_bytes(8, "big") + block_bytes.to_bytes(4, "big")


def _bad_payloads() -> Iterator[tuple[str, dict[str, Any]]]:
    pixels = stream.pixels(NEXT_IMAGE)
    sound = compress(pixels, "bslz4")
    n_raw = pixels.nbytes
    yield "nothing", _packed(b"")
    yield "12 bytes, a header alone", _packed(sound[:12])
    yield "13 bytes", _packed(sound[:13])
    yield "one byte short", _packed(sound[:-1])
    yield "one byte more", _packed(sound + b"\0")
    yield "a header that says less", _packed(_header(n_raw - 2, 0) + sound[12:])
    yield "a header that says 2^60", _packed(_header(1 << 60, 0) + sound[12:])
    yield "a header that says 2^63", _packed(_header(1 << 63, 0) + sound[12:])
    yield "blocks of 4 GB", _packed(_header(n_raw, 0xFFFF_FFF0) + sound[12:])
    yield "a block of 0 bytes", _packed(sound[:12] + b"\0\0\0\0")
    yield "a block of 4 GB", _packed(sound[:12] + b"\xff\xff\xff\xff" + sound[16:])
    yield "lz4 of block size 0", _packed(_header(n_raw, 0) + b"\0\0\0\1\0", "lz4")
    yield "plain pixels called bslz4", _packed(pixels.tobytes())
    yield (
        "pixels of half the size",
        {"data": {"default": tag(40, [SHAPE, tag(69, pixels.tobytes()[: n_raw // 2])])}},
    )
    yield "pixels of twice the size", {"data": {"default": tag(40, [SHAPE, tag(69, pixels.tobytes() * 2)])}}


def _dropped() -> Iterator[tuple[str, str, tuple[bytes, ...]]]:
    """(name, reason, messages)."""
    yield "an image that came already", "duplicate", (_image(3), _image(0), _image(3))
    yield "an image of 2^40", "image_id_too_far", (_image(2**40),)
    yield "an image of 2^63 - 1", "image_id_too_far", (_image(2**63 - 1),)
    yield "an image of the planned number and 10 000", "image_id_too_far", (_image(10_010),)
    yield "an image of another series", "other_series", (_image(series_id=9),)
    yield "an image of another unique id", "other_series", (_image(series_unique_id="another"),)
    yield "an end of another series", "other_series", (stream.end(9),)
    yield "calibration of another series", "other_series", (
        encode({"type": "calibration", "series_id": 9, "data": {"a": image(stream.pixels(0), None)}}),
    )  # fmt: skip
    wide = np.zeros((stream.HEIGHT, stream.WIDTH + 1), np.uint16)
    yield "an image that is wider", "wrong_shape", (_image(data={"default": image(wide, "bslz4")}),)
    yield "an image that is turned", "wrong_shape", (
        _image(data={"default": image(stream.pixels(0).T.copy(), "bslz4")}),
    )  # fmt: skip
    yield "an image of 10^6 x 10^2", "wrong_shape", (_image(**_packed(b"a" * 20, shape=(10**6, 10**2))),)
    signed = stream.pixels(NEXT_IMAGE).astype(np.int16)
    yield "pixels of another sign", "wrong_dtype", (_image(data={"default": image(signed, "bslz4")}),)
    yield "pixels of another width", "wrong_dtype", (
        _image(data={"default": image(signed.astype(np.uint32), "bslz4")}),
    )  # fmt: skip
    two = {"default": image(stream.pixels(6), None), "other": image(stream.pixels(6), None)}
    yield "a channel too many", "wrong_channel", (_image(data=two),)
    for name, fields in _bad_payloads():
        yield f"payload: {name}", "bad_payload", (_image(**fields),)


def _refused() -> Iterator[tuple[str, str, tuple[bytes, ...]]]:
    """(name, kind, messages) of what the decoder refuses, beside `MALFORMED`."""
    for what, value in (("2^63", 2**63), ("2^64", 2**64), ("-1", -1), ("NaN", float("nan")), ("1.5", 1.5)):
        yield f"an image of {what}", "bad_field", (_image(value),)
    yield "an image of 10^6 x 10^6", "bad_field", (_image(**_packed(b"a", shape=(10**6, 10**6))),)
    yield "an image of 2^32 x 1", "bad_field", (_image(**_packed(b"a", shape=(2**32, 1))),)
    yield "an image of 0 x 0", "bad_field", (_image(**_packed(b"a", shape=(0, 0))),)
    yield (
        "17 channels",
        "bad_field",
        (_image(data={str(i): image(stream.pixels(0), None) for i in range(17)}),),
    )
    yield "an algorithm that nobody knows", "bad_field", (_image(**_packed(b"a" * 20, "gzip")),)
    yield "data that is text", "bad_field", (_image(data="pixels"),)
    yield "data without channels", "bad_field", (_image(data={}),)
    yield "no data", "bad_field", (_image(data=None),)
    start = {
        "type": "start",
        "series_id": 1,
        "series_unique_id": "series 1",
        "user_data": {"file_prefix": "run1"},
    }
    for what, x, y in (
        ("10^6 x 10^6", 10**6, 10**6),
        ("-1 x 1", -1, 1),
        ("infinity", float("inf"), 1),
        ("text", "8", 8),
    ):
        yield f"a start of {what}", "bad_field", (encode({**start, "image_size_x": x, "image_size_y": y}),)
    yield "a start whose prefix is a number", "bad_field", (
        encode({**start, "image_size_x": 1, "image_size_y": 1, "file_prefix": 5}),
    )  # fmt: skip
    many = '{"user": [' + "[]," * 100_000 + "0]}"
    yield "a start with 100 000 lists as JSON", "bad_field", (
        encode({**start, "image_size_x": 1, "image_size_y": 1, "user_data": many}),
    )  # fmt: skip


def _others() -> Iterator[Intruder]:
    """What is no error, or concerns a field alone."""
    unknown = (encode({"type": "a" * 1_000_000}),) * 3
    yield Intruder("a type of 1 MB", unknown, {"messages/unknown": 3}, "'aaa")
    batch = encode({"type": "metadata", "images": [{"image_id": 2**63}] * 1000, "series_id": "a"})
    yield Intruder("metadata", (batch,), {"messages/metadata": 1, "ignored_fields": 1}, "series_id")
    wrong = _image(3, bkg_estimate="much")
    counted = {"ignored_fields": 1, "messages_dropped/duplicate": 1}
    yield Intruder("a wrong field of an image that came", (wrong,), counted, "bkg_estimate")


def all_intruders() -> Iterator[Intruder]:
    """Every one, `MALFORMED` included."""
    for name, reason, messages in _dropped():
        counted = {f"messages_dropped/{reason}": len(messages)}
        outcome = "incomplete" if reason == "image_id_too_far" else "complete"
        yield Intruder(name, messages, counted, f"dropped ({reason})", outcome)
    for name, kind, messages in _refused():
        yield Intruder(name, messages, {f"bad_messages/{kind}": len(messages)}, f"({kind})")
    for name, data in MALFORMED:
        if "at byte" not in name:
            kind = reason_of(name)
            yield Intruder(name, (data,), {f"bad_messages/{kind}": 1}, f"({kind})")
    yield from _others()
