"""The journal of one run while it is written. Writer thread, with one thread of its own that syncs."""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from jfwriter import __version__
from jfwriter.journal import registry
from jfwriter.journal.file_journal import FileJournal
from jfwriter.journal.output import Output
from jfwriter.journal.records import Kind
from jfwriter.journal.sync_count import SyncCount
from jfwriter.session.plan import RunPlan
from jfwriter.settings import Settings
from jfwriter.wire.messages import CalibrationMessage, EndMessage

SUFFIX = ".run.journal"
VERSION = 1

_log = logging.getLogger(__name__)


class RunJournal:
    """`open` it, then `end` it once. A journal that cannot be kept is given up, never the run."""

    def __init__(
        self, plan: RunPlan, settings: Settings, directory: int, root: Path, count: SyncCount
    ) -> None:
        """Create it in the open `directory` of the run, which lies below `root` and stays open until `end`.

        Raises OSError.
        """
        assert plan.start.source is not None  # noqa: S101 see `open`
        self.token = secrets.token_hex(8)
        self._plan = plan
        self._root = root
        self._interval_s = settings.journal.sync_interval_s
        self._count = count
        self._output = Output(directory, f"{plan.basename}.{self.token}{SUFFIX}")
        self._files: dict[int, FileJournal] = {}
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._output.append(Kind.RUN, _json(_header(self.token, plan, settings)))
        self._output.append(Kind.START, plan.start.source)
        self._output.flush()
        try:
            registry.add(self._root, self.token, "/".join((*plan.directory, self._output.name)))
        except OSError as error:
            _log.warning("the run is not entered in %s: %s", registry.DIRECTORY, error.strerror)

    @classmethod
    def open(
        cls, plan: RunPlan, settings: Settings, directory: int, root: Path, count: SyncCount
    ) -> RunJournal | None:
        """None where there is none: switched off, a run whose start message is not known, or an error."""
        if not settings.journal.enabled or plan.start.source is None:
            return None
        try:
            return cls(plan, settings, directory, root, count)
        except OSError as error:
            count.problem = f"the journal of the run cannot be created: {error.strerror}"
            _log.warning("%s: %s", plan.prefix, count.problem)
            return None

    def open_file(
        self, file_index: int, name: str, temporary_name: str, channels: Sequence[object], directory: int
    ) -> FileJournal | None:
        """A data file is about to be made in the open `directory`; None if its images cannot be entered.

        Its journal is made before it: a data file without one was never meant to have one.
        """
        if self._given_up():
            return None
        header = {
            "version": VERSION,
            "token": self.token,
            "file_index": file_index,
            "name": name,
            "temporary_name": temporary_name,
            "channels": channels,
        }
        self._tell(Kind.OPENING, {"temporary_name": temporary_name})
        try:
            journal = FileJournal(directory, temporary_name, header, self._count)
        except OSError as error:
            self._give_up(f"the journal of {name} cannot be created: {error.strerror}")
            return None
        if journal.problem:
            journal.remove(on_disk=False)
            self._give_up(journal.problem)
            return None
        self._files[file_index] = journal
        if self._thread is None:
            # Not joined at exit: a disk that never answers must not keep the process.
            self._thread = threading.Thread(target=self._keep_syncing, name="journal", daemon=True)
            self._thread.start()
        return journal

    def follow_file(self, file_index: int) -> bool:
        """The data file was made; whether its images can be entered."""
        try:
            self._files[file_index].follow()
        except OSError as error:
            self.drop_file(file_index)
            self._give_up(f"data file {file_index + 1} cannot be opened beside HDF5: {error.strerror}")
            return False
        return True

    def making(self, temporary_name: str) -> None:
        """A file is about to be made that holds nothing that is not elsewhere, too."""
        self._tell(Kind.TEMPORARY, {"temporary_name": temporary_name})

    def calibration(self, message: CalibrationMessage) -> None:
        """Calibration images that wait for the master."""
        if message.source is not None:
            self._output.append(Kind.CALIBRATION, message.source)
            self._output.flush()

    def closing(self, facts: Mapping[str, object]) -> None:
        """A data file is about to get its final name: `facts` stand for its images from then on."""
        self._note(Kind.CLOSING, facts)

    def closed(self, file_index: int) -> None:
        """The data file stands under its final name."""
        journal = self._files.pop(file_index, None)
        if journal is not None:
            journal.remove(on_disk=self._plan.sync)

    def ends(self, end: EndMessage | None) -> None:
        """The run is being finished."""
        for journal in self._files.values():
            journal.flush()
        if end is not None and end.source is not None:
            self._output.append(Kind.END, end.source)
            self._output.flush()

    def master(self, temporary_name: str, size_bytes: int) -> None:
        """The master is about to get its final name."""
        self._note(Kind.MASTER, {"temporary_name": temporary_name, "size_bytes": size_bytes})

    def goes_on_in(self, directory: str) -> None:
        """The run goes on in `directory` (absolute path), where it is not followed."""
        self._tell(Kind.WENT_ON, {"directory": directory})

    def manifest(self, content: bytes) -> None:
        """The manifest is about to be written; all other files of the run stand."""
        self._output.append(Kind.MANIFEST, content)
        self._output.flush()

    def end(self, *, keep: bool) -> None:
        """Let go of everything. `keep`: something is left that a recovery can make files of."""
        self._over.set()
        if keep:
            for journal in self._files.values():
                journal.keep()
            self._output.close()
        else:
            for journal in self._files.values():  # of files that the run could not go on with
                journal.remove(on_disk=False)
            registry.remove(self._root, self.token)
            self._output.remove()

    def drop_file(self, file_index: int) -> None:
        """The data file was removed or not made: it held no image."""
        journal = self._files.pop(file_index, None)
        if journal is not None:
            journal.remove(on_disk=False)

    def _note(self, kind: Kind, facts: Mapping[str, object]) -> None:
        """What must be on the disk before a name changes."""
        self._output.append(kind, _json(facts))
        if self._plan.sync:
            self._output.sync()
        else:
            self._output.flush()
        self._given_up()

    def _tell(self, kind: Kind, facts: Mapping[str, object]) -> None:
        """What the system must know before something is made."""
        self._output.append(kind, _json(facts))
        self._output.flush()

    def _given_up(self) -> bool:
        problem = self._output.problem or next((j.problem for j in self._files.values() if j.problem), "")
        if problem and not self._count.problem:
            self._give_up(problem)
        return bool(self._count.problem)

    def _give_up(self, problem: str) -> None:
        self._count.problem = f"the journal of the run is given up: {problem}"
        _log.warning("%s: %s", self._plan.prefix, self._count.problem)

    def _keep_syncing(self) -> None:
        while not self._over.wait(self._interval_s):
            self._output.sync()  # an image is of no use without the start message of its run
            for journal in tuple(self._files.values()):
                journal.sync()


def _header(token: str, plan: RunPlan, settings: Settings) -> dict[str, object]:
    """What the plan is made of, together with the start message; it is made again in a recovery."""
    return {
        "version": VERSION,
        "software": __version__,
        "token": token,
        "boot_id": boot_id(),
        "received_at": plan.received_at,
        "settings": settings.model_dump(mode="json", include={"files", "limits", "analysis"}),
    }


def boot_id() -> str:
    """Of the running system: another one later means that what was not synced may be lost."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
