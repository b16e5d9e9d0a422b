"""The plugins of one run, and what happens when one of them raises: it is switched off, images go on.

Writer thread only.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import h5py
import numpy as np

from jfwriter.compression import decompress
from jfwriter.errors import StorageError
from jfwriter.hdf5.plugin import CellRows, FileRows, ImagePlugin, Pixels, StoredDataset
from jfwriter.hdf5.rows import spanned
from jfwriter.wire.cells import CellBlock
from jfwriter.wire.messages import ImageMessage
from jfwriter.wire.plain_image import Cells, Constants, PlainImage

BLOCK_ROWS = 64
"""Rows whose values wait; at most so many of each open data file, a few kB each."""

T = TypeVar("T")
Rows = list[tuple[ImagePlugin, object]]

_log = logging.getLogger(__name__)


class PluginSet:
    """The plugins that still work, and why the others do not."""

    def __init__(self, plugins: Sequence[ImagePlugin]) -> None:
        self._active = list(plugins)
        self._by_image = [plugin for plugin in plugins if not plugin.takes_cells]
        """Those that are asked for a row of a plain image."""
        self._needs_pixels = any(plugin.needs_pixels for plugin in plugins)
        self._scratch: Pixels | None = None
        self.failures: dict[str, str] = {}
        """Plugin name -> what it raised."""
        self.problems: Counter[str] = Counter()
        """Values that could not be stored, by dataset path, of the files closed so far."""

    def rows(self, image: ImageMessage) -> Rows:
        """What the plugins have to store of an image."""
        pixels = self._pixels(image) if self._needs_pixels else None
        rows: Rows = []
        active = self._by_image if isinstance(image, PlainImage) else self._active
        # `attempt` for each image and plugin would cost more than most rows.
        for plugin in active:  # a plugin that is switched off leaves this list as it is
            try:
                row = plugin.row(image, pixels)
            except StorageError:
                raise
            except Exception as error:  # noqa: BLE001 as in `attempt`
                self.switch_off(plugin, error)
                continue
            if row is not None:
                rows.append((plugin, row))
        return rows

    def configured(self) -> tuple[StoredDataset, ...]:
        """What the start message promises of each file of the run."""
        promised: list[StoredDataset] = []
        for plugin in tuple(self._active):
            promised += self.attempt(plugin, plugin.configured) or ()
        return tuple(promised)

    def open_file(self, entry: h5py.Group, capacity: int) -> FilePlugins:
        """Start the rows of a data file of `capacity` planned rows (0: unknown). Raises StorageError."""
        rows: dict[str, FileRows] = {}
        for plugin in tuple(self._active):
            opened = self.attempt(plugin, plugin.open_file, entry, capacity)
            if opened is not None:
                rows[plugin.name] = opened
        takers = [plugin for plugin in self._active if plugin.takes_cells and plugin.name in rows]
        return FilePlugins(self, rows, takers)

    def is_active(self, plugin: ImagePlugin) -> bool:
        """Whether it has not been switched off."""
        return any(other is plugin for other in self._active)

    def attempt(self, plugin: ImagePlugin, call: Callable[..., T], *arguments: object) -> T | None:
        """Call a plugin; switch it off if it raises. Raises StorageError if that is what it raised."""
        try:
            return call(*arguments)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 whatever it raises, the images go on
            self.switch_off(plugin, error)
            return None

    def switch_off(self, plugin: ImagePlugin, error: Exception) -> None:
        """Go on without a plugin that has raised `error`."""
        self._active = [other for other in self._active if other is not plugin]
        self._by_image = [other for other in self._by_image if other is not plugin]
        self._needs_pixels = any(other.needs_pixels for other in self._active)
        if plugin.name not in self.failures:
            self.failures[plugin.name] = f"{type(error).__name__}: {error}"
            _log.exception("plugin %s is switched off for this run", plugin.name)

    def _pixels(self, image: ImageMessage) -> Pixels:
        """Pixels [y, x] of the first channel; the array is used again for the next image."""
        payload = next(iter(image.channels.values()))
        native = payload.dtype.newbyteorder("=")
        if self._scratch is None or (self._scratch.shape, self._scratch.dtype) != (payload.shape, native):
            self._scratch = np.empty(payload.shape, native)
        return decompress(payload, self._scratch)


class FilePlugins:
    """The rows of all plugins in one data file."""

    def __init__(
        self, plugins: PluginSet, rows: dict[str, FileRows], takers: Sequence[ImagePlugin] = ()
    ) -> None:
        """`takers`: the plugins that take cells."""
        self._plugins = plugins
        self._rows = rows
        self._takers = takers
        self._cells: dict[int, Cells] = {}
        """By row: of plain images whose values wait."""
        self._constants: Constants | None = None
        """Of those images."""
        self.image_groups: list[tuple[int, str]] = []
        """(image_id, path) of groups of single images, known after `finish`."""

    def append(self, index: int, image: ImageMessage, rows: Rows) -> None:
        """Store the rows of the image at row `index`. Raises StorageError."""
        if isinstance(image, PlainImage):
            if image.constants is not self._constants:
                self._store_cells()
                self._constants = image.constants
            self._cells[index] = image.cells
            if len(self._cells) == BLOCK_ROWS:
                self._store_cells()
        else:
            self._store_cells()  # they came first
        for plugin, row in rows:
            file_rows = self._rows.get(plugin.name)
            if file_rows is None:
                continue
            try:
                file_rows.append(index, row)
            except StorageError:
                raise
            except Exception as error:  # noqa: BLE001 as in `PluginSet.attempt`
                self._plugins.switch_off(plugin, error)

    def finish(self, n_rows: int) -> tuple[StoredDataset, ...]:
        """Bring all datasets to `n_rows` rows, also those of plugins that were switched off meanwhile.

        Raises StorageError.
        """
        self._store_cells()
        stored: list[StoredDataset] = []
        for name, file_rows in self._rows.items():
            stored += self._finish(name, file_rows, n_rows)
        return tuple(stored)

    def _store_cells(self) -> None:
        # Taken first: what a plugin cannot bear must not come again when the file is finished.
        waiting, self._cells = self._cells, {}
        if not waiting or self._constants is None:
            return
        indices, cells = spanned(list(waiting)), CellBlock(list(waiting.values()), self._constants)
        for plugin in self._takers:
            if self._plugins.is_active(plugin):
                rows = cast("CellRows", self._rows[plugin.name])
                self._plugins.attempt(plugin, rows.append_cells, indices, cells)

    def _finish(self, name: str, file_rows: FileRows, n_rows: int) -> tuple[StoredDataset, ...]:
        try:
            stored = file_rows.finish(n_rows)
            self._plugins.problems.update(file_rows.problems)
            self.image_groups += file_rows.image_groups.items()
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 as in `attempt`
            self._plugins.failures.setdefault(name, f"{type(error).__name__}: {error}")
            _log.exception("plugin %s could not finish its rows", name)
            return ()
        return stored
