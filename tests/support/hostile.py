"""Messages that a daemon must survive: bytes that are no message, and messages that make no sense.

`MALFORMED`: refused by the decoder, whatever the state of the run. `INSANE`: well-formed maps of the right
type, each wrong in one way; some are refused, others lose a field, none may do harm.
Both are tuples of (name, bytes). Made with plain cbor2 and by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import cbor2

from jfwriter.errors import ProtocolError
from jfwriter.settings import LimitSettings
from jfwriter.wire.decode import decode
from tests.support.wire_fields import MESSAGES, message, smallest, tag


def _nested(head: bytes, depth: int) -> bytes:
    return head * depth + b"\x00"


def _in_map(value: bytes, kind: bytes = b"start") -> bytes:
    """A map of `type` and one more entry with the given bytes."""
    return b"\xa2\x64type" + bytes((0x60 | len(kind),)) + kind + b"\x61x" + value


REASONS = {
    "truncated", "trailing_bytes", "not_well_formed", "duplicate_key", "bad_key", "tag_refused", "over_limit",
    "not_a_map", "bad_field",
}  # fmt: skip
"""Every reason that a decoder's refusal may have."""

SMALL_IMAGE = cbor2.dumps(message("image"))

MALFORMED: tuple[tuple[str, bytes], ...] = (
    ("empty", b""),
    ("text", b"hello, writer"),
    ("json", b'{"htype": "dheader-1.0", "series": 1}'),
    ("zeros", b"\0" * 64),
    ("ones", b"\xff" * 64),
    ("an array", cbor2.dumps(["type", "image"])),
    ("a number", b"\x01"),
    ("null", b"\xf6"),
    ("no type", cbor2.dumps({"series_id": 1})),
    ("type is a number", cbor2.dumps({"type": 5})),
    ("type is null", cbor2.dumps({"type": None})),
    ("trailing byte", SMALL_IMAGE + b"\0"),
    ("two messages", SMALL_IMAGE * 2),
    ("only the prefix", b"\xd9\xd9\xf7"),
    ("prefix twice", b"\xd9\xd9\xf7" * 2 + cbor2.dumps(smallest("end"))),
    ("duplicate key", b"\xa2\x64type\x63end\x64type\x63end"),
    ("duplicate key in a spot", cbor2.dumps(smallest("image"))[:1].replace(b"\xa4", b"\xa5")
        + cbor2.dumps(smallest("image"))[1:] + b"\x65spots\x81\xa3\x61x\x01\x61y\x01\x61x\x02"),
    ("array of 2^64-1", _in_map(b"\x9b" + b"\xff" * 8)),
    ("map of 2^64-1", _in_map(b"\xbb" + b"\xff" * 8)),
    ("map of 2^63", _in_map(b"\xbb\x80" + b"\0" * 7)),
    ("byte string of 2^64-1", _in_map(b"\x5b" + b"\xff" * 8)),
    ("text of 2^32-1", _in_map(b"\x7a" + b"\xff" * 4 + b"abc")),
    ("array of 2^31 and nothing", _in_map(b"\x9a\x80\0\0\0")),
    ("nested arrays", _in_map(_nested(b"\x81", 200_000))),
    ("nested open arrays", _in_map(b"\x9f" * 200_000 + b"\xff" * 200_000)),
    ("nested maps", _in_map(_nested(b"\xa1\x61a", 200_000))),
    ("nested tags", _in_map(_nested(b"\xd8\x28", 200_000))),
    ("nested stripped tags", _in_map(_nested(b"\xc0", 200_000))),
    ("tag 35, a regular expression", _in_map(cbor2.dumps(tag(35, "(a+)+$")))),
    ("tag 36, MIME", _in_map(b"\xd8\x24\x63a:b")),
    ("tag 28 and 29, a cycle", _in_map(b"\xd8\x1c\x81\xd8\x1d\x00")),
    ("tag 2, a number of 2^512", _in_map(b"\xc2\x58\x41" + b"\x01" + b"\0" * 64)),
    ("tag 2 around text", _in_map(b"\xc2\x61a")),
    ("tag 3 and nothing", _in_map(b"\xc3\x58")),
    ("tag 4, a decimal of 10^9 digits", _in_map(b"\xc4\x82\x1a\x3b\x9a\xca\x00\x01")),
    ("tag 256, string references", _in_map(b"\xd9\x01\x00\x80")),
    ("tag 258, a set", _in_map(b"\xd9\x01\x02\x81\x01")),
    ("the tag of the decoder's own cuts", _in_map(b"\xd9\xee\xee\x00")),
    ("the tag of the decoder's own tables", _in_map(b"\xd9\xee\xef\x00")),
    ("tag of 2^64-1", _in_map(b"\xdb" + b"\xff" * 8 + b"\x00")),
    ("tag around a break", _in_map(b"\xc0\xff")),
    ("reserved length", _in_map(b"\x1c")),
    ("reserved length of text", _in_map(b"\x7d")),
    ("integer of indefinite length", _in_map(b"\x1f")),
    ("tag of indefinite length", _in_map(b"\xdf")),
    ("simple value in two bytes that has one", _in_map(b"\xf8\x14")),
    ("lonely break", _in_map(b"\xff")),
    ("open map that ends after a key", b"\xbf\x64type\xff"),
    ("text chunk in an open byte string", _in_map(b"\x5f\x61a\xff")),
    ("open chunk in an open string", _in_map(b"\x7f\x7f\xff\xff")),
    ("map key that is an array", b"\xa2\x64type\x63end\x80\x01"),
    ("map key that is a map", b"\xa2\x64type\x63end\xa0\x01"),
    ("map key that is a byte string", b"\xa2\x64type\x63end\x41a\x01"),
    ("map key that is a tag", b"\xa2\x64type\x63end\xc0\x61a\x01"),
    ("map key that is a large number", b"\xa2\x64type\x63end\x1a\x00\x01\x00\x00\x01"),
    ("map key that is NaN", b"\xa2\x64type\x63end\xf9\x7e\x00\x01"),
    ("five million nulls", _in_map(b"\x9a" + (5_000_000).to_bytes(4, "big") + b"\xf6" * 5_000_000)),
    ("a million empty maps", _in_map(b"\x9a" + (1_000_000).to_bytes(4, "big") + b"\xa1\x60\xf6" * 1_000_000)),
    ("text of 20 MB", _in_map(b"\x7a" + (20 << 20).to_bytes(4, "big") + b"a" * (20 << 20))),
    ("spots of 20 MB", b"\xa2\x64type\x65image\x65spots\x9a" + (1 << 20).to_bytes(4, "big")
        + (b"\x73" + b"a" * 19) * (1 << 20)),
    *((f"truncated at byte {n}", SMALL_IMAGE[:n]) for n in range(1, len(SMALL_IMAGE))),
)  # fmt: skip

_REASON_BY_NAME = (
    ("an array$|a number$|null$", "not_a_map"),
    ("no type|type is", "bad_field"),
    ("trailing|two messages|text$|zeros", "trailing_bytes"),
    ("duplicate", "duplicate_key"),
    ("map key", "bad_key"),
    ("nested|five million|a million|(text|spots) of 20 MB", "over_limit"),
    ("tag around|tag of indefinite|ones|reserved|integer of|simple|lonely|open map|text chunk|open chunk",
     "not_well_formed"),
    ("tag |the tag|prefix twice", "tag_refused"),
    ("", "truncated"),
)  # fmt: skip


def reason_of(name: str) -> str:
    """Why the decoder must refuse an entry of `MALFORMED`."""
    return next(reason for pattern, reason in _REASON_BY_NAME if re.match(pattern, name))


WRONG: tuple[tuple[str, Any], ...] = (
    ("negative", -1),
    ("zero", 0),
    ("one", 1),
    ("2^63", 2**63),
    ("2^64-1", 2**64 - 1),
    ("-2^64", -(2**64)),
    ("half", 0.5),
    ("10^300", 1e300),
    ("NaN", float("nan")),
    ("infinity", float("inf")),
    ("true", True),
    ("empty text", ""),
    ("text", "abc"),
    ("text with NUL", "a\0b"),
    ("a path", "../../etc/passwd"),
    ("long text", "a" * 100_000),
    ("bytes", b"abc"),
    ("many bytes", b"a" * 1000),
    ("empty array", []),
    ("mixed array", [1, "a", None, [2.5]]),
    ("3 NaN", [float("nan")] * 3),
    ("9 infinities", [float("inf")] * 9),
    ("long array", [0.5] * 2000),
    ("array of maps", [{}, {"a": 1}]),
    ("empty map", {}),
    ("map", {"default": 1, "start": "x", "name": [], "x": {}, "": None}),
    ("map of maps", {"a": {"b": {"c": {}}}}),
    ("simple value", cbor2.CBORSimpleValue(5)),
    ("typed array", tag(70, b"\1\0\0\0")),
    ("typed array cut short", tag(70, b"\1\0\0")),
    ("typed array of nothing", tag(70, b"")),
    ("typed array of text", tag(70, "abcd")),
    ("typed array of a reserved tag", tag(76, b"abcd")),
    ("typed array of float128", tag(83, b"a" * 16)),
    ("signalling NaN", tag(81, b"\x7f\x80\x00\x01" * 9)),
    ("typed array of tags", tag(70, tag(70, b"abcd"))),
    ("compressed array", tag(70, tag(56500, ["bslz4", 4, b"\0" * 13]))),
    ("tag 40 of nothing", tag(40, [])),
    ("tag 40 of text", tag(40, "abc")),
    ("image without dimensions", tag(40, [[], tag(70, b"abcd")])),
    ("image of 0 x 0", tag(40, [[0, 0], tag(70, b"")])),
    ("image of 2^32 x 2^32", tag(40, [[2**32, 2**32], tag(70, b"abcd")])),
    ("image of 2^31 x 2^31", tag(40, [[2**31, 2**31], tag(70, b"abcd")])),
    ("image of -1 x -1", tag(40, [[-1, -1], tag(70, b"abcd")])),
    ("image of 1.5 x 2", tag(40, [[1.5, 2], tag(70, b"abcd")])),
    ("image of 17 dimensions", tag(40, [[1] * 17, tag(70, b"abcd")])),
    ("image of float64", tag(40, [[1, 1], tag(86, b"\0" * 8)])),
    ("image of an array", tag(40, [[1, 2], [1, 2]])),
    ("image of an image", tag(40, [[1, 1], tag(40, [[1, 1], tag(70, b"abcd")])])),
    ("image without its bytes", tag(40, [[4, 6], tag(77, b"")])),
    ("image with an unknown codec", tag(40, [[4, 6], tag(77, tag(56500, ["gzip", 2, b"abc"]))])),
    ("image with a codec that is a number", tag(40, [[4, 6], tag(77, tag(56500, [1, 2, b"abc"]))])),
    ("image with another element size", tag(40, [[4, 6], tag(77, tag(56500, ["bslz4", 4, b"abc"]))])),
    ("image with an empty tag 56500", tag(40, [[4, 6], tag(77, tag(56500, []))])),
    ("tag 56500 alone", tag(56500, ["bslz4", 2, b"abc"])),
    ("broken JSON", '{"broken'),
    ("deep JSON", '{"a":' * 100_000),
    ("JSON with NaN", '{"beam_center_x": NaN, "file_prefix": "a"}'),
    ("JSON with a large number", '{"number_of_images": ' + "9" * 5000 + "}"),
    ("JSON with a lone surrogate", '{"sample_name": "\\ud800"}'),
    ("JSON that is an array", "[1, 2]"),
)  # fmt: skip
"""Values that are wrong for nearly every field."""


def _insane() -> Iterator[tuple[str, bytes]]:
    for kind, fields in MESSAGES.items():
        for name in [*fields, "type", "user_data", "unknown"]:
            for what, value in WRONG:
                yield f"{kind}.{name}: {what}", cbor2.dumps({**message(kind), name: value})
    yield "text that is no UTF-8", b"\xa2\x64type\x63end\x69series_id\x62\xff\xfe"
    yield "a type that nobody knows", cbor2.dumps({"type": "a" * 10_000})
    yield "17 regions", cbor2.dumps({**smallest("start"), "rois": MESSAGES["start"]["rois"].sent * 5})
    yield "20000 spots", cbor2.dumps({**smallest("image"), "spots": [{"x": 1.5, "y": 1.5}] * 20_000})


INSANE: tuple[tuple[str, bytes], ...] = tuple(_insane())


def outcome(data: bytes, limits: LimitSettings) -> Any:
    """The decoded message, or the ProtocolError that refuses it; anything else is a failure."""
    try:
        return decode(data, limits)
    except ProtocolError as error:
        return error
