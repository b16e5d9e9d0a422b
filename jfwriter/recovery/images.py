"""The images of one data file that never got its final name, read and checked one by one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pydantic

from jfwriter.compression import check_framing, decompress
from jfwriter.errors import JfwriterError
from jfwriter.hdf5.file_facts import ChannelFacts
from jfwriter.hdf5.image_dataset import Scratch
from jfwriter.journal.image_record import ImageRecord, unpacked
from jfwriter.journal.records import Kind, Reader
from jfwriter.payload import Codec, Payload
from jfwriter.recovery.material import RunMaterial, Unusable
from jfwriter.recovery.opened import OpenedFile, opened
from jfwriter.session.bounds import image_id_limit
from jfwriter.session.orders import WriteImage
from jfwriter.session.planning import PIXEL_TYPES, usable_channel
from jfwriter.wire.decode import decode
from jfwriter.wire.messages import ImageMessage

JOURNAL_SUFFIX = ".tmp.journal"
_CHANNELS = pydantic.TypeAdapter(list[ChannelFacts])


@dataclass(frozen=True, slots=True)
class FileHeader:
    """The first record of the journal of a data file."""

    token: str
    file_index: int
    name: str
    temporary_name: str
    channels: tuple[ChannelFacts, ...]


@dataclass(frozen=True, slots=True)
class BadImage:
    """An image that cannot be taken, and why."""

    image_id: int
    text: str


def read_header(journal: OpenedFile, journal_name: str) -> FileHeader | None:
    """The header of a journal, which stays open for more; None where it has not come to the disk.

    Raises Unusable.
    """
    record = next(iter(Reader(journal.file, journal.size_bytes)), None)
    journal.file.seek(0)
    if record is None:
        return None
    if record.kind != Kind.FILE:
        raise Unusable("it does not begin as the journal of a data file")
    try:
        told: dict[str, Any] = json.loads(record.body)
        header = FileHeader(
            str(told["token"]),
            int(told["file_index"]),
            str(told["name"]),
            str(told["temporary_name"]),
            tuple(_CHANNELS.validate_python(told["channels"])),
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Unusable(f"its header is not understood: {type(error).__name__}") from None
    if f"{header.temporary_name}.journal" != journal_name:
        raise Unusable("it belongs to another file than its name says")
    return header


class FileImages:
    """Iterates over the images of one data file, in the order in which they were written.

    The file is read beside HDF5, which cannot open it: the chunks are where the journal says. `is_certain`
    False: the machine has been started anew since, so what was not synced may be lost.
    """

    def __init__(self, material: RunMaterial, header: FileHeader, *, is_certain: bool) -> None:
        """Raises Unusable for a header that does not fit the run."""
        self._material = material
        self._header = header
        self._is_certain = is_certain
        self._scratch = Scratch()
        self._n_seen = 0
        plan = material.plan
        if header.file_index < 0 or plan.data_file_name(header.file_index) != header.name:
            raise Unusable(
                f"its data file is no. {header.file_index} of the run and not {header.name[:80]!a}"
            )
        names = [channel.name for channel in header.channels]
        if not names or len(set(names)) != len(names) or len(names) > material.settings.limits.max_channels:
            raise Unusable("it names no channel, or one twice, or too many")
        for channel in header.channels:
            if channel.shape != plan.shape or not usable_channel(channel.name):
                raise Unusable(f"channel {channel.name[:40]!a} is not of this run")
            if np.dtype(channel.dtype).newbyteorder("=") not in PIXEL_TYPES.values():
                raise Unusable(f"channel {channel.name[:40]!a} has pixels of type {channel.dtype[:20]!a}")

    def images(self, directory: int, journal: OpenedFile) -> Iterator[WriteImage | BadImage]:
        """From the journal, and the data file beside it in the open `directory`. Raises OSError."""
        n_synced = _n_synced(journal)
        number = 0
        with opened(directory, self._header.temporary_name) as data:
            for record in Reader(journal.file, journal.size_bytes):
                if record.kind != Kind.IMAGE:
                    continue
                number += 1
                yield self._image(record.body, data, is_certain=self._is_certain or number <= n_synced)

    def count(self, directory: int, journal_name: str) -> int:
        """Images that the journal tells of. Raises OSError."""
        with opened(directory, journal_name) as journal:
            return sum(r.kind == Kind.IMAGE for r in Reader(journal.file, journal.size_bytes))

    def _image(self, body: bytes, data: OpenedFile, *, is_certain: bool) -> WriteImage | BadImage:
        image_id = -1
        try:
            record = unpacked(body, self._material.settings.limits.max_message_bytes)
            image_id = record.image_id
            self._check_place(record)
            channels = self._channels(record, data, is_certain=is_certain)
            image = replace(self._message(record), channels=channels, source=None)
        except (ValueError, OSError, MemoryError, JfwriterError) as error:
            return BadImage(image_id, str(error) or type(error).__name__)
        return WriteImage(self._header.file_index, record.row, image)

    def _check_place(self, record: ImageRecord) -> None:
        plan, limits = self._material.plan, self._material.settings.limits
        if record.image_id >= image_id_limit(plan, self._n_seen, limits):
            raise ValueError("its number is beyond the run")
        if plan.place(record.image_id) != (self._header.file_index, record.row):
            raise ValueError(f"row {record.row} of {self._header.name} is not its place")
        if len(record.chunks) != len(self._header.channels):
            raise ValueError(f"{len(record.chunks)} channels, expected {len(self._header.channels)}")
        self._n_seen = max(self._n_seen, record.image_id + 1)

    def _channels(self, record: ImageRecord, data: OpenedFile, *, is_certain: bool) -> dict[str, Payload]:
        channels = {}
        for chunk, channel in zip(record.chunks, self._header.channels, strict=True):
            if chunk.place + chunk.n_bytes > data.size_bytes:
                raise ValueError(f"its pixels lie behind the end of {self._header.temporary_name}")
            content = os.pread(data.file.fileno(), chunk.n_bytes, chunk.place)
            if len(content) != chunk.n_bytes:
                raise ValueError(f"its pixels cannot be read from {self._header.temporary_name}")
            payload = Payload(memoryview(content), channel.codec, np.dtype(channel.dtype), channel.shape)
            self._verify(payload, is_certain=is_certain)
            channels[channel.name] = payload
        return channels

    def _verify(self, payload: Payload, *, is_certain: bool) -> None:
        """Raises PayloadError, or ValueError for pixels that nothing can be said of."""
        check_framing(payload)
        if payload.codec is not Codec.NONE:
            decompress(payload, self._scratch.image(payload.shape, payload.dtype.newbyteorder("=")))
        elif not is_certain:
            raise ValueError(
                "its uncompressed pixels may not have reached the disk before the machine stopped"
            )

    def _message(self, record: ImageRecord) -> ImageMessage:
        if not record.message_bytes:
            start = self._material.plan.start
            return ImageMessage(series_id=start.series_id, image_id=record.image_id, channels={})
        message = decode(bytes(record.message()), self._material.settings.limits)
        if not isinstance(message, ImageMessage) or message.image_id != record.image_id:
            raise ValueError("its message is that of another one")
        return message


def _n_synced(journal: OpenedFile) -> int:
    """So many images are certainly on the disk; the journal is read once through."""
    n_images = 0
    for record in Reader(journal.file, journal.size_bytes):
        if record.kind == Kind.SYNCED:
            try:
                n_images = max(n_images, int(json.loads(record.body)["n_images"]))
            except (ValueError, TypeError, KeyError, RecursionError):
                continue
    journal.file.seek(0)
    return n_images
