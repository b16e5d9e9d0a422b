"""`/entry/reflections/image_NNNNNN` (NXreflections): the integrated reflections of each image that has any.

These are lists of any length and not rows of a table, so they go to the file as they come: nothing is held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import h5py
import numpy as np

from jfwriter.hdf5.faults import storage_faults
from jfwriter.hdf5.plugin import FileRows, Pixels, StoredDataset
from jfwriter.nexus import fields
from jfwriter.plugins.values import Array, fitted
from jfwriter.wire.messages import ImageMessage

GROUP = "/entry/reflections"

F4, I4 = np.dtype("f4"), np.dtype("i4")

COLUMNS: tuple[tuple[str, str, np.dtype[np.generic], str | None], ...] = (
    ("h", "h", I4, None),
    ("k", "k", I4, None),
    ("l", "l", I4, None),
    ("d", "d", F4, "Angstrom"),
    ("I", "int_sum", F4, "photons"),
    ("sigma", "int_err", F4, "photons"),
    ("bkg", "background_mean", F4, "photons"),
    ("x", "predicted_x", F4, "pixel"),
    ("y", "predicted_y", F4, "pixel"),
    ("obs_x", "observed_x", F4, "pixel"),
    ("obs_y", "observed_y", F4, "pixel"),
    ("image", "observed_frame", F4, None),
    ("lp", "lp", F4, None),
    ("partiality", "partiality", F4, None),
    ("delta_phi", "delta_phi", F4, "deg"),
    ("zeta", "zeta", F4, None),
    ("image_scale_corr", "image_scale_corr", F4, None),
)
"""Column of the message, dataset `[r]`, type, unit. Holes are NaN (0 in integers)."""


@dataclass(frozen=True, slots=True)
class Reflections:
    """Columns of the reflections of one image, by the message's names."""

    image_id: int
    columns: Mapping[str, Array]


class ColumnWriter:
    """Writes vectors with their units. It makes the HDF5 types and spaces that all images share only once:
    up to 17 datasets for each image, and making these objects anew is two thirds of their cost.
    """

    def __init__(self) -> None:
        self._creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        self._creation.set_obj_track_times(False)
        self._scalar = h5py.h5s.create(h5py.h5s.SCALAR)
        self._types: dict[np.dtype[np.generic], h5py.h5t.TypeID] = {
            dtype: fields.file_type(dtype) for dtype in (F4, I4)
        }
        self._units = {
            units: (fields.text_type(len(units) + 1), np.asarray(units.encode(), f"S{len(units) + 1}"))
            for _, _, _, units in COLUMNS
            if units is not None
        }

    def write(self, group: h5py.h5g.GroupID, columns: list[tuple[str, Array, str | None]]) -> None:
        space = h5py.h5s.create_simple((columns[0][1].size,))
        for name, values, units in columns:
            kind = self._types[values.dtype]
            dataset = h5py.h5d.create(group, name.encode(), kind, space, self._creation)
            dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(values), mtype=kind)
            if units is not None:
                text_type, text = self._units[units]
                h5py.h5a.create(dataset, b"units", text_type, self._scalar).write(text, mtype=text_type)


class ReflectionsPlugin:
    """Stores the reflections of the image message."""

    name = "reflections"
    needs_pixels = False
    takes_cells = False

    def row(self, image: ImageMessage, pixels: Pixels | None) -> object:
        del pixels
        if not image.reflections:
            return None
        return Reflections(image.image_id, image.reflections)

    def open_file(self, entry: h5py.Group, capacity: int) -> FileRows:
        del capacity
        return ReflectionGroups(entry)

    def configured(self) -> tuple[StoredDataset, ...]:
        return ()


class ReflectionGroups:
    """The groups of one file, named by the image's number in the run. Writer thread only."""

    def __init__(self, entry: h5py.Group) -> None:
        self.problems: Counter[str] = Counter()
        self.image_groups: dict[int, str] = {}
        self._entry = entry
        self._parent: h5py.Group | None = None
        self._writer = ColumnWriter()

    def append(self, index: int, row: object) -> None:
        del index
        assert isinstance(row, Reflections)  # noqa: S101 what ReflectionsPlugin.row made
        columns = self._usable(row.columns)
        n_reflections = max((values.size for _, values, _ in columns), default=0)
        columns = [column for column in columns if self._has_length(column, n_reflections)]
        if n_reflections == 0 or row.image_id in self.image_groups:
            return
        name = f"image_{row.image_id:06d}"
        with storage_faults(f"cannot write {GROUP}/{name}"):
            if self._parent is None:
                self._parent = fields.collection(self._entry, "reflections")
            group = fields.group(self._parent, name, "NXreflections")
            self._writer.write(group.id, columns)
        self.image_groups[row.image_id] = f"{GROUP}/{name}"

    def finish(self, n_rows: int) -> tuple[StoredDataset, ...]:
        del n_rows
        return ()

    def _usable(self, columns: Mapping[str, Array]) -> list[tuple[str, Array, str | None]]:
        usable = []
        for source, dataset, dtype, units in COLUMNS:
            values = columns.get(source)
            if values is None:
                continue
            if values.ndim != 1:
                self.problems[f"{GROUP}/{dataset}"] += 1
                continue
            stored, n_bad = fitted(values, dtype, 0 if dtype.kind == "i" else np.nan)
            if n_bad:
                self.problems[f"{GROUP}/{dataset}"] += n_bad
            usable.append((dataset, stored, units))
        return usable

    def _has_length(self, column: tuple[str, Array, str | None], n_reflections: int) -> bool:
        if column[1].size == n_reflections:
            return True
        self.problems[f"{GROUP}/{column[0]}"] += 1
        return False
