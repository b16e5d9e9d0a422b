"""Records of a journal: framed by length and CRC-32, so that a torn tail is recognised. Pure.

A record is a head of 16 bytes (magic, kind, length of the body, CRC-32 of the rest of the head and the body,
all little-endian) and its body. A journal is read up to the first record that is not whole: what was
appended before it is true, what comes after it is not looked at.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from jfwriter.compression.checksum import crc32

MAGIC = 0x314C4E4A
"""The bytes "JNL1"."""
HEAD = struct.Struct("<IIII")
_CHECKED = struct.Struct("<II")
_MAGIC = MAGIC.to_bytes(4, "little")

Parts = Sequence[bytes | memoryview]
"""Of the body of a record."""


class Kind(enum.IntEnum):
    """What a record tells. The first group stands in the journal of a run, the second in that of a file."""

    RUN = 1
    """JSON: settings and time of receipt; the first record."""
    START = 2
    """The start message as it came."""
    CALIBRATION = 3
    """A calibration message as it came."""
    CLOSING = 4
    """JSON: what a data file holds that is about to get its final name."""
    END = 5
    """The end message as it came."""
    MASTER = 6
    """JSON: the master is about to get its final name."""
    TEMPORARY = 7
    """JSON: a file is about to be made that holds nothing that is not elsewhere, too; recovery removes it."""
    RECOVERED = 8
    """JSON: how a recovery ended; nothing is left to do."""
    OPENING = 9
    """JSON: a data file is about to be made, and its journal before it."""
    MANIFEST = 10
    """The manifest, which is about to be written."""
    WENT_ON = 11
    """JSON: the run goes on in another directory, and whether it has a second journal there."""
    PART = 12
    """JSON: as CLOSING, of a part of a data file, in the directory in which the run was begun."""
    BEGUN = 13
    """JSON: the journal is the second of its run, which was begun in another directory."""
    CLOSED_BEFORE = 14
    """JSON: as CLOSING, of a data file in that directory, whose journal could not take it."""
    ENDED = 15
    """JSON: the run is finished; nothing but its journals is left to be removed."""

    FILE = 16
    """JSON: the data file that the journal belongs to; the first record."""
    IMAGE = 17
    """An image (`image_record`)."""
    SYNCED = 18
    """JSON: so many images of the file had reached the disk."""


@dataclass(frozen=True, slots=True)
class Record:
    kind: int
    """Of `Kind`, or of a later version."""
    body: bytes


def record(kind: Kind, *parts: bytes | memoryview) -> bytes:
    """One record; its body is the parts one after another."""
    return b"".join(record_parts(kind, *parts))


def record_parts(kind: Kind, *parts: bytes | memoryview) -> Parts:
    """`record` in parts, none of which is copied."""
    size = sum(map(len, parts))
    crc = crc32(_CHECKED.pack(kind, size))
    for part in parts:
        crc = crc32(part, crc)
    return (HEAD.pack(MAGIC, kind, size, crc), *parts)


class Reader:
    """Iterates over the records of an open journal of `size_bytes`, one in memory at a time.

    After it, `n_bytes` is the length of the whole records, `is_torn` tells whether anything follows them, and
    `is_cut` whether the journal just ends there: with nothing, or with a part of a record that goes on beyond
    its end. What was damaged is torn and not cut.
    """

    def __init__(self, file: BinaryIO, size_bytes: int) -> None:
        self.n_bytes = 0
        self.is_cut = False
        self._file = file
        self._size = size_bytes

    @property
    def is_torn(self) -> bool:
        return self.n_bytes != self._size

    def __iter__(self) -> Iterator[Record]:
        while True:
            head = self._file.read(HEAD.size)
            if len(head) < HEAD.size:
                self.is_cut = _MAGIC.startswith(head[: len(_MAGIC)])
                return
            magic, kind, size, crc = HEAD.unpack(head)
            if magic != MAGIC or size > self._size - self.n_bytes - HEAD.size:
                self.is_cut = magic == MAGIC
                return
            body = self._file.read(size)
            if len(body) < size or crc32(body, crc32(_CHECKED.pack(kind, size))) != crc:
                return
            self.n_bytes += HEAD.size + size
            yield Record(kind, body)
