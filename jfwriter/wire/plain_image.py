"""An image message whose values are still as they came: numbers in cells, arrays in the received bytes.

Most images are stored without anybody looking at a single value of theirs. Whoever does look gets what
`wire.decode` would have given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import numpy.typing as npt

from jfwriter.settings import LimitSettings
from jfwriter.wire.decode import decode
from jfwriter.wire.messages import ImageMessage, Rational, RoiIntegral
from jfwriter.wire.plain_fields import (
    FIRST_REGION_CELL,
    LATTICE_CELLS,
    PLACES,
    SPANS,
    SUMS,
    WORD_BYTES,
    Kind,
    State,
)
from jfwriter.wire.spots import spots_of
from jfwriter.wire.table import RawTable

Cells = npt.NDArray[np.int64]
"""[2, N_CELLS]: values and states."""

Spans = list[list[int]]
"""Pairs of offset and size."""

_SINGLE, _COUNT = np.dtype("<f4"), np.dtype("<u4")
_MEAN_SPAN, _STD_SPAN, _COUNT_SPAN = (
    PLACES[name].place for name in ("az_int_profile", "az_int_profile_std", "az_int_profile_count")
)
_ABSENT, _FLOAT, _BOOLEAN = int(State.ABSENT), int(State.FLOAT), int(State.BOOLEAN)


@dataclass(frozen=True, slots=True)
class Constants:
    """What all messages of a series have in common. `user_data` belongs to all of them: not to be changed."""

    series_unique_id: str | None
    series_date: str | None
    user_data: object
    regions: tuple[str, ...]
    limits: LimitSettings


class PlainImage(ImageMessage):
    """The values of `ImageMessage` are properties here, or come from `constants`.

    `cells` int64 [2, N_CELLS]; `spans`: N_SPANS times (offset, size) in `source`, offset -1: absent;
    `spot_table`: the spots, None if the message has none.
    """

    if TYPE_CHECKING:
        cells: Cells
        spans: Spans
        spot_table: RawTable | None
        constants: Constants
        n_other_bytes: int
        """Of the message, beside its pixels."""

    @property
    def has_regions(self) -> bool:
        return bool(self.constants.regions) and bool(self.cells[1, FIRST_REGION_CELL] != _ABSENT)

    def sent(self, name: str) -> npt.NDArray[np.generic] | None:
        """An array of numbers as it was sent, a view into `source`."""
        kind, span, _, _ = PLACES[name]
        offset, size = self.spans[span]
        if offset < 0:
            return None
        dtype = _SINGLE if kind is Kind.SINGLES else _COUNT
        return np.frombuffer(self.source, dtype, size // 4, offset)  # type: ignore[arg-type]

    @property
    def profile_spans(self) -> tuple[list[int], list[int], list[int]]:
        """Of mean, deviation and count of the azimuthal profile."""
        spans = self.spans
        return spans[_MEAN_SPAN], spans[_STD_SPAN], spans[_COUNT_SPAN]

    def whole(self) -> ImageMessage:
        assert self.source is not None  # noqa: S101 it was read from there
        message = cast("ImageMessage", decode(self.source, self.constants.limits))
        return message.with_channels(self.channels)


def new(values: dict[str, object]) -> PlainImage:
    """A message with these attributes; what is absent is read from the class, as in `wire.image`."""
    message = object.__new__(PlainImage)
    object.__setattr__(message, "__dict__", values)
    return message


def _number(cell: int) -> Callable[[PlainImage], object]:
    def get(image: PlainImage) -> object:
        value, state = image.cells[:, cell].tolist()
        if state == _ABSENT:
            return None
        if state == _FLOAT:
            return float(image.cells[0].view(np.float64)[cell])
        return bool(value) if state == _BOOLEAN else value

    return get


def _rational(cell: int) -> Callable[[PlainImage], object]:
    def get(image: PlainImage) -> object:
        (numerator, denominator), (state, _) = image.cells[:, cell : cell + 2].tolist()
        return None if state == _ABSENT else Rational(numerator, denominator)

    return get


def _word(cell: int) -> Callable[[PlainImage], object]:
    def get(image: PlainImage) -> object:
        value, state = image.cells[:, cell].tolist()
        return None if state == _ABSENT else value.to_bytes(WORD_BYTES, "little").rstrip(b"\0").decode()

    return get


def _lattice(cell: int) -> Callable[[PlainImage], object]:
    def get(image: PlainImage) -> object:
        if image.cells[1, cell] == _ABSENT:
            return None
        return image.cells[0].view(np.float64)[cell : cell + LATTICE_CELLS]

    return get


def _array(name: str, kind: Kind) -> Callable[[PlainImage], object]:
    def get(image: PlainImage) -> object:
        sent = image.sent(name)
        return sent if sent is None or kind is Kind.SINGLES else sent.astype(np.uint64)

    return get


def _spots(image: PlainImage) -> object:
    return None if image.spot_table is None else spots_of(image.spot_table)


def _regions(image: PlainImage) -> object:
    names = image.constants.regions
    sums = region_cells(image.cells, len(names))
    return {
        name: _integral(values)
        for name, values, state in zip(names, sums[0].tolist(), sums[1, :, 0].tolist(), strict=True)
        if state != _ABSENT
    }


def region_cells(cells: Cells, n_regions: int) -> Cells:
    """Values and states of the first regions, [2, n_regions, len(SUMS)]."""
    n_cells = n_regions * len(SUMS)
    return cells[:, FIRST_REGION_CELL : FIRST_REGION_CELL + n_cells].reshape(2, n_regions, len(SUMS))


def _integral(sums: list[int]) -> RoiIntegral:
    total, square, highest, pixels, x, y = sums
    centre = (x / total, y / total) if total else (None, None)
    return RoiIntegral(sum=total, sum_square=square, max=highest, pixels=pixels, x=centre[0], y=centre[1])


_CELL_GETTERS: Final = {Kind.RATIONAL: _rational, Kind.WORD: _word, Kind.LATTICE: _lattice}
_IN_EVERY_MESSAGE: Final = frozenset({"series_id", "image_id"})
"""Plain attributes: they are asked for of every message."""


def _give_properties() -> None:
    for name, (kind, place, _, _) in PLACES.items():
        if name in _IN_EVERY_MESSAGE or kind in {Kind.CONSTANT, Kind.IMAGES}:
            continue
        if kind is Kind.SPOTS:
            getter: Callable[[PlainImage], object] = _spots
        elif kind is Kind.REGIONS:
            getter = _regions
        elif name in SPANS:
            getter = _array(name, kind)
        else:
            getter = _CELL_GETTERS.get(kind, _number)(place)
        setattr(PlainImage, name, property(getter))


_give_properties()
