"""Changed settings without a restart (SIGHUP): taken for the next run, never for the one in work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping

from jfwriter.daemon.http_access import Access
from jfwriter.daemon.parts import Parts
from jfwriter.errors import RefuseToStart
from jfwriter.hdf5.ownership import Ownership
from jfwriter.printable import printable
from jfwriter.settings import Settings, parse

NEXT_RUN = frozenset({
    "files.default_format", "files.default_prefix", "files.default_images_per_file",
    "files.default_max_spot_count", "files.max_lattices_extra", "files.fill_gaps", "files.sync",
    "files.direct_io", "files.compress_raw_images", "files.n_writers", "files.checksum", "files.manifest",
    "files.preflight", "files.second_root_dir", "files.group", "files.file_mode",
    "journal.enabled", "journal.sync_interval_s",
})  # fmt: skip
AT_ONCE = frozenset({"http.token_file", "http.token_for_reading", "http.allowed_hosts", "curve.allowed_keys"})
"""Whom to let in: nothing of a run."""
RESTART = frozenset({
    "limits.max_message_bytes", "analysis.threads", "analysis.backlog_images", "analysis.min_spots_for_hit",
})  # fmt: skip
_KERNELS = frozenset({"analysis.azint.mode", "analysis.spots.mode"})
_log = logging.getLogger(__name__)


class Reloader:
    """Reads the settings again and hands on what may change; event loop only."""

    def __init__(self, load: Callable[[], Settings], parts: Parts, access: Access | None) -> None:
        """`load` reads and checks the settings as at the start of the process; it raises RefuseToStart."""
        self._load = load
        self._parts = parts
        self._access = access
        self._now = parts.settings

    async def serve(self, asked: asyncio.Event) -> None:
        """Reload whenever `asked` is set; never ends."""
        while True:
            await asked.wait()
            asked.clear()
            await self.reload()

    async def reload(self) -> None:
        """With settings that are wrong everything stays as it is."""
        try:
            # On a thread: the file may lie on a file system that does not answer.
            wanted = await asyncio.to_thread(self._load)
            taken, kept = merged(self._now, wanted)
            await asyncio.to_thread(Ownership.of, taken.files)  # asks for the group, perhaps over the network
            if self._access is not None:
                self._access.use(taken.http)
        except RefuseToStart as error:
            self._parts.board.refused_reload = True
            for line in str(error).splitlines():
                _log.error("settings not taken: %s", printable(line))
            return
        self._parts.board.refused_reload = False
        changed = sorted(set(different(self._now, taken)))
        self._now = taken
        self._hand_on(taken)
        if changed:
            _log.info(
                "settings taken for the next run, or at once where they are of no run: %s", ", ".join(changed)
            )
        if kept:
            _log.warning("settings that need a restart, and stay as they are: %s", ", ".join(kept))
        if not (changed or kept):
            _log.info("settings and token read again: no setting has changed")

    def _hand_on(self, settings: Settings) -> None:
        parts = self._parts
        parts.settings_of_runs.use(settings, parts.session.next_serial)
        parts.session.use(settings)
        parts.pipeline.use(settings.limits)
        if parts.analysis is not None:
            parts.analysis.use(settings)
        if parts.gatekeeper is not None:
            parts.gatekeeper.use(settings.curve)


def merged(now: Settings, wanted: Settings) -> tuple[Settings, list[str]]:
    """(`wanted` as far as it can be taken, names of the settings that need a restart).

    Raises SettingsError where what is taken does not fit what stays.
    """
    table = now.model_dump()
    values = wanted.model_dump()
    kept = []
    for name in different(now, wanted):
        if _can_change(name, now):
            _set(table, name, _get(values, name))
        else:
            kept.append(name)
    return parse(table, "settings"), sorted(kept)


def different(one: Settings, other: Settings) -> Iterator[str]:
    """Names of the settings that differ, e.g. "analysis.spots.mode"."""
    left, right = dict(_leaves(one.model_dump())), dict(_leaves(other.model_dump()))
    yield from (name for name in left if left[name] != right[name])


def _can_change(name: str, now: Settings) -> bool:
    """What is not named here needs a restart."""
    if name in RESTART:
        return False
    if name in _KERNELS:
        # Kernels are compiled at the start, and not beside a run.
        return bool(_get(now.model_dump(), name) != "never")
    return name in NEXT_RUN | AT_ONCE or name.startswith(("limits.", "analysis."))


def _leaves(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _get(table: Mapping[str, object], name: str) -> object:
    value: object = table
    for part in name.split("."):
        assert isinstance(value, Mapping)  # noqa: S101 a name from `_leaves`
        value = value[part]
    return value


def _set(table: dict[str, object], name: str, value: object) -> None:
    *parents, last = name.split(".")
    inner: object = table
    for part in parents:
        assert isinstance(inner, dict)  # noqa: S101 a name from `_leaves`
        inner = inner[part]
    assert isinstance(inner, dict)  # noqa: S101 a name from `_leaves`
    inner[last] = value
