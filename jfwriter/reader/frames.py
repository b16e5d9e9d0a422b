"""Images of any HDF5 data set [n, y, x], as arrays or as they are packed in the file."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.errors import StorageUnavailable, UsageError
from jfwriter.reader import guard
from jfwriter.reader.fields import short
from jfwriter.reader.nodes import find
from jfwriter.reader.stored import stored_codec


class FrameFile:
    """A data set of images: `n_frames`, `shape` (height, width), native `dtype`, `codec` of its chunks.

    A data set [y, x] is one image. `codec` is None where no chunk can be handed out as it is stored.
    Raises UsageError if the data set is no stack of images, StorageUnavailable if the file cannot be opened.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._name = f"{path}:{name}"
        try:
            self._file = guard.open_file(path)
        except (OSError, guard.Unsafe) as error:
            raise StorageUnavailable(f"{path}: cannot be opened as HDF5: {short(error)}") from error
        try:
            self._dataset = self._find(name)
        except BaseException:
            self._file.close()
            raise
        self.n_frames: int = self._dataset.shape[0] if self._dataset.ndim == 3 else 1
        self.shape: tuple[int, int] = self._dataset.shape[-2:]
        self.dtype = self._dataset.dtype.newbyteorder("=")
        self.codec = stored_codec(self._dataset) if self._dataset.dtype.isnative else None

    def pixels(self, number: int) -> npt.NDArray[np.generic]:
        """Image `number` in native byte order. [y, x]. Raises StorageUnavailable if it cannot be read."""
        try:
            guard.check(self._dataset, number if self._dataset.ndim == 3 else None)
            image = self._dataset[number] if self._dataset.ndim == 3 else self._dataset[()]
        except (OSError, IndexError, ValueError, MemoryError) as error:
            raise StorageUnavailable(f"{self._name}: image {number}: {short(error)}") from error
        return np.asarray(image, self.dtype)

    def chunk(self, number: int) -> bytes:
        """Image `number` as it is stored. Raises StorageUnavailable if it has no chunk behind the filter."""
        try:
            filter_mask, data = self._dataset.id.read_direct_chunk((number, 0, 0))
        except (OSError, RuntimeError) as error:
            raise StorageUnavailable(f"{self._name}: image {number} has no chunk: {short(error)}") from error
        if filter_mask:
            raise StorageUnavailable(f"{self._name}: image {number} is stored without its filter")
        return bytes(data)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> FrameFile:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def _find(self, name: str) -> h5py.Dataset:
        dataset = find(self._file, name)
        if dataset is None:
            raise UsageError(
                f"{self._name}: no such data set in this file (links to others are not followed)"
            )
        if not isinstance(dataset, h5py.Dataset) or dataset.ndim not in {2, 3} or 0 in dataset.shape:
            raise UsageError(f"{self._name}: expected images [n, y, x] or [y, x], got {dataset}")
        if dataset.dtype.kind not in "iuf":
            raise UsageError(f"{self._name}: expected integers or floats, got {dataset.dtype}")
        return dataset
