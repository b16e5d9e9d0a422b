"""Columns of the values of plain images, many rows at a time (`wire.plain_image`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jfwriter.wire.plain_fields import FIRST_REGION_CELL, LATTICE_CELLS, PLACES, SUMS, Kind, State
from jfwriter.wire.plain_image import Cells, Constants, PlainImage, new

Array = npt.NDArray[np.generic]


class CellColumn(NamedTuple):
    """Of one field: `values` [n], or [n, 9] for a lattice; `came` bool [n], which rows have one. The others
    hold anything."""

    values: Array
    came: npt.NDArray[np.bool_]


class CellBlock:
    """The cells of some images of one series."""

    def __init__(self, rows: Sequence[Cells], constants: Constants) -> None:
        self._rows = rows
        self._constants = constants
        stacked = np.stack(rows, axis=1)
        self._values, self._states = stacked
        self._floats = self._values.view(np.float64)

    def __len__(self) -> int:
        return len(self._rows)

    def column(self, name: str) -> CellColumn:
        """Of a field with at most one value in an image; no row of one that plain images never have."""
        place = PLACES.get(name)
        if place is None:
            return CellColumn(self._values[:, 0], np.zeros(len(self._rows), np.bool_))
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
        found: npt.NDArray[np.int64] = self._values[:, PLACES[name].place + 1]
        return found

    @property
    def region_names(self) -> tuple[str, ...]:
        return self._constants.regions

    def region(self, number: int) -> CellColumn:
        """The sums over a region, [n, len(SUMS)], in the order of `plain_fields.SUMS`."""
        first = FIRST_REGION_CELL + number * len(SUMS)
        return CellColumn(self._values[:, first : first + len(SUMS)], self._states[:, first] != State.ABSENT)

    def image(self, row: int) -> PlainImage:
        """What can be told of an image without its message: the values in its cells."""
        cells = self._rows[row]
        essential = {name: int(cells[0, PLACES[name].place]) for name in ("series_id", "image_id")}
        return new({**essential, "cells": cells, "constants": self._constants, "spot_table": None})
