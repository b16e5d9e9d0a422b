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
from jfwriter.reader import guard
from jfwriter.reader.contents import IMAGES
from jfwriter.reader.fields import short
from jfwriter.reader.nodes import TROUBLE, Node, find
from jfwriter.reader.outcome import RunOutcome, read_outcome


class RunImages:
    """Images by number, through the virtual data set, the links or the one data set of the master.

    Raises StorageUnavailable if the file is no master or cannot be read. Belongs to one thread.
    """

    def __init__(self, path: str | Path, *, follow: bool = False) -> None:
        """`follow`: read also what the master refers to outside its directory."""
        self._path = Path(path)
        self._follow = follow
        self._others: list[h5py.File] = []
        try:
            self._file = guard.open_file(self._path)
        except (OSError, guard.Unsafe) as error:
            raise StorageUnavailable(f"{path}: cannot be read: {short(error)}") from error
        try:
            self._datasets = self._open()
        except TROUBLE as error:
            self.close()
            raise StorageUnavailable(f"{path}: its images cannot be read: {short(error)}") from error
        self._ends = list(accumulate(len(dataset) for dataset in self._datasets))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def image(self, image_id: int) -> npt.NDArray[np.generic]:
        """Pixels [y, x] of an image. Raises StorageUnavailable if it is not there or cannot be read."""
        dataset, row = self.place(image_id)
        try:
            guard.check(dataset, row, follow=self._follow)
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
        for file in (*self._others, self._file):
            file.close()

    def __enter__(self) -> RunImages:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> list[h5py.Dataset]:
        images = find(self._file, IMAGES)
        if images is not None:
            return [_stack(images, IMAGES)]
        group = find(self._file, "/entry/data")
        if not isinstance(group, h5py.Group):
            raise KeyError("no group /entry/data")
        return [self._linked(group, name) for name in sorted(group) if name.startswith("data_")]

    def _linked(self, group: h5py.Group, name: str) -> h5py.Dataset:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.ExternalLink):
            return _stack(find(self._file, f"/entry/data/{name}"), name)
        file = guard.open_beside(self._path, link.filename, follow=self._follow)
        self._others.append(file)
        return _stack(find(file, link.path), f"{link.filename}: {link.path}")


def _stack(node: Node | None, what: str) -> h5py.Dataset:
    if not isinstance(node, h5py.Dataset) or node.ndim != 3:
        raise KeyError(f"no images [n, y, x] at {what}")
    return node
