"""What all runs of one process share: the root directories, and what was learned of them.

Writer thread only, but for `notices_of`, which anybody may call.
"""

from __future__ import annotations

import logging

from jfwriter.errors import FailRun, RunRefused, StorageUnavailable
from jfwriter.hdf5.direct_io import DirectIO
from jfwriter.hdf5.files_root import FilesRoot
from jfwriter.hdf5.ownership import Ownership
from jfwriter.hdf5.preflight import Compression, Room, expected_bytes, shortages
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.session.plan import RunPlan
from jfwriter.settings import FilesSettings

_log = logging.getLogger(__name__)


OF_THE_RUN = frozenset({"exists", "path"})
"""Failures that are no fault of the storage: another root directory would not help."""


class Storage:
    """Made once. A second root that cannot be used is warned of and done without: images are worth more."""

    def __init__(self, settings: FilesSettings, first: FilesRoot | None = None) -> None:
        """`first`: the root directory, if it was looked at before. Raises StorageUnavailable for a group that
        this process may not use, OSError where the root directory is not there."""
        self.first = first or FilesRoot(settings.root_dir, settings.root_guard)
        self.ownership = Ownership.of(settings)
        self.compression = Compression()
        self.direct_io = DirectIO()
        self._settings = settings
        self._notices: tuple[int, tuple[str, ...]] = (0, ())
        """Number of the run that they are about, and they."""
        self.second_problem = ""
        """Why there is no second root although the settings name one."""
        self.second = self._find_second(settings)

    def use(self, settings: FilesSettings) -> None:
        """For runs that are opened from now on: preflight, second root, group and mode.

        A second root that could not be used is tried again with every new object. Raises nothing.
        """
        if settings is self._settings:
            return
        is_other = settings.second_root_dir != self._settings.second_root_dir
        self._settings = settings
        try:
            self.ownership = Ownership.of(settings)
        except StorageUnavailable as error:
            _log.error("%s; group and mode stay as they were", error)
        if is_other or self.second is None:
            self.second_problem = ""
            self.second = self._find_second(settings)

    def _find_second(self, settings: FilesSettings) -> FilesRoot | None:
        if not settings.second_root_dir:
            return None
        try:
            root = FilesRoot(settings.second_root_dir, settings.root_guard)
            problem = "it is the root directory" if root.path.samefile(self.first.path) else root.problem()
        except OSError as error:
            problem = error.strerror or str(error)
        if problem:
            self.second_problem = f"the second root directory cannot be used: {problem}"
            _log.error("%s: %s", settings.second_root_dir, self.second_problem)
            return None
        return root

    def open_directory(self, plan: RunPlan) -> RunDirectory:
        """The run's directory below the first root. Raises RunRefused, StorageError.

        What the run may be too large for is refused or noted, as `files.preflight` says.
        """
        if self.second is not None:
            RunDirectory.refuse_conflicts(self.second, plan)
        failure = None
        try:
            directory = RunDirectory.open(self.first, plan, self.ownership)
        except FailRun as error:
            if self.second is None or error.reason in OF_THE_RUN:
                raise
            failure = str(error)
        if failure is not None:
            directory = self.open_second(plan)
            self.note(plan, f"{failure}; the run is written into the second root directory")
        try:
            self._look_for_room(plan, directory)
        except BaseException:
            directory.close()
            raise
        return directory

    def open_second(self, plan: RunPlan) -> RunDirectory:
        """The run's directory below the second root. Raises RunRefused, StorageError."""
        if self.second is None:
            raise RunRefused("not_found", "there is no second root directory")
        directory = RunDirectory.open(self.second, plan, self.ownership)
        directory.is_second = True
        return directory

    def expected_bytes(self, plan: RunPlan) -> int:
        """As `preflight.expected_bytes`."""
        return expected_bytes(plan, self.compression)

    def notices_of(self, serial: int | None) -> tuple[str, ...]:
        """What a person should know of run `serial`; any thread."""
        of, texts = self._notices
        return texts if of == serial else ()

    def note(self, plan: RunPlan, text: str) -> None:
        """Tell of something in the status and the log."""
        _log.warning("%s: %s", plan.prefix, text)
        self._notices = (plan.serial, (*self.notices_of(plan.serial), text))

    def _look_for_room(self, plan: RunPlan, directory: RunDirectory) -> None:
        if self._settings.preflight == "off":
            return
        rooms = [Room.of(directory.descriptor)]
        if self.second is not None:
            rooms.append(Room.of(self.second.path))
        found = shortages(plan, self.compression, rooms)
        if found and self._settings.preflight == "refuse":
            raise RunRefused("no_space", f"{'; '.join(found)} (files.preflight)")
        for text in found:
            self.note(plan, text)
