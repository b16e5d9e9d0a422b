"""The images of one file, chunk by chunk, as they are stored.

A chunk is handed out by HDF5 without being unpacked, its framing is checked, and only then, if asked for, it
is unpacked by jfwriter's own kernels, which read and write nothing outside it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.compression import check_framing, decompress
from jfwriter.compression.checksum import crc32
from jfwriter.errors import PayloadError
from jfwriter.payload import Payload
from jfwriter.reader.fields import short
from jfwriter.reader.nodes import TROUBLE
from jfwriter.reader.stored import stored_codec
from jfwriter.validation.findings import Check, Report

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ImageRows:
    """An image dataset [n, y, x] of the file `name`; row 0 is image `first_image` of the run.

    `checksums` u4 [n] of the stored chunks, None if there are none. `has_image` bool [n] tells the rows that
    must hold an image, None if nothing says it.
    """

    name: str
    dataset: h5py.Dataset
    first_image: int
    file_bytes: int
    checksums: npt.NDArray[np.uint32] | None
    has_image: npt.NDArray[np.bool_] | None


def check_chunks(rows: ImageRows, report: Report, *, deep: bool, progress: Callable[[], None]) -> None:
    """Every row has its chunk, well framed; `deep`: of the stored checksum, and it unpacks."""
    dataset = rows.dataset
    codec = stored_codec(dataset)
    shape = (int(dataset.shape[1]), int(dataset.shape[2]))
    if codec is None:
        _not_checked(rows, report)
        return
    dtype = dataset.dtype
    raw_bytes = shape[0] * shape[1] * dtype.itemsize
    scratch = np.empty(shape, dtype.newbyteorder("=")) if deep else None
    for row in range(dataset.shape[0]):
        image = rows.first_image + row
        if row % 64 == 0:
            progress()
        data = _chunk(rows, row, image, raw_bytes, report)
        if data is None:
            continue
        report.n_chunks += 1
        payload = Payload(memoryview(data), codec, dtype, shape)
        try:
            check_framing(payload)
        except PayloadError as error:
            report.problem(Check.FRAMING, rows.name, f"its chunk is not well framed: {error}", image)
            continue
        if scratch is not None:
            _unpack(rows, row, payload, scratch, report)


def _chunk(rows: ImageRows, row: int, image: int, raw_bytes: int, report: Report) -> bytes | None:
    """The stored bytes of a row; what is wrong with them is reported."""
    try:
        info = rows.dataset.id.get_chunk_info_by_coord((row, 0, 0))
    except TROUBLE as error:
        report.problem(Check.CHUNK, rows.name, f"its chunk cannot be looked up: {short(error)}", image)
        return None
    if info.byte_offset is None:
        if rows.has_image is None or rows.has_image[row]:
            report.problem(Check.CHUNK, rows.name, "no chunk is stored for it", image)
        return None
    odd = _odd_chunk(info, raw_bytes, rows.file_bytes)
    if odd:
        report.problem(Check.CHUNK, rows.name, odd, image)
        return None
    try:
        return bytes(rows.dataset.id.read_direct_chunk((row, 0, 0))[1])
    except TROUBLE as error:
        report.problem(Check.CHUNK, rows.name, f"its chunk cannot be read: {short(error)}", image)
        return None


def _odd_chunk(info: h5py.h5d.StoreInfo, raw_bytes: int, file_bytes: int) -> str:
    """Why a chunk is not read; empty if it may be."""
    end = info.byte_offset + info.size
    if end > file_bytes:
        return f"its chunk reaches to byte {end}, the file to {file_bytes}: is the file cut off?"
    if info.filter_mask:
        return "its chunk is stored without its filter"
    if info.size > 2 * raw_bytes + 65536:
        return f"its chunk has {info.size} bytes; the image has {raw_bytes}"
    return ""


def _unpack(
    rows: ImageRows, row: int, payload: Payload, scratch: npt.NDArray[np.generic], report: Report
) -> None:
    image = rows.first_image + row
    if rows.checksums is not None:
        found, stored = crc32(payload.data), int(rows.checksums[row])
        report.n_checksums += 1
        if found != stored:
            text = f"crc32 of its chunk is {found:08x}, stored is {stored:08x}"
            report.problem(Check.CHECKSUM, rows.name, text, image)
            return
    try:
        decompress(payload, scratch)
    except PayloadError as error:
        report.problem(Check.PIXELS, rows.name, f"it does not unpack: {error}", image)
        return
    report.n_unpacked += 1


def _not_checked(rows: ImageRows, report: Report) -> None:
    """Images that another program stored in another way: said, not guessed at."""
    chunks = rows.dataset.chunks
    expected = (1, *rows.dataset.shape[1:])
    if chunks is None and not rows.dataset.is_virtual:
        report.problem(Check.CHUNK, rows.name, "the images are not stored in chunks; expected one for each")
    elif chunks != expected:
        text = f"the images are stored in chunks of {chunks}; expected {expected}, one for each"
        report.problem(Check.CHUNK, rows.name, text)
    else:
        text = "the images are packed by a filter that is not known here: their chunks are not checked"
        report.note(Check.CHUNK, rows.name, text)


def size_of(path: str | os.PathLike[str]) -> int:
    return os.stat(path).st_size  # noqa: PTH116 follows a link on purpose, as opening does
