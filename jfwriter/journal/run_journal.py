"""The journal of one run while it is written. Writer thread, with one thread of its own that syncs."""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jfwriter import __version__
from jfwriter.journal import registry
from jfwriter.journal.file_journal import FileJournal
from jfwriter.journal.output import Output
from jfwriter.journal.records import Kind
from jfwriter.journal.sync_count import SyncCount
from jfwriter.session.plan import RunPlan
from jfwriter.settings import Settings
from jfwriter.wire.encode import encode, pixels
from jfwriter.wire.messages import CalibrationMessage, EndMessage

SUFFIX = ".run.journal"
SECOND = ".second"
"""Stands between the token and the suffix in the name of the second journal of a run."""
VERSION = 1
MAX_UNTOLD = 1000
"""Closed files that a journal could not take: so many are kept in memory for a second one."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Begun:
    """Where a run was begun that goes on in another directory, with a second journal."""

    token: str
    """Of the run; the same in both journals."""
    directory: str
    has_journal: bool
    n_files: int
    """Data files that stand there."""
    n_images: int
    """Images in them."""
    untold: Sequence[bytes] = ()
    """Of data files there that the first journal could not take: the bodies of their CLOSING records."""

    def told(self) -> dict[str, object]:
        return {
            "directory": self.directory,
            "has_journal": self.has_journal,
            "n_files": self.n_files,
            "n_images": self.n_images,
        }


class RunJournal:
    """`open` it, then `end` it once. A journal that cannot be kept is given up, never the run."""

    def __init__(
        self,
        plan: RunPlan,
        settings: Settings,
        directory: int,
        root: Path,
        count: SyncCount,
        *,
        begun: Begun | None = None,
    ) -> None:
        """Create it in the open `directory` of the run, which lies below `root` and stays open until `end`.

        `begun`: it is the second one of the run. Raises OSError.
        """
        assert plan.start.source is not None  # noqa: S101 see `open`
        self.token = secrets.token_hex(8) if begun is None else begun.token
        self.untold: list[bytes] = []
        """Closed data files that may not have reached the disk with this journal: bodies of records."""
        self._is_left = False
        self._plan = plan
        self._root = root
        self._interval_s = settings.journal.sync_interval_s
        self._count = count
        second = "" if begun is None else SECOND
        self._output = Output(directory, f"{plan.basename}.{self.token}{second}{SUFFIX}")
        self._files: dict[int, FileJournal] = {}
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._output.append(Kind.RUN, _json(_header(self.token, plan, settings)))
        self._output.append(Kind.START, plan.start.source)
        if begun is not None:
            self._output.append(Kind.BEGUN, _json(begun.told()))
            for body in begun.untold:
                self._output.append(Kind.CLOSED_BEFORE, body)
        self._output.flush()
        try:
            registry.add(self._root, self.token, "/".join((*plan.directory, self._output.name)))
        except OSError as error:
            _log.warning("the run is not entered in %s: %s", registry.DIRECTORY, error.strerror)

    @classmethod
    def open(
        cls,
        plan: RunPlan,
        settings: Settings,
        directory: int,
        root: Path,
        count: SyncCount,
        *,
        begun: Begun | None = None,
    ) -> RunJournal | None:
        """None where there is none: switched off, a run whose start message is not known, or an error."""
        if not settings.journal.enabled or plan.start.source is None:
            return None
        try:
            journal = cls(plan, settings, directory, root, count, begun=begun)
        except OSError as error:
            problem = error.strerror
        else:
            problem = "" if begun is None else journal._output.problem
            if not problem:
                # Whatever became of the first journal: the run is followed again.
                count.problem = ""
                return journal
            journal.end(keep=False)
        count.problem = f"the journal of the run cannot be created: {problem}"
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
        source = _encoded(message) if message.source is None else message.source
        self._output.append(Kind.CALIBRATION, source)
        self._output.flush()

    def closing(self, facts: Mapping[str, object]) -> None:
        """A data file is about to get its final name: `facts` stand for its images from then on."""
        self._note(Kind.CLOSING, facts)
        if self._output.problem and len(self.untold) < MAX_UNTOLD:
            self.untold.append(_json(facts))

    def part(self, facts: Mapping[str, object]) -> None:
        """A data file that the run cannot go on with is about to be published as a part of what it should
        have become, in the directory that the run was begun in."""
        self._note(Kind.PART, facts)

    def closed(self, file_index: int) -> int:
        """The data file stands under its final name; how many images of it were counted as synced."""
        journal = self._files.pop(file_index, None)
        if journal is None:
            return 0
        journal.remove(on_disk=self._plan.sync)
        return journal.left()

    def left(self, file_index: int) -> int:
        """The run cannot go on with a data file, nor publish it: its journal stays, for what it holds is not
        elsewhere. How many images of it were counted as synced."""
        journal = self._files.get(file_index)
        if journal is None:
            return 0
        journal.flush()
        return journal.left()

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

    def goes_on_in(self, directory: str, *, is_followed: bool) -> None:
        """The run goes on in `directory` (absolute path); `is_followed`: with a second journal there.

        No file is opened here any more, and what becomes of this journal says nothing of the run.
        """
        self._is_left = True
        self._over.set()
        self._note(Kind.WENT_ON, {"directory": directory, "is_followed": is_followed})

    def ended(self) -> None:
        """The run is finished; the first journal is about to be removed, and this one after it."""
        self._note(Kind.ENDED, {})

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
        if problem and not self._count.problem and not self._is_left:
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


def _encoded(message: CalibrationMessage) -> bytes:
    """A message with the images of one that is not kept as it came."""
    images = {name: pixels(p.data, p.codec, p.dtype, p.shape) for name, p in message.data.items()}
    series = {"series_id": message.series_id, "series_unique_id": message.series_unique_id}
    return encode({"type": "calibration", **series, "data": images})


def boot_id() -> str:
    """Of the running system: another one later means that what was not synced may be lost."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
