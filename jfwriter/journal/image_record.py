"""The record of one image: where its pixels lie in the data file, and the rest of its message.

The pixels themselves are not kept twice. HDF5 wrote them with one `pwrite` into the data file, where they
stay when the process dies; what is lost with it is only HDF5's own account of them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jfwriter.payload import Payload
from jfwriter.wire.messages import ImageMessage

_HEAD = struct.Struct("<QQQI")
_CHUNK = struct.Struct("<QQQQ")
_HEAD_OF_ONE = struct.Struct(_HEAD.format + _CHUNK.format.lstrip("<"))
"""Both, of an image with one channel: the usual one."""
MAX_CHUNKS = 1024


@dataclass(frozen=True, slots=True)
class Chunk:
    """One channel of an image. `place` and `n_bytes`: in the data file; `cut_at` and `cut_bytes`: the part of
    the message that is left out, none if `cut_bytes` is 0."""

    place: int
    n_bytes: int
    cut_at: int = 0
    cut_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """`chunks` in the order of the file's channels; `rest` are the bytes of the message without the cuts."""

    image_id: int
    row: int
    message_bytes: int
    chunks: tuple[Chunk, ...]
    rest: bytes

    def message(self) -> bytearray:
        """The message with zeros in place of the pixels: everything else of it can be decoded.

        Raises ValueError where the parts do not add up.
        """
        whole = bytearray(self.message_bytes)
        position = used = 0
        for chunk in sorted((c for c in self.chunks if c.cut_bytes), key=lambda c: c.cut_at):
            size = chunk.cut_at - position
            if size < 0 or chunk.cut_at + chunk.cut_bytes > self.message_bytes:
                raise ValueError("parts of the message overlap")
            whole[position : chunk.cut_at] = self.rest[used : used + size]
            used += size
            position = chunk.cut_at + chunk.cut_bytes
        if len(self.rest) - used != self.message_bytes - position:
            raise ValueError("parts of the message are missing")
        whole[position:] = self.rest[used:]
        return whole


def packed(
    image: ImageMessage, row: int, payloads: Sequence[Payload], places: Sequence[tuple[int, int]]
) -> tuple[bytes | memoryview, ...]:
    """Parts of the body of an IMAGE record; those of the message are views of it.

    `payloads`: its images, in the order of `places`: (offset, size) in the data file.
    """
    image_id, source = image.image_id, image.source
    if source is None:
        head = _HEAD.pack(image_id, row, 0, len(places))
        return (head, *(_CHUNK.pack(*place, 0, 0) for place in places))
    if len(places) == 1:
        (place,), (payload,) = places, payloads
        at, size = _cut(source, payload.data, image.cuts)
        head = _HEAD_OF_ONE.pack(image_id, row, len(source), 1, *place, at, size)
        return (head, source[:at], source[at + size :])
    cuts = [_cut(source, payload.data, image.cuts) for payload in payloads]
    chunks = [_CHUNK.pack(*place, *cut) for place, cut in zip(places, cuts, strict=True)]
    rest: list[memoryview] = []
    position = 0
    for at, size in sorted(cut for cut in cuts if cut[1]):
        rest.append(source[position:at])
        position = at + size
    rest.append(source[position:])
    return (_HEAD.pack(image_id, row, len(source), len(places)), *chunks, *rest)


def unpacked(body: bytes, max_message_bytes: int) -> ImageRecord:
    """The body of an IMAGE record. Raises ValueError for one that cannot be."""
    if len(body) < _HEAD.size:
        raise ValueError("the record of an image is too short")
    image_id, row, message_bytes, n_chunks = _HEAD.unpack_from(body)
    stop = _HEAD.size + n_chunks * _CHUNK.size
    if not 0 < n_chunks <= MAX_CHUNKS or stop > len(body):
        raise ValueError(f"the record of an image has {n_chunks} channels")
    chunks = tuple(Chunk(*numbers) for numbers in _CHUNK.iter_unpack(body[_HEAD.size : stop]))
    n_left_out = sum(chunk.cut_bytes for chunk in chunks)
    if message_bytes > max_message_bytes:
        raise ValueError(f"the record of an image claims a message of {message_bytes} bytes")
    if message_bytes != len(body) - stop + n_left_out:
        raise ValueError("the record of an image does not hold the rest of its message")
    return ImageRecord(image_id, row, message_bytes, chunks, body[stop:])


def _cut(source: memoryview, data: memoryview, views: Sequence[Sequence[int]]) -> tuple[int, int]:
    """(offset, length) of `data` in `source`; length 0 if it is no part of it."""
    size = data.nbytes
    if not size:
        return 0, 0
    if data.obj is source.obj:
        # One view of this size: then `data` is it. Asking for addresses costs ten times as much.
        offsets = [offset for offset, view_bytes in views if view_bytes == size]
        if len(offsets) == 1:
            return offsets[0], size
    offset = _address(data) - _address(source)
    return (offset, size) if 0 <= offset <= len(source) - size else (0, 0)


def _address(view: memoryview) -> int:
    return int(np.frombuffer(view, np.uint8).__array_interface__["data"][0])
