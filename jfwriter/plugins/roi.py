"""`/entry/roi/<name>`: sums over each region of interest of each image, as the sender computed them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast

import h5py
import numpy as np

from jfwriter.hdf5.plugin import FileRows, Pixels, StoredDataset
from jfwriter.nexus.names import link_name
from jfwriter.nexus.roi import MAX_ROIS, roi_names
from jfwriter.plugins.columns import Column, ColumnRows, Values, reader_of
from jfwriter.session.plan import RunPlan
from jfwriter.wire.cells import CellBlock, CellColumn
from jfwriter.wire.messages import ImageMessage

NO_VALUE = int(np.iinfo(np.int64).min)
NAN = float("nan")

LEFT_OUT = "/entry/roi regions that cannot be stored"
"""Counted under this name: values of regions beyond the sixteenth or without a usable name."""


def roi_columns(link: str) -> tuple[Column, ...]:
    """The datasets of one region, always all of them; they come from the attributes of `RoiIntegral`."""
    return (
        Column(f"roi/{link}/max", "i8", NO_VALUE, "max", promised=True),
        Column(f"roi/{link}/sum", "i8", 0, "sum", promised=True),
        Column(f"roi/{link}/sum_sq", "u8", 0, "sum_square", promised=True),
        Column(f"roi/{link}/npixel", "u8", 0, "pixels", promised=True),
        Column(f"roi/{link}/x", "f4", NAN, "x", promised=True),
        Column(f"roi/{link}/y", "f4", NAN, "y", promised=True),
    )


READ_INTEGRAL = reader_of(roi_columns(""))


class RoiPlugin:
    """Stores the integrals of the regions that the start message names and of those that images bring."""

    name = "roi"
    needs_pixels = False
    takes_cells = True

    def __init__(self, plan: RunPlan) -> None:
        self.plan = plan
        self._promised = roi_names(plan.start.rois, [])
        self._links: dict[str, str | None] = dict(self._promised)

    def row(self, image: ImageMessage, pixels: Pixels | None) -> object:
        del pixels
        integrals = image.roi_integrals
        if not integrals:
            return None
        return [(name, READ_INTEGRAL(integral)) for name, integral in integrals.items()]

    def open_file(self, entry: h5py.Group, capacity: int) -> FileRows:
        return RoiRows(entry, self, capacity)

    def configured(self) -> tuple[StoredDataset, ...]:
        return tuple(
            column.stored(self.plan) for link in self._promised.values() for column in roi_columns(link)
        )

    @property
    def promised_links(self) -> tuple[str, ...]:
        return tuple(self._promised.values())

    def link(self, name: str) -> str | None:
        """Name of a region in the files of the run, None if it is left out. Writer thread only."""
        if name in self._links:
            return self._links[name]
        taken = {link for link in self._links.values() if link is not None}
        link = link_name(name)
        if link in taken or len(taken) >= MAX_ROIS:
            link = None
        if len(self._links) < 2 * MAX_ROIS:  # names that never end are not remembered
            self._links[name] = link
        return link


class RoiRows:
    """The regions of one file. Writer thread only."""

    image_groups: Mapping[int, str] = {}

    def __init__(self, entry: h5py.Group, plugin: RoiPlugin, capacity: int) -> None:
        self._left_out: Counter[str] = Counter()
        self._entry = entry
        self._plugin = plugin
        self._capacity = capacity
        self._regions: dict[str, ColumnRows] = {}
        for link in plugin.promised_links:
            self._open(link)

    @property
    def problems(self) -> Mapping[str, int]:
        total = Counter(self._left_out)
        for region in self._regions.values():
            total.update(region.problems)
        return total

    def append(self, index: int, row: object) -> None:
        for name, values in cast("list[tuple[str, Values]]", row):
            link = self._plugin.link(name)
            if link is None:
                self._left_out[LEFT_OUT] += 1
                continue
            region = self._regions.get(link) or self._open(link)
            region.append(index, values)

    def append_cells(self, indices: Sequence[int], cells: CellBlock) -> None:
        for number, name in enumerate(cells.region_names):
            sums = cells.region(number)
            link = self._plugin.link(name) if sums.n_came else None
            if link is not None:
                region = self._regions.get(link) or self._open(link)
                region.put_columns(indices, _columns(sums))
            elif sums.n_came:
                self._left_out[LEFT_OUT] += sums.n_came

    def finish(self, n_rows: int) -> tuple[StoredDataset, ...]:
        return tuple(stored for region in self._regions.values() for stored in region.finish(n_rows))

    def _open(self, link: str) -> ColumnRows:
        region = ColumnRows(self._entry, roi_columns(link), self._plugin.plan, self._capacity)
        self._regions[link] = region
        return region


def _columns(sums: CellColumn) -> tuple[CellColumn, ...]:
    """The columns of `roi_columns` from the sums [n, len(SUMS)] of one region."""
    total, square, highest, pixels, x_weighted, y_weighted = sums.values.T
    has_centre = sums.came & (total != 0)
    divisor = np.where(has_centre, total, 1)
    n_centres = int(np.count_nonzero(has_centre))
    return (
        sums._replace(values=highest),
        sums._replace(values=total),
        sums._replace(values=square),
        sums._replace(values=pixels),
        CellColumn(x_weighted / divisor, has_centre, n_centres),
        CellColumn(y_weighted / divisor, has_centre, n_centres),
    )
