"""Where the rows of a data file stand when they are not all in one file beside the master.

A file that cannot be gone on with in the first root directory is closed with what it holds, under a name of
its own, and goes on in the second one under the name that it always had.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from jfwriter.session.orders import Range


@dataclass(frozen=True, slots=True)
class Piece:
    """A published file with some rows of a data file.

    `name` is how the master names it: without a directory if it stands beside it. `rows` are those that are
    read from it (first and last, within the data file); the same rows in it.
    """

    name: str
    n_rows: int
    rows: tuple[Range, ...]
    paths: Collection[str]
    """Its per-image datasets."""


Pieces = Mapping[int, Sequence[Piece]]
"""By data file; those that are not here are whole and stand beside the master. The last piece is the one with
the data file's name, if there is one."""


def main_name(pieces: Pieces, file_index: int, usual: str) -> str:
    """The file that a link to the whole data file leads to."""
    found = pieces.get(file_index)
    return found[-1].name if found else usual


def name_of_row(pieces: Pieces, file_index: int, row: int, usual: str) -> str:
    """The file that a row stands in."""
    for piece in pieces.get(file_index, ()):
        if any(first <= row <= last for first, last in piece.rows):
            return piece.name
    return main_name(pieces, file_index, usual)


def as_seen_from(pieces: Pieces, directory: str) -> Pieces:
    """`pieces` with absolute names as a master in `directory` (ending in "/") names them."""

    def seen(piece: Piece) -> Piece:
        name = piece.name.removeprefix(directory)
        return piece if "/" in name else replace(piece, name=name)

    return {file_index: [seen(piece) for piece in found] for file_index, found in pieces.items()}


def rest(rows: Sequence[Range], n_rows: int) -> tuple[Range, ...]:
    """The rows below `n_rows` that are not in `rows`, which are in order."""
    found = []
    start = 0
    for first, last in rows:
        if first > start:
            found.append((start, first - 1))
        start = last + 1
    if start < n_rows:
        found.append((start, n_rows - 1))
    return tuple(found)
