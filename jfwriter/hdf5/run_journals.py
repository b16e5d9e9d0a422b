"""The journals of one run: where it was begun, and where it goes on after a failure. Writer thread only.

The second journal tells what comes after the failure and which files were left how; the first one what was
before. A recovery wants both. Neither is worth the run: what cannot be kept is given up.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from jfwriter.hdf5.calibrations import Calibrations
from jfwriter.hdf5.losses import Losses
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.journal.interface import Journal
from jfwriter.journal.run_journal import Begun, RunJournal
from jfwriter.journal.sync_count import SyncCount
from jfwriter.session.plan import RunPlan
from jfwriter.settings import Settings
from jfwriter.wire.messages import EndMessage


class RunJournals:
    """`open` the first, or `take` the notes of a recovery; then `end` them once."""

    def __init__(self, plan: RunPlan, settings: Settings, count: SyncCount) -> None:
        """`count` gets the images that are known to be on the disk."""
        self.current: Journal | None = None
        """Where the run is followed; None: nowhere."""
        self._plan = plan
        self._settings = settings
        self._count = count
        self._first: RunJournal | None = None
        self._second: RunJournal | None = None
        self._has_ended = False
        self._end: EndMessage | None = None

    def open(self, directory: RunDirectory) -> None:
        """Where the run is begun."""
        self.current = self._first = self._open(directory)

    def take(self, journal: Journal) -> None:
        self.current = journal

    def go_on_in(
        self, second: RunDirectory, first: RunDirectory, losses: Losses, calibrations: Calibrations
    ) -> None:
        """Nothing was made in `second` yet. The run is followed there, or nowhere any more."""
        left = self._first
        begun = Begun(
            token=secrets.token_hex(8) if left is None else left.token,
            directory=first.absolute,
            has_journal=left is not None,
            n_files=len(losses.published),
            n_images=sum(file.n_written for file in losses.published),
            untold=() if left is None else left.untold,
        )
        self.current = self._second = self._open(second, begun)
        if self._second is not None:
            for message in calibrations.messages:
                self._second.calibration(message)
            if self._has_ended:
                self._second.ends(self._end)
        if left is not None:
            left.goes_on_in(second.absolute, is_followed=self._second is not None)

    def ends(self, end: EndMessage | None) -> None:
        """The run is being finished."""
        self._has_ended, self._end = True, end
        if self.current is not None:
            self.current.ends(end)

    def end(self, *, keep: bool) -> None:
        """Let go of them. `keep`: something is left that a recovery can make files of. The second one tells
        more, and goes last."""
        if not keep and self._second is not None and self._first is not None:
            self._second.ended()
        for journal in dict.fromkeys((self._first, self._second, self.current)):
            if journal is not None:
                journal.end(keep=keep)
        self.current = self._first = self._second = None

    def _open(self, directory: RunDirectory, begun: Begun | None = None) -> RunJournal | None:
        root = directory.root_path or Path(self._settings.files.root_dir)
        return RunJournal.open(
            self._plan, self._settings, directory.descriptor, root, self._count, begun=begun
        )
