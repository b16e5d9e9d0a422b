"""Virtual datasets: one dataset of the master over the same dataset of every data file. Writer thread only.

Each data file is one mapping from its whole dataset to its block of rows, set by h5py's low-level calls and
with the dataspaces shared between datasets: 60 datasets over 1000 files take well below a second.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from types import MappingProxyType

import h5py
import numpy as np

from jfwriter.hdf5.dataset_calls import NewDataset, begin_again, fail_again, make_datasets
from jfwriter.hdf5.pieces import Pieces
from jfwriter.hdf5.plugin import StoredDataset
from jfwriter.nexus import fields
from jfwriter.session.plan import RunPlan

_IMAGES = ("/entry/data/", "/entry/channels/")

MAPPINGS_TOGETHER = 8192
"""Datasets are made together until they have so many mappings, of about 4 kB each in memory."""

_SpacePair = tuple[h5py.h5s.SpaceID, h5py.h5s.SpaceID]
"""Of one source: its block of rows in the virtual dataset, and the rows of the source."""


@dataclass(frozen=True, slots=True)
class _Source:
    """Rows `first_row` and on of a file with `n_source_rows` rows, for `n_rows` rows of the run."""

    name: bytes
    file_index: int
    first_image: int
    n_rows: int
    first_row: int
    n_source_rows: int
    paths: Collection[str] | None = None
    """Per-image datasets of a file of several; None: as told of the whole data file."""


class VirtualDatasets:
    """Makes the virtual datasets of one run of `n_images` images, over data files that may not exist yet.

    Sources are named by base name: HDF5 finds them beside the master. A source that is missing, or lacks
    the dataset, reads as the fill value.
    """

    def __init__(
        self, plan: RunPlan, n_images: int, pieces: Pieces = MappingProxyType({}), data_directory: str = ""
    ) -> None:
        """`pieces`: of the data files that are not whole, or not where the others are, in `data_directory`
        (empty: beside the master)."""
        self._n_images = n_images
        self._sources = [
            source
            for k in range(plan.n_files(n_images))
            for source in _sources(plan, k, n_images, pieces, data_directory)
        ]
        self._spaces: dict[tuple[int, ...], list[_SpacePair]] = {}
        self._creations: dict[tuple[np.dtype[np.generic], bytes], h5py.h5p.PropDCID] = {}
        """By type and fill value."""
        self._waiting: list[NewDataset] = []

    def add(
        self, parent: h5py.Group, name: str, stored: StoredDataset, without: Collection[int] = ()
    ) -> None:
        """Dataset `name` (n_images, *row_shape) below `parent`, over the datasets `stored.path` of all files.
        It is in the file after `write` at the latest.

        Type, fill value and attributes are those of `stored`. Rows of the files `without` it are not mapped
        and read as the fill value.
        """
        creation = self._creation(stored).copy()
        path = _source_name(stored.path)
        set_virtual = creation.set_virtual
        spaces = self._spaces.get(stored.row_shape)
        if spaces is None:
            spaces = self._spaces[stored.row_shape] = self._make_spaces(stored.row_shape)
        for source, (target_space, source_space) in zip(self._sources, spaces, strict=True):
            is_image = stored.path.startswith(_IMAGES)
            if source.paths is None:
                is_held = source.file_index not in without
            else:
                is_held = is_image or stored.path in source.paths
            if is_held:
                set_virtual(target_space, source.name, path, source_space)
        shape = (self._n_images, *stored.row_shape)
        kind, attributes = fields.file_type(stored.dtype), tuple(stored.attributes.items())
        self._waiting.append(NewDataset(parent.id, name, kind, creation, shape, None, attributes))
        if len(self._waiting) * len(self._sources) >= MAPPINGS_TOGETHER:
            self.write()

    def write(self) -> None:
        """Make what was added."""
        waiting, self._waiting = self._waiting, []
        n_made, begun = make_datasets(waiting)
        if n_made < len(waiting):
            failed = waiting[n_made]
            fail_again(begin_again(failed, begun), failed)

    def _creation(self, stored: StoredDataset) -> h5py.h5p.PropDCID:
        """To be copied: making a fill value takes longer than that."""
        if stored.sentinel is None:  # a fill value of a string type is stored as garbage
            return fields.new_creation()
        fill = np.asarray(stored.sentinel, dtype=stored.dtype)
        key = (stored.dtype, fill.tobytes())
        found = self._creations.get(key)
        if found is None:
            found = self._creations[key] = fields.new_creation()
            found.set_fill_value(fill)
        return found

    def _make_spaces(self, row_shape: tuple[int, ...]) -> list[_SpacePair]:
        spaces = []
        for source in self._sources:
            target = h5py.h5s.create_simple((self._n_images, *row_shape))
            _select(target, source.first_image, source.n_rows, row_shape)
            rows = h5py.h5s.create_simple((source.n_source_rows, *row_shape))
            if source.n_rows != source.n_source_rows:
                _select(rows, source.first_row, source.n_rows, row_shape)
            spaces.append((target, rows))
        return spaces


def _sources(
    plan: RunPlan, file_index: int, n_images: int, pieces: Pieces, data_directory: str
) -> Iterator[_Source]:
    first_image = file_index * plan.images_per_file
    n_rows = plan.rows_in_file(file_index, n_images)
    if file_index not in pieces:
        name = _source_name(data_directory + plan.data_file_name(file_index))
        yield _Source(name, file_index, first_image, n_rows, 0, n_rows)
        return
    for piece in pieces[file_index]:
        for first, last in piece.rows:
            yield _Source(
                _source_name(piece.name),
                file_index,
                first_image + first,
                last - first + 1,
                first,
                piece.n_rows,
                piece.paths,
            )


def _select(space: h5py.h5s.SpaceID, first: int, n_rows: int, row_shape: tuple[int, ...]) -> None:
    ones = (1,) * (1 + len(row_shape))
    space.select_hyperslab((first, *(0 for _ in row_shape)), ones, block=(n_rows, *row_shape))


def _source_name(name: str) -> bytes:
    """File or dataset name of a source: HDF5 reads "%b" as a block number, and "%%" as the sign itself."""
    return name.replace("%", "%%").encode()
