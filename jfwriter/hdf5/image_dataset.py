"""One image dataset `[n, y, x]` of a data file: chunks as they came, rows in any order. Writer thread only.

Layout: `docs/reference/layout.md`, "Image dataset". One chunk per image, at most one filter, chunks of one
codec: neggia and durin ignore the filter mask and take every chunk for what the filter says.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import h5py
import numpy as np
import numpy.typing as npt
from h5py._objects import phil

from jfwriter.compression import check_framing, decompress
from jfwriter.compression.checksum import crc32
from jfwriter.compression.filters import Filter, filter_for, filter_of
from jfwriter.compression.pipeline import encode
from jfwriter.errors import PayloadError
from jfwriter.hdf5.checksums import RowChecksums
from jfwriter.hdf5.faults import STORAGE_FAULTS, storage_error, storage_faults
from jfwriter.hdf5.file_driver import NOWHERE, Driver
from jfwriter.nexus import fields
from jfwriter.nexus.pixel_types import fill_value
from jfwriter.payload import Codec, Payload
from jfwriter.session.ledger import Bits
from jfwriter.session.orders import Likeness

MAX_CHUNK_BYTES = (1 << 32) - 1
"""HDF5 keeps the size of a chunk in 32 bits."""

STEP_ROWS = 1024
"""Rows are added in such steps: one call into HDF5 (2 us) serves many images, and to cut off what was too
much costs 40 ns per row."""

BLOCK_ROWS = 1 << 16
"""Rows that are searched at a time."""

LAST_IMAGE_NR = (1 << 31) - 1
"""Largest value of the 32-bit attributes `image_nr_low` and `image_nr_high`."""


StoredAs = Callable[[int, int], None]
"""Is called with the place of a chunk that is in the file, -1 if it is not known, and its size in bytes."""


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """How images are stored. `shape` is (height, width), `dtype` is little-endian."""

    shape: tuple[int, int]
    dtype: np.dtype[np.generic]
    codec: Codec
    filter: Filter | None
    """None for plain pixels."""

    @classmethod
    def of(cls, payload: Payload, raw_codec: Codec = Codec.NONE) -> ImageFormat:
        """Format that takes `payload` as it is; plain pixels are stored as `raw_codec`."""
        dtype = payload.dtype.newbyteorder("<")
        if payload.codec is Codec.NONE:
            return cls(payload.shape, dtype, raw_codec, filter_for(raw_codec, dtype))
        return cls(payload.shape, dtype, payload.codec, filter_of(payload))

    def takes(self, payload: Payload) -> bool:
        """Can the bytes of `payload` be a chunk as they are?"""
        return payload.codec is self.codec and payload.dtype == self.dtype


class Scratch:
    """Memory for unpacking one image at a time, kept for the next one."""

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)

    def image(self, shape: tuple[int, int], dtype: np.dtype[np.generic]) -> npt.NDArray[np.generic]:
        """An array [y, x] with the content of the last use; the next call takes it back."""
        n_bytes = shape[0] * shape[1] * dtype.itemsize
        if self._bytes.size < n_bytes:
            self._bytes = np.empty(n_bytes, np.uint8)
        return self._bytes[:n_bytes].view(dtype).reshape(shape)


class ImageDataset:
    """A growing dataset of images with a handle that stays open until `close`.

    The extent is exact only after `finish` or `cut`.
    """

    def __init__(
        self,
        parent: h5py.Group,
        name: str,
        image_format: ImageFormat,
        *,
        scratch: Scratch | None = None,
        checksums: RowChecksums | None = None,
        driver: Driver | None = None,
    ) -> None:
        """`checksums`, if given, gets that of every chunk that is stored. `driver`: of the file, if it is not
        HDF5's own."""
        self._driver = driver
        self.format = image_format
        self.checksums = checksums
        self.n_written = 0
        self.end_row = 0
        """One behind the last row that holds an image."""
        self._label = f"{parent.name.rstrip('/')}/{name}"
        self._scratch = scratch if scratch is not None else Scratch()
        self._n_rows = 0
        self._written = Bits()
        self._parent, self._name = parent.id, name.encode("ascii")
        with storage_faults(f"cannot create {self._label}"):
            self._id = _create(self._parent, self._name, image_format)

    def has(self, row: int) -> bool:
        """Does `row` hold an image?"""
        return row in self._written

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Rows that hold an image, as ranges with both ends included."""
        rows = self._written.indices(self.end_row)
        ends = np.flatnonzero(np.diff(rows, prepend=-2, append=-2) != 1).tolist() if rows.size else []
        for first, stop in itertools.pairwise(ends):
            yield int(rows[first]), int(rows[stop - 1])

    def written_rows(self) -> npt.NDArray[np.bool_]:
        """Which rows hold an image. [end_row]"""
        return self._written.block(0, self.end_row)

    def write(self, row: int, payload: Payload, stored: StoredAs | None = None) -> int:
        """Store an image, whose framing was checked, at `row`; returns the bytes stored.

        `stored` is called when the chunk is in the file.

        The bytes go to the file as they are, without a copy, unless codec or byte order are not the
        dataset's: then they are packed anew. Raises PayloadError (image skipped) if shape or pixel type are
        not the dataset's or the image cannot be unpacked, StorageError if the file cannot take it.
        """
        data = self._as_stored(payload)
        self._store(row, data, stored)
        return len(data)

    def takes(self, payload: Payload) -> bool:
        """Is `payload` stored as it is?"""
        return payload.shape == self.format.shape and self.format.takes(payload)

    def make_room(self, row: int) -> int:
        """See that `row` is within the extent; the dataset's identifier for HDF5. Raises StorageError."""
        if row >= self._n_rows:
            self._set_extent((row // STEP_ROWS + 1) * STEP_ROWS)
        return int(self._id.id)

    def was_written(self, row: int, data: memoryview) -> None:
        """The chunk `data` is in the file at `row`, within the extent."""
        self._note_checksum(row, data)
        self._enter(row)

    def look_again(self) -> None:
        """Somebody could not write a chunk. Raises StorageError."""
        self._reopen()

    def compare(self, row: int, payload: Payload) -> Likeness:
        """A payload, its framing not checked, with the chunk that was stored at `row`. Raises nothing."""
        if self.checksums is None or row not in self._written:
            return Likeness.UNKNOWN
        try:
            check_framing(payload)
            same = crc32(self._as_stored(payload)) == self.checksums.of(row)
        except PayloadError:
            same = False
        return Likeness.SAME if same else Likeness.DIFFERS

    def adopt(self, row: int, chunk: bytes, stored: StoredAs | None = None) -> None:
        """Store a chunk that was read from a dataset of the same format; `stored` as in `write`.

        Raises StorageError.
        """
        self._store(row, chunk, stored)

    def _store(self, row: int, data: memoryview | bytes, stored: StoredAs | None) -> None:
        self.make_room(row)
        place = self._write_chunk(row, data)
        if stored is not None:
            stored(place, len(data))
        self._enter(row)

    def _enter(self, row: int) -> None:
        self.n_written += row not in self._written
        self._written.add(row)
        self.end_row = max(self.end_row, row + 1)

    def forget(self, row: int) -> None:
        """Count no image at `row`, whatever stands there; at the end of the dataset it will be cut off."""
        self._forget(row, row + 1)

    def place(self, row: int) -> int:
        """Offset of the chunk of `row` in the file: a walk over all chunks. Raises StorageError."""
        with storage_faults(f"cannot find row {row} of {self._label}"):
            return int(self._id.get_chunk_info_by_coord((row, 0, 0)).byte_offset)

    def erase(self, row: int) -> None:
        """Take the image at `row` back: fill values take its place. Raises StorageError."""
        self._write_chunk(row, fill_chunk(self.format))
        self._forget(row, row + 1)

    def finish(self, n_rows: int, *, fill_gaps: bool, first_image_nr: int = 1) -> int:
        """Bring the dataset to exactly `n_rows` rows; returns the bytes stored for rows without an image.

        `fill_gaps` stores a chunk of fill values for each of them (XDS' neggia ends at an absent chunk). The
        attributes `image_nr_low` and `image_nr_high` (both included) count from `first_image_nr`.
        Raises StorageError.
        """
        self._cut_to(n_rows)
        n_bytes = self._fill() if fill_gaps else 0
        self._number(first_image_nr, n_rows)
        return n_bytes

    def cut(self) -> int:
        """After a failed write: drop the rows behind the last image; returns the rows left.

        A row whose write failed otherwise stays in the extent and reads as an image.
        After `close` nothing is done. Raises StorageError.
        """
        if self._id is not None:
            self._cut_to(self.end_row)
        return self._n_rows

    def close(self) -> None:
        """Let go of the HDF5 handle."""
        self._id = self._parent = None

    def _as_stored(self, payload: Payload) -> memoryview | bytes:
        if self.takes(payload):
            return payload.data
        return self._repacked(payload)

    def _repacked(self, payload: Payload) -> memoryview | bytes:
        self._check_pixels(payload)
        native = self.format.dtype.newbyteorder("=")
        pixels = decompress(payload, self._scratch.image(payload.shape, native))
        stored = pixels.astype(self.format.dtype, copy=False)
        return stored.data.cast("B") if self.format.filter is None else encode(stored, self.format.filter)

    def _check_pixels(self, payload: Payload) -> None:
        if payload.shape != self.format.shape:
            text = f"{self._label}: an image of {payload.shape}; expected {self.format.shape}"
            raise PayloadError("wrong_shape", text)
        if payload.dtype.newbyteorder("<") != self.format.dtype:
            text = f"{self._label}: an image of {payload.dtype.name}; expected {self.format.dtype.name}"
            raise PayloadError("wrong_dtype", text)

    def _write_chunk(self, row: int, data: memoryview | bytes) -> int:
        """Its place in the file; -1 if it is not known."""
        failure = None
        place = NOWHERE
        try:
            with phil:
                if self._driver is not None:
                    self._driver.watch(np.frombuffer(data, np.uint8))
                try:
                    self._id.write_direct_chunk((row, 0, 0), data, 0)
                finally:
                    if self._driver is not None:
                        place = self._driver.found()
        except STORAGE_FAULTS as error:
            failure = storage_error(error, f"cannot write row {row} of {self._label}")
        if failure is not None:
            self._reopen()
            raise failure
        self._note_checksum(row, data)
        return place

    def _note_checksum(self, row: int, data: memoryview | bytes) -> None:
        if self.checksums is not None:
            self.checksums.set(row, crc32(data))

    def _reopen(self) -> None:
        """Make HDF5 forget a chunk that it could not write.

        HDF5 keeps the place of the last chunk also when writing it failed, without entering it in the index.
        Shrinking the dataset then removes the chunk of the row before (seen with HDF5 2.0), and a second
        attempt writes to a place that no index knows.
        """
        self._id = None
        with storage_faults(f"cannot open {self._label} again"):
            self._id = h5py.h5d.open(self._parent, self._name)

    def _set_extent(self, n_rows: int) -> None:
        with storage_faults(f"cannot bring {self._label} to {n_rows} rows"):
            self._id.set_extent((n_rows, *self.format.shape))
        self._n_rows = n_rows

    def _cut_to(self, n_rows: int) -> None:
        self._set_extent(n_rows)
        self._forget(n_rows, self.end_row)

    def _forget(self, start: int, stop: int) -> None:
        for row in range(start, stop):
            self.n_written -= row in self._written
            self._written.discard(row)
        if start < self.end_row <= stop:
            self.end_row = self._end_below(start)

    def _end_below(self, stop: int) -> int:
        """One behind the last row below `stop` that holds an image."""
        for start in range(stop - stop % BLOCK_ROWS, -1, -BLOCK_ROWS):
            rows = np.flatnonzero(self._written.block(start, min(start + BLOCK_ROWS, stop)))
            if rows.size:
                return start + int(rows[-1]) + 1
        return 0

    def _fill(self) -> int:
        if self.n_written == self._n_rows:
            return 0
        chunk = fill_chunk(self.format)
        n_gaps = 0
        for n_gaps, row in enumerate(self._gaps(), 1):  # noqa: B007 counts
            self._write_chunk(row, chunk)
        return n_gaps * len(chunk)

    def _gaps(self) -> Iterator[int]:
        for start in range(0, self._n_rows, BLOCK_ROWS):
            stop = min(start + BLOCK_ROWS, self._n_rows)
            yield from (start + np.flatnonzero(~self._written.block(start, stop))).tolist()

    def _number(self, first_image_nr: int, n_rows: int) -> None:
        with storage_faults(f"cannot number the images of {self._label}"):
            fields.attributes(
                h5py.Dataset(self._id),
                image_nr_low=min(first_image_nr, LAST_IMAGE_NR),
                image_nr_high=min(first_image_nr + n_rows - 1, LAST_IMAGE_NR),
            )


def fill_chunk(image_format: ImageFormat) -> memoryview | bytes:
    """The chunk of an image that never came: every pixel is the fill value."""
    if image_format.filter is None:
        return _fill_pixels(image_format.shape, image_format.dtype).data.cast("B")
    return _packed_fill_chunk(image_format.shape, image_format.dtype, image_format.filter)


@lru_cache(maxsize=4)
def _packed_fill_chunk(shape: tuple[int, int], dtype: np.dtype[np.generic], filter_: Filter) -> bytes:
    return encode(_fill_pixels(shape, dtype), filter_)


def _fill_pixels(shape: tuple[int, int], dtype: np.dtype[np.generic]) -> npt.NDArray[np.generic]:
    return np.full(shape, fill_value(dtype), dtype)


def _create(parent: h5py.h5g.GroupID, name: bytes, image_format: ImageFormat) -> h5py.h5d.DatasetID:
    shape = image_format.shape
    chunk_bytes = shape[0] * shape[1] * image_format.dtype.itemsize
    if not 0 < chunk_bytes <= MAX_CHUNK_BYTES:
        raise ValueError(f"images of {chunk_bytes} bytes; HDF5 stores 1 to {MAX_CHUNK_BYTES} in a chunk")
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk((1, *shape))
    creation.set_alloc_time(h5py.h5d.ALLOC_TIME_INCR)
    creation.set_fill_time(h5py.h5d.FILL_TIME_IFSET)
    creation.set_fill_value(np.full((), fill_value(image_format.dtype), image_format.dtype))
    creation.set_obj_track_times(False)
    if image_format.filter is not None:
        # Mandatory: an optional filter that fails stores the chunk unpacked under a filter mask, and
        # neggia and durin ignore the mask.
        creation.set_filter(
            image_format.filter.filter_id, h5py.h5z.FLAG_MANDATORY, image_format.filter.options
        )
    space = h5py.h5s.create_simple((0, *shape), (h5py.h5s.UNLIMITED, *shape))
    file_type = h5py.h5t.py_create(image_format.dtype, logical=True)
    return h5py.h5d.create(parent, name, file_type, space, dcpl=creation)
