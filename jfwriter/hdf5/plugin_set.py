"""The plugins of one run, and what happens when one of them raises: it is switched off, images go on.

Writer thread only.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

import h5py
import numpy as np

from jfwriter.compression import decompress
from jfwriter.errors import StorageError
from jfwriter.hdf5.plugin import FileRows, ImagePlugin, Pixels, StoredDataset
from jfwriter.wire.messages import ImageMessage

T = TypeVar("T")
Rows = list[tuple[ImagePlugin, object]]

_log = logging.getLogger(__name__)


class PluginSet:
    """The plugins that still work, and why the others do not."""

    def __init__(self, plugins: Sequence[ImagePlugin]) -> None:
        self._active = list(plugins)
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
        # `attempt` for each image and plugin would cost more than most rows.
        for plugin in self._active:  # a plugin that is switched off leaves this list as it is
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
        return FilePlugins(self, rows)

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

    def __init__(self, plugins: PluginSet, rows: dict[str, FileRows]) -> None:
        self._plugins = plugins
        self._rows = rows
        self.image_groups: list[tuple[int, str]] = []
        """(image_id, path) of groups of single images, known after `finish`."""

    def append(self, index: int, rows: Rows) -> None:
        """Store the rows of the image at row `index`. Raises StorageError."""
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
        stored: list[StoredDataset] = []
        for name, file_rows in self._rows.items():
            stored += self._finish(name, file_rows, n_rows)
        return tuple(stored)

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
