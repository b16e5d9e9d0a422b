"""What an image message may hold to be read without Python objects: its fields, and where each goes.

The values of one message are a row of cells, 64 bits each, with a state for each cell. What is not a number
is left in the message and found by its span. All of it is derived from the tables of `wire.image`.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from jfwriter.wire import aliases, array_fields, fields
from jfwriter.wire.image import FIELDS


class Kind(enum.IntEnum):
    """What stands under a key, and how it is kept."""

    INTEGER = 0
    FLOAT = 1
    BOOLEAN = 2
    RATIONAL = 3
    """Two cells: numerator, denominator."""
    WORD = 4
    """ASCII text of up to `WORD_BYTES`, the first character lowest."""
    LATTICE = 5
    """Nine cells."""
    CONSTANT = 6
    """The same bytes in every message."""
    SINGLES = 7
    """Span of a typed array of little-endian float32."""
    COUNTS = 8
    """Span of a typed array of little-endian uint32."""
    SPOTS = 9
    """Span of an array of plain maps."""
    IMAGES = 10
    REGIONS = 11


class State(enum.IntEnum):
    """What a cell holds."""

    ABSENT = 0
    INTEGER = 1
    FLOAT = 2
    """The bits of a float64."""
    BOOLEAN = 3
    WORD = 4


WORD_BYTES: Final = 7
LATTICE_CELLS: Final = 9
MAX_CONSTANT_BYTES: Final = 1024
MAX_CHANNELS: Final = 8
MAX_REGIONS: Final = 16
MAX_NAME_BYTES: Final = 64
SUMS: Final = ("sum", "sum_square", "max", "pixels", "x_weighted", "y_weighted")
"""Cells of one region, in this order."""
MAX_BYTES: Final = 1 << 18
"""Of a message beside its pixels: so small that no limit on items or containers can be reached."""
MIN_NESTING: Final = 8
"""Deeper than any plain message is nested, free-form data aside, which is constant."""

CONSTANTS: Final = ("type", "series_unique_id", "series_date", "user_data")
SPANS: Final = {
    "az_int_profile": Kind.SINGLES,
    "az_int_profile_std": Kind.SINGLES,
    "az_int_profile_count": Kind.COUNTS,
    "spots": Kind.SPOTS,
}
N_SPANS: Final = len(CONSTANTS) + len(SPANS)
"""First the constants."""


class Place(NamedTuple):
    """Of a field: its kind, its first cell or its span, and the bounds of an integer."""

    kind: Kind
    place: int
    lowest: int = 0
    highest: int = 0


def _cells_of(name: str, converter: fields.Converter) -> tuple[Kind, int] | None:
    """Kind and number of cells of a field; None if it is not kept in cells."""
    plain = fields.plain_of(converter)
    if plain is not None:
        return (Kind.INTEGER if plain.kind is int else Kind.FLOAT), 1
    if converter is fields.boolean:
        return Kind.BOOLEAN, 1
    if converter is fields.rational:
        return Kind.RATIONAL, 2
    if converter is array_fields.lattice:
        return Kind.LATTICE, LATTICE_CELLS
    return (Kind.WORD, 1) if name == "bravais_lattice" else None


def _places() -> tuple[dict[str, Place], int]:
    """By field of the message, and the number of cells before those of the regions."""
    places: dict[str, Place] = {}
    n_cells = 0
    for name, field in FIELDS.items():
        found = _cells_of(name, field.converter)
        if found is not None:
            kind, n_taken = found
            low, high = (field.lowest, field.highest) if kind is Kind.INTEGER else (0, 0)
            places[name] = Place(kind, n_cells, int(low), min(int(high), fields.INT64_MAX))
            n_cells += n_taken
    for span, name in enumerate(CONSTANTS):
        places[name] = Place(Kind.CONSTANT, span)
    for span, (name, kind) in enumerate(SPANS.items(), len(CONSTANTS)):
        places[name] = Place(kind, span)
    places["data"] = Place(Kind.IMAGES, 0)
    places["roi_integrals"] = Place(Kind.REGIONS, n_cells)
    return places, n_cells


PLACES, FIRST_REGION_CELL = _places()
N_CELLS: Final = FIRST_REGION_CELL + MAX_REGIONS * len(SUMS)

KEYS: Final = {**{name: name for name in PLACES}, **aliases.IMAGE}
"""Every accepted spelling -> field. A message with any other key is not plain."""


def key_table() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Of each key: its text uint8 [k, w], padded with zeros; int64 [k, 6]: its length, the number of its
    field, and what `Place` says."""
    numbers = {name: number for number, name in enumerate(PLACES)}
    names = np.zeros((len(KEYS), max(map(len, KEYS))), np.uint8)
    table = np.zeros((len(KEYS), 6), np.int64)
    for row, (key, field) in enumerate(KEYS.items()):
        names[row, : len(key)] = np.frombuffer(key.encode(), np.uint8)
        table[row] = (len(key), numbers[field], *PLACES[field])
    for constant in (names, table):
        constant.flags.writeable = False
    return names, table
