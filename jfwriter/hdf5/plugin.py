"""The one extension point: a per-image quantity that is stored with the run.

`ImagePlugin` lives as long as a run and is pure; `FileRows` lives as long as one data file and belongs to
the writer thread. "Taken from the message" and "computed here" differ only in `row`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.nexus.fields import AttributeValue
from jfwriter.wire.cells import CellBlock
from jfwriter.wire.messages import ImageMessage

Pixels = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class StoredDataset:
    """A per-image dataset of a data file, as the master needs it to map it.

    `path` is absolute in the data file (`/entry/MX/nPeaks`); `row_shape` the shape behind the image axis;
    `sentinel` the fill value of rows without a value (None for string types); `attributes` go to the
    virtual dataset as well.
    """

    path: str
    dtype: np.dtype[np.generic]
    row_shape: tuple[int, ...]
    sentinel: object
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)


class FileRows(Protocol):
    """The rows of one plugin in one data file. Writer thread only.

    A value that does not fit its dataset (out of range, wrong length) is replaced by the sentinel and counted
    in `problems` under the dataset's path; it is no reason to raise. Whatever is raised, except StorageError,
    switches the plugin off for the run.
    """

    @property
    def problems(self) -> Mapping[str, int]:
        """Values that could not be stored so far, by dataset path."""

    @property
    def image_groups(self) -> Mapping[int, str]:
        """Groups that belong to one image, as image_id -> path in this file; the VDS master links to them."""

    def append(self, index: int, row: object) -> None:
        """Store what `ImagePlugin.row` returned for the image at row `index` (any order, each once)."""

    def finish(self, n_rows: int) -> tuple[StoredDataset, ...]:
        """Write what is buffered so that every dataset has exactly `n_rows` rows; says what was stored."""


class CellRows(FileRows, Protocol):
    """The rows of a plugin that takes cells."""

    def append_cells(self, indices: Sequence[int], cells: CellBlock) -> None:
        """Store the values of plain images at the rows `indices`, as `append` would; a range where these
        follow one another."""


class ImagePlugin(Protocol):
    """One per-image quantity of one run."""

    name: str
    needs_pixels: bool
    """False: `row` reads message fields only, and gets `pixels` None if nobody else needs them."""
    takes_cells: bool
    """Of a plain image it wants nothing but the cells: `CellRows.append_cells` gets them instead of `append`
    a row."""

    def row(self, image: ImageMessage, pixels: Pixels | None) -> object:
        """The plugin's row for this image, None if there is nothing to store. Pure; any thread; no h5py."""

    def open_file(self, entry: h5py.Group, capacity: int) -> FileRows:
        """Start a data file: `entry` is its `/entry`, `capacity` its planned rows (0: unknown)."""

    def configured(self) -> tuple[StoredDataset, ...]:
        """What the start message alone promises: mapped in the master even if no file here holds it."""
