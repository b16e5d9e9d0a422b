"""Which settings belong to which run: they may have changed since its start."""

from __future__ import annotations

from jfwriter.settings import Settings

_REMEMBERED = 16
"""Changes of which a run may still wait for its writing."""


class SettingsOfRuns:
    """The settings that a run was started with. `use` belongs to the event loop, `of` to any thread."""

    def __init__(self, settings: Settings) -> None:
        self._since: tuple[tuple[int, Settings], ...] = ((0, settings),)

    def use(self, settings: Settings, next_serial: int) -> None:
        """For runs from number `next_serial` on."""
        before = tuple(item for item in self._since if item[0] < next_serial)
        self._since = (*before[-_REMEMBERED:], (next_serial, settings))

    def of(self, serial: int) -> Settings:
        since = self._since
        return next((settings for first, settings in reversed(since) if first <= serial), since[0][1])
