"""Columns of the values of plain images, many rows at a time (`wire.plain_image`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jfwriter.wire.messages import ImageMessage
from jfwriter.wire.plain_fields import LATTICE_CELLS, PLACES, Kind, State
from jfwriter.wire.plain_image import Cells, PlainImage, new

Array = npt.NDArray[np.generic]
_IMAGE_ID = PLACES["image_id"].place


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

    def image(self, row: int) -> ImageMessage:
        """What can be told of an image without its message: the values in its cells."""
        return image_of(self._rows[row])


def image_of(cells: Cells) -> PlainImage:
    return new({"cells": cells, "image_id": int(cells[0, _IMAGE_ID])})
