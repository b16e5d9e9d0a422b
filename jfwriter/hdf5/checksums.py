"""Checksums of the chunks of one image dataset, and where they are stored. Writer thread only."""

from __future__ import annotations

from collections.abc import Iterable

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.hdf5.faults import storage_faults
from jfwriter.hdf5.plugin import StoredDataset
from jfwriter.nexus import fields
from jfwriter.session.orders import Likeness
from jfwriter.session.plan import RunPlan

BLOCK = 4096
ATTRIBUTES = {"algorithm": "CRC-32 (ISO 3309, as zlib) of the stored chunk"}

IN_DATA_FILE = "/entry/detector/crc32"
IN_SINGLE_FILE = "/entry/instrument/detector/detectorSpecific/crc32"


class RowChecksums:
    """CRC-32 by row, 0 for a row without a chunk. Memory: 16 KiB per 4096 rows of which one has a chunk."""

    def __init__(self) -> None:
        self._blocks: dict[int, npt.NDArray[np.uint32]] = {}

    def set(self, row: int, value: int) -> None:
        """Enter what was written last at `row`."""
        number, place = divmod(row, BLOCK)
        block = self._blocks.get(number)
        if block is None:
            block = self._blocks[number] = np.zeros(BLOCK, np.uint32)
        block[place] = value

    def of(self, row: int) -> int:
        """What was entered at `row`; 0: nothing."""
        number, place = divmod(row, BLOCK)
        block = self._blocks.get(number)
        return 0 if block is None else int(block[place])

    def rows(self, n_rows: int) -> npt.NDArray[np.uint32]:
        """Of the rows 0 ... n_rows - 1. uint32 [n_rows]"""
        values = np.zeros(n_rows, np.uint32)
        for number, block in self._blocks.items():
            part = values[number * BLOCK : (number + 1) * BLOCK]
            part[:] = block[: len(part)]
        return values


def most_unlike(channels: Iterable[Likeness]) -> Likeness:
    """Of an image, from what is known of each of its channels."""
    found = set(channels)
    return next(
        (likeness for likeness in (Likeness.DIFFERS, Likeness.UNKNOWN) if likeness in found), Likeness.SAME
    )


def checksum_path(channel: str | None, *, integrated: bool) -> str:
    """Where the checksums of the main channel (None) or of another one stand."""
    if channel is not None:
        return f"/entry/channels/{channel}/crc32"
    return IN_SINGLE_FILE if integrated else IN_DATA_FILE


def promised_checksums(plan: RunPlan) -> tuple[StoredDataset, ...]:
    """What every data file of the run holds, also those of other writers."""
    return (_stored(checksum_path(None, integrated=plan.is_integrated)),) if plan.checksums else ()


def _stored(path: str) -> StoredDataset:
    return StoredDataset(path, np.dtype("u4"), (), 0, ATTRIBUTES)


def write_checksums(entry: h5py.Group, path: str, checksums: RowChecksums, n_rows: int) -> StoredDataset:
    """u4 [n_rows] at `path` below `/entry`. Raises StorageError."""
    stored = _stored(path)
    *above, name = path.removeprefix("/entry/").split("/")
    with storage_faults(f"cannot write {path}"):
        group = entry
        for part in above:
            group = fields.collection(group, part)
        fields.array(group, name, checksums.rows(n_rows), "u4")
        fields.attributes(group[name], **ATTRIBUTES)
    return stored
