"""One image dataset `[n, y, x]` of a data file: chunks as they came, rows in any order. Writer thread only.

Layout: `docs/reference/layout.md`, "Image dataset". One chunk per image, at most one filter, chunks of one
codec: neggia and durin ignore the filter mask and take every chunk for what the filter says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.compression import decompress
from jfwriter.compression.filters import Filter, filter_for, filter_of
from jfwriter.compression.pipeline import encode
from jfwriter.errors import PayloadError
from jfwriter.hdf5.faults import STORAGE_FAULTS, storage_error, storage_faults
from jfwriter.payload import Codec, Payload

MAX_CHUNK_BYTES = (1 << 32) - 1
"""HDF5 keeps the size of a chunk in 32 bits."""

MIN_EXTENSION_ROWS = 64


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


def image_fill_value(dtype: np.dtype[np.generic]) -> np.generic:
    """Value of pixels that were never measured: smallest signed, largest unsigned integer, NaN."""
    if dtype.kind == "f":
        return dtype.type(np.nan)
    n_bits = 8 * dtype.itemsize
    return dtype.type(-(1 << n_bits - 1) if dtype.kind == "i" else (1 << n_bits) - 1)


class ImageDataset:
    """A growing dataset of images with a handle that stays open until `close`.

    `capacity`: planned rows (0: unknown). The final extent is exact only after `finish` or `cut`.
    """

    def __init__(
        self,
        parent: h5py.Group,
        name: str,
        image_format: ImageFormat,
        *,
        capacity: int = 0,
        scratch: Scratch | None = None,
    ) -> None:
        self.format = image_format
        self.n_written = 0
        self._label = f"{parent.name.rstrip('/')}/{name}"
        self._scratch = scratch if scratch is not None else Scratch()
        self._written = bytearray(capacity)
        """One byte per row of the extent: 1 where a chunk stands."""
        with storage_faults(f"cannot create {self._label}"):
            self._id = _create(parent.id, name, image_format, capacity)

    @property
    def end_row(self) -> int:
        """One behind the last row that holds an image."""
        return self._written.rfind(1) + 1

    def has(self, row: int) -> bool:
        """Does `row` hold an image?"""
        return row < len(self._written) and self._written[row] == 1

    def write(self, row: int, payload: Payload) -> int:
        """Store an image, whose framing was checked, at `row`; returns the bytes stored.

        The bytes go to the file as they are, without a copy, unless codec or byte order are not the
        dataset's: then they are packed anew. Raises PayloadError (image skipped) if shape or pixel type are
        not the dataset's or the image cannot be unpacked, StorageError if the file cannot take it.
        """
        data: memoryview | bytes = payload.data
        if payload.shape != self.format.shape or not self.format.takes(payload):
            data = self._repacked(payload)
        if row >= len(self._written):
            self._extend(row)
        n_bytes = self._write_chunk(row, data)
        self.n_written += 1 - self._written[row]
        self._written[row] = 1
        return n_bytes

    def erase(self, row: int) -> None:
        """Take the image at `row` back: fill values take its place. Raises StorageError."""
        self._write_chunk(row, fill_chunk(self.format))
        self.n_written -= self._written[row]
        self._written[row] = 0

    def finish(self, n_rows: int, *, fill_gaps: bool, first_image_nr: int = 1) -> int:
        """Bring the dataset to exactly `n_rows` rows; returns the bytes stored for rows without an image.

        `fill_gaps` stores a chunk of fill values for each of them (XDS' neggia ends at an absent chunk). The
        attributes `image_nr_low` and `image_nr_high` (both included) count from `first_image_nr`.
        Raises StorageError.
        """
        self._set_extent(n_rows)
        n_bytes = self._fill() if fill_gaps else 0
        self._number(first_image_nr, n_rows)
        return n_bytes

    def cut(self) -> int:
        """After a failed write: drop the rows behind the last image; returns the rows left.

        A row whose write failed otherwise stays in the extent and reads as an image.
        Raises StorageError.
        """
        self._set_extent(self.end_row)
        return len(self._written)

    def close(self) -> None:
        """Let go of the HDF5 handle."""
        self._id = None

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
        failure = None
        try:
            self._id.write_direct_chunk((row, 0, 0), data, 0)
        except STORAGE_FAULTS as error:
            failure = storage_error(error, f"cannot write row {row} of {self._label}")
        if failure is not None:
            raise failure
        return len(data)

    def _extend(self, row: int) -> None:
        """Room for `row` and, so that extending stays rare, as much again as there is."""
        self._set_extent(max(row + 1, 2 * len(self._written), MIN_EXTENSION_ROWS))

    def _set_extent(self, n_rows: int) -> None:
        with storage_faults(f"cannot bring {self._label} to {n_rows} rows"):
            self._id.set_extent((n_rows, *self.format.shape))
        self.n_written -= self._written.count(1, n_rows)
        del self._written[n_rows:]
        self._written.extend(bytes(n_rows - len(self._written)))

    def _fill(self) -> int:
        n_bytes = 0
        row = self._written.find(0)
        chunk = fill_chunk(self.format) if row >= 0 else b""
        while row >= 0:
            n_bytes += self._write_chunk(row, chunk)
            row = self._written.find(0, row + 1)
        return n_bytes

    def _number(self, first_image_nr: int, n_rows: int) -> None:
        with storage_faults(f"cannot number the images of {self._label}"):
            attributes = h5py.Dataset(self._id).attrs
            attributes.create("image_nr_low", first_image_nr, dtype="<i4")
            attributes.create("image_nr_high", first_image_nr + n_rows - 1, dtype="<i4")


def fill_chunk(image_format: ImageFormat) -> memoryview | bytes:
    """The chunk of an image that never came: every pixel is the fill value."""
    if image_format.filter is None:
        return _fill_pixels(image_format.shape, image_format.dtype).data.cast("B")
    return _packed_fill_chunk(image_format.shape, image_format.dtype, image_format.filter)


@lru_cache(maxsize=4)
def _packed_fill_chunk(shape: tuple[int, int], dtype: np.dtype[np.generic], filter_: Filter) -> bytes:
    return encode(_fill_pixels(shape, dtype), filter_)


def _fill_pixels(shape: tuple[int, int], dtype: np.dtype[np.generic]) -> npt.NDArray[np.generic]:
    return np.full(shape, image_fill_value(dtype), dtype)


def _create(
    parent: h5py.h5g.GroupID, name: str, image_format: ImageFormat, n_rows: int
) -> h5py.h5d.DatasetID:
    shape = image_format.shape
    chunk_bytes = shape[0] * shape[1] * image_format.dtype.itemsize
    if not 0 < chunk_bytes <= MAX_CHUNK_BYTES:
        raise ValueError(f"images of {chunk_bytes} bytes; HDF5 stores 1 to {MAX_CHUNK_BYTES} in a chunk")
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk((1, *shape))
    creation.set_alloc_time(h5py.h5d.ALLOC_TIME_INCR)
    creation.set_fill_time(h5py.h5d.FILL_TIME_IFSET)
    creation.set_fill_value(np.full((), image_fill_value(image_format.dtype), image_format.dtype))
    creation.set_obj_track_times(False)
    if image_format.filter is not None:
        # Mandatory: an optional filter that fails stores the chunk unpacked under a filter mask, and
        # neggia and durin ignore the mask.
        creation.set_filter(
            image_format.filter.filter_id, h5py.h5z.FLAG_MANDATORY, image_format.filter.options
        )
    space = h5py.h5s.create_simple((n_rows, *shape), (h5py.h5s.UNLIMITED, *shape))
    file_type = h5py.h5t.py_create(image_format.dtype, logical=True)
    return h5py.h5d.create(parent, name.encode("ascii"), file_type, space, dcpl=creation)
