"""Columns of the values of plain images, many rows at a time (`wire.plain_image`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from jfwriter.wire.plain_fields import FIRST_REGION_CELL, LATTICE_CELLS, PLACES, SUMS, Kind, State
from jfwriter.wire.plain_image import Cells, Constants, PlainImage, new

Array = npt.NDArray[np.generic]
_ABSENT = int(State.ABSENT)  # NumPy looks long at a member of an enumeration


class CellColumn(NamedTuple):
    """Of one field: `values` [n], or [n, 9] for a lattice; `came` bool [n], which rows have one, and how many
    these are. The others hold anything."""

    values: Array
    came: npt.NDArray[np.bool_]
    n_came: int

    @classmethod
    def of(cls, values: Array, came: npt.NDArray[np.bool_]) -> Self:
        """Counts the rows."""
        return cls(values, came, int(np.count_nonzero(came)))


def stacked(rows: Sequence[Cells]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Values of some images, [n, N_CELLS], and which of them came."""
    cells = np.concatenate(rows).reshape(len(rows), 2, -1)  # np.stack takes each row into its hands
    return cells[:, 0], cells[:, 1] != _ABSENT


class CellBlock:
    """The cells of some images of one series."""

    def __init__(self, rows: Sequence[Cells], constants: Constants) -> None:
        self._rows = rows
        self._constants = constants
        self._values, self._came = stacked(rows)
        self._floats = self._values.view(np.float64)
        self._n_came: list[int] = np.count_nonzero(self._came, axis=0).tolist()

    def __len__(self) -> int:
        return len(self._rows)

    def column(self, name: str) -> CellColumn:
        """Of a field with at most one value in an image; no row of one that plain images never have."""
        place = PLACES.get(name)
        if place is None:
            return CellColumn(self._values[:, 0], np.zeros(len(self._rows), np.bool_), 0)
        cell = place.place
        return CellColumn(self._of_kind(place.kind, cell), self._came[:, cell], self._n_came[cell])

    def _of_kind(self, kind: Kind, cell: int) -> Array:
        if kind is Kind.FLOAT:
            return self._floats[:, cell]
        if kind is Kind.LATTICE:
            return self._floats[:, cell : cell + LATTICE_CELLS]
        if kind is Kind.WORD:
            return np.ascontiguousarray(self._values[:, cell]).view("S8")
        return self._values[:, cell]

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
        sums = self._values[:, first : first + len(SUMS)]
        return CellColumn(sums, self._came[:, first], self._n_came[first])

    def image(self, row: int) -> PlainImage:
        """What can be told of an image without its message: the values in its cells."""
        cells = self._rows[row]
        essential = {name: int(cells[0, PLACES[name].place]) for name in ("series_id", "image_id")}
        return new({**essential, "cells": cells, "constants": self._constants, "spot_table": None})
