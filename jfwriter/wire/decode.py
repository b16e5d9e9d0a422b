"""Bytes -> message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from jfwriter.errors import ProtocolError
from jfwriter.settings import LimitSettings
from jfwriter.wire.end import read_calibration, read_end, read_metadata
from jfwriter.wire.image import read_image
from jfwriter.wire.item import thread_reader
from jfwriter.wire.messages import Message, UnknownMessage
from jfwriter.wire.mismatch import describe
from jfwriter.wire.start import read_start

_READERS: Final[Mapping[str, Callable[[Mapping[object, object], LimitSettings, memoryview], Message]]] = {
    "start": read_start,
    "end": read_end,
    "calibration": read_calibration,
    "metadata": read_metadata,
}
_MAX_TYPE: Final = 64
_START: Final = b"\x64type\x65start"
_LOOKED_AT_BYTES: Final = 1 << 16


def decode(buffer: bytes | memoryview, limits: LimitSettings) -> Message:
    """Decode one message. The pixels in the result are read-only views into `buffer`.

    May be called on any thread; each has its own scratch memory.

    Raises ProtocolError, and nothing else, whatever the bytes are: the item is not well-formed, over a limit,
    not a map with a text `type`, or an essential field is absent or wrong
    (`docs/reference/messages/index.md` lists the reasons).
    """
    if len(buffer) > limits.max_message_bytes:
        raise ProtocolError("over_limit", f"{len(buffer)} bytes, more than limits.max_message_bytes")
    items = thread_reader()
    item = items.read(buffer, limits)
    if not isinstance(item, dict):
        raise ProtocolError("not_a_map", f"expected a map, got {describe(item)}")
    kind = item.get("type")
    if not isinstance(kind, str):
        raise ProtocolError("bad_field", f"field 'type': expected text, got {describe(kind)}")
    if kind == "image":
        return read_image(item, limits, memoryview(buffer).toreadonly(), items.cuts)
    reader = _READERS.get(kind)
    if reader is None:
        return UnknownMessage(type=kind[:_MAX_TYPE])
    return reader(item, limits, memoryview(buffer).toreadonly())


def claims_to_be_start(buffer: bytes | memoryview) -> bool:
    """Whether bytes that cannot be decoded look like a start message: near their beginning, "start" follows
    "type" (RFC 8949, section 3.1). To be told with more emphasis than another broken message."""
    return _START in bytes(buffer[:_LOOKED_AT_BYTES])
