"""`/entry/azint`: the azimuthally integrated profile of each image, `[n, n_phi, n_q]`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import cast

import h5py
import numpy as np

from jfwriter.hdf5.faults import storage_faults
from jfwriter.hdf5.plugin import FileRows, Pixels, StoredDataset
from jfwriter.hdf5.rows import RowDataset, RowStorage, finish_rows
from jfwriter.nexus import azint as nexus_azint
from jfwriter.nexus.groups import Groups
from jfwriter.plugins.columns import carries_any, groups_below, open_rows, row_storage
from jfwriter.plugins.profile_rows import put_profiles
from jfwriter.plugins.values import Array, fitted, without_infinite
from jfwriter.session.plan import RunPlan
from jfwriter.wire.messages import ImageMessage
from jfwriter.wire.plain_image import PlainImage

DATASETS = (
    ("image", np.dtype("f4"), np.nan, "az_int_profile"),
    ("image_std", np.dtype("f4"), np.nan, "az_int_profile_std"),
    ("image_count", np.dtype("u4"), 0, "az_int_profile_count"),
)
"""Name below `/entry/azint`, type, sentinel, field of the image message."""

CHUNK_BYTES = 1 << 14
"""Profiles are packed in chunks of at most so many bytes, at least one in each: a filter call for each takes
four times as long as packing it, and larger chunks only make reading a single profile slower."""

BINS = "/entry/azint bins"
"""Counted under this name: tables of bins that do not fit the number of bins."""

_NO_ROWS = tuple(np.empty((0, 0), dtype) for _, dtype, _, _ in DATASETS)
"""Where a profile is absent."""

Shape = tuple[int, int]


class AzintPlugin:
    """Stores the profiles of the image message; a profile of another length than the run's is left out.

    The shape is the start message's; a run that has none takes the length of the first profile that comes.
    """

    name = "azint"
    needs_pixels = False
    takes_cells = False

    def __init__(self, plan: RunPlan) -> None:
        self.plan = plan
        self._promised = nexus_azint.profile_shape(plan.start)
        self._shape = self._promised

    def row(self, image: ImageMessage, pixels: Pixels | None) -> object:
        del pixels
        if isinstance(image, PlainImage):
            mean, std, count = image.profile_spans
            return image if mean[0] >= 0 or std[0] >= 0 or count[0] >= 0 else None
        profiles = (image.az_int_profile, image.az_int_profile_std, image.az_int_profile_count)
        return profiles if carries_any(profiles) else None

    def open_file(self, entry: h5py.Group, capacity: int) -> FileRows:
        return AzintRows(entry, self, capacity)

    def configured(self) -> tuple[StoredDataset, ...]:
        return () if self._promised is None else (stored_profile(0, self._promised),)

    def shape_for(self, profile: Array) -> Shape:
        """(n_phi, n_q) of the run, fixed by `profile` if nothing fixed it before. Writer thread only."""
        if self._shape is None:
            self._shape = (1, profile.size)
        return self._shape


class AzintRows:
    """The profiles of one file. Writer thread only."""

    image_groups: Mapping[int, str] = {}

    def __init__(self, entry: h5py.Group, plugin: AzintPlugin, capacity: int) -> None:
        self.problems: Counter[str] = Counter()
        self._entry = entry
        self._groups = groups_below(entry)
        self._plugin = plugin
        self._storage = row_storage(plugin.plan, capacity)
        self._datasets: list[RowDataset | None] = [None] * len(DATASETS)
        for stored in plugin.configured():
            self._datasets[0] = open_profiles(self._groups, stored, self._storage)
        if not plugin.plan.is_integrated:  # there the master's part brings them
            self._write_bins()

    def append(self, index: int, row: object) -> None:
        if isinstance(row, PlainImage):
            if self._put(index, row):
                return
            row = tuple(row.sent(field) for *_, field in DATASETS)
        for number, values in enumerate(cast("tuple[Array | None, ...]", row)):
            if values is not None:
                self._store(index, number, values)

    def finish(self, n_rows: int) -> tuple[StoredDataset, ...]:
        return finish_rows(((dataset, None) for dataset in self._datasets if dataset is not None), n_rows)

    def _put(self, index: int, image: PlainImage) -> bool:
        """Store profiles that have datasets and fit; False: somebody has to look at each."""
        rows: list[Array] = []
        spans = image.profile_spans
        for dataset, (offset, size), none in zip(self._datasets, spans, _NO_ROWS, strict=True):
            if offset < 0:
                rows.append(none)
            elif dataset is None or size != dataset.row_bytes:
                return False
            else:
                rows.append(dataset.row(index))
        offsets = [offset for offset, _ in spans]
        n_infinite = put_profiles(np.frombuffer(image.source, np.uint8), *offsets, *rows)  # type: ignore[arg-type]
        if n_infinite:
            n_of_std, n_of_mean = divmod(n_infinite, 1 << 32)
            self.problems.update(_named_problems(n_of_mean, n_of_std))
        return True

    def _store(self, index: int, number: int, values: Array) -> None:
        name, dtype, sentinel, _ = DATASETS[number]
        if values.size == 0 or values.dtype.kind not in "biuf":
            self.problems[f"/entry/azint/{name}"] += 1
            return
        shape = self._plugin.shape_for(values)
        if values.size != shape[0] * shape[1]:
            self.problems[f"/entry/azint/{name}"] += 1
            return
        dataset = self._datasets[number]
        if dataset is None:
            stored = stored_profile(number, shape)
            dataset = self._datasets[number] = open_profiles(self._groups, stored, self._storage)
        is_stored_as_sent = values.dtype == dtype and dtype.kind == "f"
        fit = without_infinite(values, sentinel) if is_stored_as_sent else fitted(values, dtype, sentinel)
        fitting, n_bad = fit
        if n_bad:
            self.problems[f"/entry/azint/{name}"] += n_bad
        dataset.row(index)[...] = fitting.reshape(shape)

    def _write_bins(self) -> None:
        warnings: list[str] = []
        with storage_faults("cannot write the bins of /entry/azint"):
            nexus_azint.bins(self._entry, self._plugin.plan.start, warnings)
        if warnings:
            self.problems[BINS] += len(warnings)


def _named_problems(*n_bad: int) -> dict[str, int]:
    """By dataset, of as many of `DATASETS`."""
    return {f"/entry/azint/{DATASETS[i][0]}": n for i, n in enumerate(n_bad) if n}


def stored_profile(number: int, shape: Shape) -> StoredDataset:
    name, dtype, sentinel, _ = DATASETS[number]
    return StoredDataset(f"/entry/azint/{name}", dtype, shape, sentinel)


def open_profiles(groups: Groups, stored: StoredDataset, storage: RowStorage) -> RowDataset:
    """The profiles `stored` of one file, in chunks of `CHUNK_BYTES`. Raises StorageError."""
    row_bytes = stored.dtype.itemsize * math.prod(stored.row_shape)
    return open_rows(groups, stored, storage, chunk_rows=max(1, CHUNK_BYTES // row_bytes))
