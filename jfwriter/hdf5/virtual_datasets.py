"""Virtual datasets: one dataset of the master over the same dataset of every data file. Writer thread only.

Each data file is one mapping from its whole dataset to its block of rows, set by h5py's low-level calls and
with the dataspaces shared between datasets: 60 datasets over 1000 files take well below a second.
"""

from __future__ import annotations

from collections.abc import Collection

import h5py
import numpy as np

from jfwriter.hdf5.plugin import StoredDataset
from jfwriter.nexus import fields
from jfwriter.session.plan import RunPlan

_SpacePair = tuple[h5py.h5s.SpaceID, h5py.h5s.SpaceID]
"""Of one file: its block of rows in the virtual dataset, and the whole of the source."""


class VirtualDatasets:
    """Makes the virtual datasets of one run of `n_images` images, over data files that may not exist yet.

    Sources are named by base name: HDF5 finds them beside the master. A source that is missing, or lacks
    the dataset, reads as the fill value.
    """

    def __init__(self, plan: RunPlan, n_images: int) -> None:
        self._n_images = n_images
        n_files = plan.n_files(n_images)
        self._sources = [_source_name(plan.data_file_name(k)) for k in range(n_files)]
        self._rows = [plan.rows_in_file(k, n_images) for k in range(n_files)]
        self._spaces: dict[tuple[int, ...], list[_SpacePair]] = {}

    def add(
        self, parent: h5py.Group, name: str, stored: StoredDataset, without: Collection[int] = ()
    ) -> h5py.Dataset:
        """Dataset `name` (n_images, *row_shape) below `parent`, over the datasets `stored.path` of all files.

        Type, fill value and attributes are those of `stored`. Rows of the files `without` it are not mapped
        and read as the fill value.
        """
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        if stored.sentinel is not None:  # a fill value of a string type is stored as garbage
            creation.set_fill_value(np.asarray(stored.sentinel, dtype=stored.dtype))
        path = _source_name(stored.path)
        set_virtual = creation.set_virtual
        spaces = self._spaces.get(stored.row_shape)
        if spaces is None:
            spaces = self._spaces[stored.row_shape] = self._make_spaces(stored.row_shape)
        for file_index, (target_space, source_space) in enumerate(spaces):
            if file_index not in without:
                set_virtual(target_space, self._sources[file_index], path, source_space)
        shape = (self._n_images, *stored.row_shape)
        dataset = h5py.Dataset(
            fields.new_dataset(parent, name, fields.file_type(stored.dtype), shape, creation)
        )
        for key, value in stored.attributes.items():
            fields.attribute(dataset, key, value)
        return dataset

    def _make_spaces(self, row_shape: tuple[int, ...]) -> list[_SpacePair]:
        spaces = []
        first = 0
        for n_rows in self._rows:
            target = h5py.h5s.create_simple((self._n_images, *row_shape))
            target.select_hyperslab(
                (first, *(0 for _ in row_shape)),
                (1,) * (1 + len(row_shape)),
                block=(n_rows, *row_shape),
            )
            spaces.append((target, h5py.h5s.create_simple((n_rows, *row_shape))))
            first += n_rows
        return spaces


def _source_name(name: str) -> bytes:
    """File or dataset name of a source: HDF5 reads "%b" as a block number, and "%%" as the sign itself."""
    return name.replace("%", "%%").encode()
