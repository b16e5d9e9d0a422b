"""The images of a finished run through its master, as a user would read them."""

from __future__ import annotations

import bisect
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.compression import filters  # noqa: F401 registers the HDF5 filters
from jfwriter.errors import StorageUnavailable
from jfwriter.reader.contents import IMAGES
from jfwriter.reader.fields import TROUBLE, short
from jfwriter.reader.outcome import RunOutcome, read_outcome


class RunImages:
    """Images by number, through the virtual data set, the links or the one data set of the master.

    Raises StorageUnavailable if the file is no master or cannot be read. Belongs to one thread.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        try:
            self._file = h5py.File(self._path, "r")
        except OSError as error:
            raise StorageUnavailable(f"{path}: cannot be read: {short(error)}") from error
        try:
            self._datasets = self._open()
        except TROUBLE as error:
            self._file.close()
            raise StorageUnavailable(f"{path}: its images cannot be read: {short(error)}") from error
        self._ends = list(accumulate(len(dataset) for dataset in self._datasets))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def image(self, image_id: int) -> npt.NDArray[np.generic]:
        """Pixels [y, x] of an image. Raises StorageUnavailable if it is not there or cannot be read."""
        dataset, row = self.place(image_id)
        try:
            return np.asarray(dataset[row])
        except TROUBLE as error:
            raise StorageUnavailable(f"{self._path}: image {image_id}: {short(error)}") from error

    @cached_property
    def outcome(self) -> RunOutcome:
        """The verdict, and what became of each image."""
        return read_outcome(self._file)

    def place(self, image_id: int) -> tuple[h5py.Dataset, int]:
        """The data set that holds an image, in the file where its results stand too, and the image's row.

        Raises StorageUnavailable if the run has no such image.
        """
        if not 0 <= image_id < len(self):
            raise StorageUnavailable(f"{self._path}: image {image_id}: the run has {len(self)} images")
        which = bisect.bisect_right(self._ends, image_id)
        return self._datasets[which], image_id - (self._ends[which - 1] if which else 0)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> RunImages:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> list[h5py.Dataset]:
        if IMAGES in self._file:
            return [self._file[IMAGES]]
        group = self._file["/entry/data"]
        return [group[name] for name in sorted(group) if name.startswith("data_")]
