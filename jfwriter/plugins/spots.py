"""`/entry/MX`, the spots of each image: arrays `[n, M]` in CXI's form, `nPeaks` of each row are valid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.hdf5.plugin import FileRows, Pixels, StoredDataset
from jfwriter.hdf5.plugin_set import BLOCK_ROWS
from jfwriter.hdf5.rows import RowDataset, finish_rows, spanned
from jfwriter.nexus.fields import AttributeValue
from jfwriter.plugins.columns import groups_below, open_rows, row_storage
from jfwriter.plugins.mx import indexing_is_on
from jfwriter.plugins.values import fitted
from jfwriter.session.plan import RunPlan
from jfwriter.wire.messages import ImageMessage, Spots
from jfwriter.wire.plain_image import PlainImage
from jfwriter.wire.spots import SPOT_COLUMNS
from jfwriter.wire.table import RawTable

N_PEAKS = "/entry/MX/nPeaks"
TOO_MANY = "/entry/MX spots beyond max_spot_count"
"""Counted under this name: images of which only the strongest spots are stored."""


@dataclass(frozen=True, slots=True)
class SpotColumn:
    """`source`: attribute of `Spots`. Columns of `indexing` are promised only when indexing is on."""

    name: str
    dtype: np.dtype[np.generic]
    sentinel: object
    source: str
    units: str | None = None
    indexing: bool = False


COLUMNS = (
    SpotColumn("peakXPosRaw", np.dtype("f4"), 0, "x", "pixel"),
    SpotColumn("peakYPosRaw", np.dtype("f4"), 0, "y", "pixel"),
    SpotColumn("peakTotalIntensity", np.dtype("f4"), 0, "intensity", "photons"),
    SpotColumn("peakIceRingRes", np.dtype("u1"), 0, "ice_ring"),
    SpotColumn("peakH", np.dtype("i4"), 0, "h", indexing=True),
    SpotColumn("peakK", np.dtype("i4"), 0, "k", indexing=True),
    SpotColumn("peakL", np.dtype("i4"), 0, "l", indexing=True),
    SpotColumn("peakDistEwaldSphere", np.dtype("f4"), np.nan, "dist_ewald", "Angstrom^-1", indexing=True),
    SpotColumn("peakIndexed", np.dtype("u1"), 0, "indexed", indexing=True),
    SpotColumn("peakLattice", np.dtype("i4"), -1, "lattice", indexing=True),
)


TABLE_ROWS = tuple(
    list(SPOT_COLUMNS).index("I" if column.source == "intensity" else column.source) for column in COLUMNS
)
"""Of each of `COLUMNS`, where it stands in a RawTable of spots."""
INTENSITY = list(SPOT_COLUMNS).index("I")


@dataclass(frozen=True, slots=True)
class SpotRow:
    """`keep` are the spots to store, in the sender's order; None: all of them."""

    spots: Spots
    keep: npt.NDArray[np.intp] | None


class SpotsPlugin:
    """Stores the spots of the image message, the strongest `max_spot_count` if there are more."""

    name = "spots"
    needs_pixels = False
    takes_cells = False

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan
        self._n_max = plan.max_spot_count

    def row(self, image: ImageMessage, pixels: Pixels | None) -> object:
        del pixels
        table = image.spot_table if isinstance(image, PlainImage) else None
        if table is not None and table.n_rows <= self._n_max and INTENSITY in table.came:
            return table
        spots = image.spots
        if spots is None:
            return None
        if len(spots.intensity) != len(spots.x):  # then nothing says which are the strongest
            return SpotRow(spots, np.arange(self._n_max) if len(spots.x) > self._n_max else None)
        return SpotRow(spots, strongest(spots.intensity, self._n_max))

    def open_file(self, entry: h5py.Group, capacity: int) -> FileRows:
        promised = [number for number, column in enumerate(COLUMNS) if self._is_promised(column)]
        return SpotRows(entry, self._plan, capacity, promised)

    def configured(self) -> tuple[StoredDataset, ...]:
        promised = tuple(stored_column(column, self._plan) for column in COLUMNS if self._is_promised(column))
        return (STORED_N_PEAKS, *promised) if promised else ()

    def _is_promised(self, column: SpotColumn) -> bool:
        return bool(self._plan.start.max_spot_count) and (not column.indexing or indexing_is_on(self._plan))


STORED_N_PEAKS = StoredDataset(N_PEAKS, np.dtype("u4"), (), 0)


def stored_column(column: SpotColumn, plan: RunPlan) -> StoredDataset:
    units: dict[str, AttributeValue] = {} if column.units is None else {"units": column.units}
    return StoredDataset(
        f"/entry/MX/{column.name}", column.dtype, (plan.max_spot_count,), column.sentinel, units
    )


class SpotRows:
    """The spots of one file. Writer thread only."""

    image_groups: Mapping[int, str] = {}

    def __init__(self, entry: h5py.Group, plan: RunPlan, capacity: int, promised: list[int]) -> None:
        self.problems: Counter[str] = Counter()
        self._groups = groups_below(entry)
        self._plan = plan
        self._storage = row_storage(plan, capacity)
        self._n_peaks: RowDataset | None = None
        self._datasets: dict[int, RowDataset] = {}
        self._waiting: dict[int, RawTable] = {}
        for number in promised:
            self._open(number)
        if promised:
            self._open_n_peaks()

    def append(self, index: int, row: object) -> None:
        if isinstance(row, RawTable):
            self._waiting[index] = row
            if len(self._waiting) >= BLOCK_ROWS:
                self._store_waiting()
            return
        assert isinstance(row, SpotRow)  # noqa: S101 what SpotsPlugin.row made
        keep = row.keep
        if keep is not None:
            self.problems[TOO_MANY] += 1
        n_spots = len(row.spots.x)
        n_peaks = min(n_spots, self._plan.max_spot_count)
        for number, column in enumerate(COLUMNS):
            values = getattr(row.spots, column.source)
            if values is None:
                continue
            dataset = self._datasets.get(number) or self._open(number)
            if len(values) != n_spots:
                self.problems[f"/entry/MX/{column.name}"] += 1
                continue
            if values.dtype != column.dtype:
                values, n_bad = fitted(values, column.dtype, column.sentinel)
                self.problems[f"/entry/MX/{column.name}"] += n_bad
            dataset.put_first(index, values if keep is None else values[keep])
        (self._n_peaks or self._open_n_peaks()).put(index, n_peaks)

    def finish(self, n_rows: int) -> tuple[StoredDataset, ...]:
        self._store_waiting()
        datasets = [self._datasets[number] for number in sorted(self._datasets)]
        if self._n_peaks is not None:
            datasets.insert(0, self._n_peaks)
        return finish_rows(((dataset, None) for dataset in datasets), n_rows)

    def _store_waiting(self) -> None:
        waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        indices, tables = spanned(list(waiting)), list(waiting.values())
        n_peaks = np.array([table.n_rows for table in tables], np.uint32)
        (self._n_peaks or self._open_n_peaks()).put_each(indices, n_peaks)
        # As wide as the longest list, not as what a row may hold: what is beyond it is a sentinel already.
        n_wide = int(n_peaks.max())
        numbers: npt.NDArray[Any] = np.empty((len(tables), len(SPOT_COLUMNS), n_wide))
        for target, table, n_spots in zip(numbers, tables, n_peaks.tolist(), strict=True):
            target[:, :n_spots] = table.numbers
        is_beyond = np.arange(n_wide) >= n_peaks[:, np.newaxis]
        for number, (column, row) in enumerate(zip(COLUMNS, TABLE_ROWS, strict=True)):
            came = [i for i, table in enumerate(tables) if row in table.came]
            if not came:
                continue
            values = numbers[:, row]
            values[is_beyond] = column.sentinel
            dataset = self._datasets.get(number) or self._open(number)
            if len(came) == len(tables):
                dataset.put_first_each(indices, values.astype(column.dtype))
            else:
                which = spanned([indices[i] for i in came])
                dataset.put_first_each(which, values[came].astype(column.dtype))

    def _open(self, number: int) -> RowDataset:
        dataset = open_rows(self._groups, stored_column(COLUMNS[number], self._plan), self._storage)
        self._datasets[number] = dataset
        return dataset

    def _open_n_peaks(self) -> RowDataset:
        self._n_peaks = open_rows(self._groups, STORED_N_PEAKS, self._storage)
        return self._n_peaks


def strongest(intensity: npt.NDArray[np.floating], n_max: int) -> npt.NDArray[np.intp] | None:
    """Indices, ascending, of the `n_max` largest intensities (NaN counts as least); None if all fit.

    Of equal intensities the first stay.
    """
    if len(intensity) <= n_max:
        return None
    descending = np.argsort(-intensity, kind="stable")  # NumPy sorts NaN last
    return np.sort(descending[:n_max])
