"""Columns of the values of plain images, many rows at a time (`wire.plain_image`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jfwriter.wire.messages import ImageMessage
from jfwriter.wire.plain_fields import LATTICE_CELLS, PLACES, Kind, State
from jfwriter.wire.plain_image import Cells, PlainImage, new, region_cells

Array = npt.NDArray[np.generic]


class CellColumn(NamedTuple):
    """Of one field: `values` [n], or [n, 9] for a lattice; `came` bool [n], which rows have one. The others
    hold anything."""

    values: Array
    came: npt.NDArray[np.bool_]


class CellBlock:
    """The cells of some images."""

    def __init__(self, rows: Sequence[Cells]) -> None:
        self._rows = rows
        stacked = np.stack(rows, axis=1)
        self._values, self._states = stacked
        self._floats = self._values.view(np.float64)

    def column(self, name: str) -> CellColumn | None:
        """Of a field; None where plain images never have it."""
        place = PLACES.get(name)
        if place is None or place.kind in {Kind.SINGLES, Kind.COUNTS, Kind.SPOTS, Kind.IMAGES, Kind.REGIONS}:
            return None
        cell = place.place
        came = self._states[:, cell] != State.ABSENT
        if place.kind is Kind.FLOAT:
            return CellColumn(self._floats[:, cell], came)
        if place.kind is Kind.LATTICE:
            return CellColumn(self._floats[:, cell : cell + LATTICE_CELLS], came)
        if place.kind is Kind.WORD:
            return CellColumn(np.ascontiguousarray(self._values[:, cell]).view("S8"), came)
        return CellColumn(self._values[:, cell], came)

    def denominators(self, name: str) -> npt.NDArray[np.int64]:
        """Of a time, where it came."""
        return self._values[:, PLACES[name].place + 1]

    def regions(self, n_regions: int) -> Cells:
        """Values and states of the first regions, int64 [n, 2, n_regions, len(SUMS)]."""
        return np.stack([region_cells(row, n_regions) for row in self._rows])

    def image(self, row: int) -> ImageMessage:
        """What can be told of an image without its message: the values in its cells."""
        return image_of(self._rows[row])


def image_of(cells: Cells) -> PlainImage:
    return new({"cells": cells})
