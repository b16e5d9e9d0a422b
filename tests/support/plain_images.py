"""Image messages that can be read as plain ones, and the two ways of reading them side by side."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import cbor2
import numpy as np

from jfwriter.errors import ProtocolError
from jfwriter.payload import Payload
from jfwriter.settings import LimitSettings
from jfwriter.wire.decode import decode
from jfwriter.wire.messages import ImageMessage
from jfwriter.wire.plain_fields import LATTICE_CELLS, PLACES, Kind
from jfwriter.wire.plain_image import PlainImage
from jfwriter.wire.stream import StreamDecoder
from tests.support.wire_fields import assert_same, raw_image, tag

LIMITS = LimitSettings()
HEIGHT, WIDTH = 5, 8
N_BINS = 6
REGIONS = ("beam", "ring/1", "Größe")
SUMS = ("sum", "sum_square", "max", "pixels", "x_weighted", "y_weighted")

Fields = dict[str, Any]


class Raw(bytes):
    """An encoded item, to be put in as it is."""


def head(major: int, argument: int) -> bytes:
    """The shortest head (RFC 8949, section 3)."""
    if argument < 24:
        return bytes([major << 5 | argument])
    for info, code in ((24, "B"), (25, "H"), (26, "I"), (27, "Q")):
        if argument < 1 << 8 * struct.calcsize(code):
            return bytes([major << 5 | info]) + struct.pack(f">{code}", argument)
    raise ValueError(argument)


def item(value: object) -> bytes:
    return bytes(value) if isinstance(value, Raw) else cbor2.dumps(value)


def pairs(entries: Sequence[tuple[object, object]]) -> Raw:
    """A map with these entries in this order, twice the same key included."""
    return Raw(head(5, len(entries)) + b"".join(item(part) for entry in entries for part in entry))


def encoded(message: Mapping[str, object]) -> bytes:
    return pairs(list(message.items()))


def view(data: bytes) -> memoryview:
    return memoryview(data).toreadonly()


def singles(*values: float) -> cbor2.CBORTag:
    return tag(85, np.array(values, "<f4").tobytes())


def counts(*values: int) -> cbor2.CBORTag:
    return tag(70, np.array(values, "<u4").tobytes())


def half(bits: int) -> Raw:
    return Raw(b"\xf9" + bits.to_bytes(2, "big"))


def single(bits: int) -> Raw:
    return Raw(b"\xfa" + bits.to_bytes(4, "big"))


def double(bits: int) -> Raw:
    return Raw(b"\xfb" + bits.to_bytes(8, "big"))


def pixels(image_id: int = 0, dtype: str = "<u2") -> np.ndarray:
    return np.arange(HEIGHT * WIDTH, dtype=dtype).reshape(HEIGHT, WIDTH) + np.dtype(dtype).type(image_id % 64)


def sums(total: int = 100, **changes: object) -> Fields:
    return {
        "sum": total, "sum_square": 7 * abs(total), "max": 40, "pixels": 12,
        "x_weighted": 3 * total, "y_weighted": -5 * total, **changes,
    }  # fmt: skip


def spot(j: int = 0, **changes: object) -> Fields:
    return {
        "x": 1.5 + j, "y": 2.5, "I": 30.0 + j, "maxc": 12, "ice_ring": j % 2 == 0, "indexed": True,
        "lattice": 0, "h": 1, "k": -2, "l": j, "dist_ewald": 0.001, **changes,
    }  # fmt: skip


def _usual(name: str, number: int, turn: int) -> object:
    """A value of a field that plain images have."""
    values: dict[Kind, object] = {
        Kind.INTEGER: number,
        Kind.FLOAT: number + 0.1 * turn,
        Kind.BOOLEAN: turn % 2 == 1,
        Kind.RATIONAL: [1000 * turn + number, 1_000_000],
        Kind.WORD: "tP",
        Kind.LATTICE: singles(*range(number, number + LATTICE_CELLS)),
        Kind.SINGLES: singles(*(number + 0.5 * i for i in range(N_BINS))),
        Kind.COUNTS: counts(*range(N_BINS)),
        Kind.SPOTS: [spot(j) for j in range(3)],
        Kind.IMAGES: {"default": raw_image(pixels(turn), 69)},
        Kind.REGIONS: {region: sums(100 + i) for i, region in enumerate(REGIONS)},
    }
    return values[PLACES[name].kind]


def plain_fields(image_id: object = 5, **changes: object) -> Fields:
    """A message with every field that a plain image can have; `changes` replace fields or follow them."""
    constant: Fields = {
        "type": "image",
        "series_unique_id": "run 1",
        "series_date": tag(0, "2026-03-04T05:06:07Z"),
        "user_data": {"note": ["a", 1, None], "deep": {"deeper": [1.5]}},
    }
    turn = image_id % 1000 if type(image_id) is int else 5
    varying = {name: _usual(name, n, turn) for n, name in enumerate(PLACES) if name not in constant}
    return {**constant, **varying, "series_id": 1, "image_id": image_id, **changes}


def without(message: Fields, *names: str) -> Fields:
    return {name: value for name, value in message.items() if name not in names}


def plain_message(image_id: object = 5, **changes: object) -> bytes:
    return encoded(plain_fields(image_id, **changes))


def assert_same_image(got: ImageMessage, wanted: ImageMessage) -> None:
    """Every attribute, with its type; arrays as NumPy arrays."""
    for field in dataclasses.fields(ImageMessage):
        if field.name not in {"source", "cuts"}:
            _assert_same(getattr(got, field.name), getattr(wanted, field.name), field.name)
    assert got.source is not None
    assert got.source.readonly
    assert got.source == wanted.source
    for payload in got.channels.values():
        assert payload.data.readonly
        if isinstance(got, PlainImage):
            assert any(got.source[at : at + size] == payload.data for at, size in got.cuts)


def _assert_same(got: object, wanted: object, where: str) -> None:
    """To the last bit: floats and arrays are compared by their bytes."""
    assert type(got) is type(wanted), f"{where}: {got!r} is no {type(wanted).__name__}"
    if isinstance(wanted, np.ndarray):
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape), where  # type: ignore[attr-defined]
        assert got.tobytes() == wanted.tobytes(), f"{where}: {got} != {wanted}"  # type: ignore[attr-defined]
    elif isinstance(wanted, float):
        assert struct.pack(">d", got) == struct.pack(">d", wanted), f"{where}: {got} != {wanted}"
    elif dataclasses.is_dataclass(wanted) and not isinstance(wanted, Payload):
        for field in dataclasses.fields(wanted):
            _assert_same(getattr(got, field.name), getattr(wanted, field.name), f"{where}.{field.name}")
    elif isinstance(wanted, dict):
        assert list(got) == list(wanted), where  # type: ignore[call-overload]
        for name, value in wanted.items():
            _assert_same(got[name], value, f"{where}.{name}")  # type: ignore[index]
    elif isinstance(wanted, tuple | list):
        assert len(got) == len(wanted), where  # type: ignore[arg-type]
        for i, value in enumerate(wanted):
            _assert_same(got[i], value, f"{where}[{i}]")  # type: ignore[index]
    else:
        assert got == wanted, f"{where}: {got!r} != {wanted!r}"


class Both:
    """One decoder of a stream, and each of its messages once more from the general one."""

    def __init__(self, limits: LimitSettings = LIMITS) -> None:
        self.decoder = StreamDecoder()
        self.limits = limits

    def read(self, data: bytes, limits: LimitSettings | None = None) -> Any:
        """What both make of `data`: the stream's message, or the error."""
        chosen = self.limits if limits is None else limits
        wanted, got = outcome(decode, data, chosen), outcome(self.decoder.decode, data, chosen)
        if isinstance(wanted, ProtocolError):
            assert isinstance(got, ProtocolError), f"{wanted}, but it is a {type(got).__name__}"
            assert (got.reason, str(got)) == (wanted.reason, str(wanted))
        elif isinstance(wanted, ImageMessage):
            assert isinstance(got, ImageMessage), got
            assert_same_image(got, wanted)
        else:
            assert_same(got, wanted, type(wanted).__name__)
        return got

    def is_plain(self, data: bytes) -> bool:
        return isinstance(self.read(data), PlainImage)

    def learn(self, data: bytes) -> None:
        """Take a first message, after which the same one is plain."""
        assert not self.is_plain(data)
        assert self.is_plain(data)


def learned(**changes: object) -> Both:
    """A decoder that knows the usual message."""
    both = Both()
    both.learn(plain_message(**changes))
    return both


def kinds_after(messages: list[bytes], both: Both | None = None) -> list[bool]:
    """Whether each of them is plain."""
    both = both or Both()
    return [both.is_plain(data) for data in messages]


def outcome(read: Any, data: bytes, limits: LimitSettings) -> Any:
    try:
        return read(view(data), limits)
    except ProtocolError as error:
        return error


def of_kind(kind: Kind) -> list[str]:
    """Names of fields."""
    return [name for name, place in PLACES.items() if place.kind is kind]
