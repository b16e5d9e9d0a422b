"""What is known about the daemon at this moment: counters that the event loop keeps, read as one snapshot."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable

from jfwriter import __version__
from jfwriter.daemon.gap_view import GapView
from jfwriter.daemon.rates import RateWindow
from jfwriter.daemon.status import LastRun, State, Totals
from jfwriter.session.orders import ClosedFile
from jfwriter.session.plan import RunPlan
from jfwriter.wire.messages import StartMessage

SUSPICIOUS_IMAGES = 20
"""After so many images it is said that every second one is missing."""


class Board:
    """Event loop only; the pipeline and the writer's events change it, `reports` reads it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.started_at = clock()
        self.stopping = False
        self.rates = RateWindow()
        self.gaps = GapView(clock)
        self.version = __version__

        self.messages: Counter[str] = Counter()
        self.bad_messages: Counter[str] = Counter()
        self.images_dropped: Counter[str] = Counter()
        self.messages_dropped: Counter[str] = Counter()
        """Of every type, images included."""
        self.runs: Counter[str] = Counter()
        self.runs_refused: Counter[str] = Counter()
        self.runs_failed: Counter[str] = Counter()
        self.http_refused: Counter[str] = Counter()
        self.n_unexpected = 0
        self.n_values_left_out = 0
        self.refused_start = ""
        """Why the latest start message could not be decoded; empty once a run has been started since."""
        self.refused_reload = False
        """Whether the settings, when they were read again, were wrong."""
        self.n_ignored_fields = 0
        self.n_images_received = 0
        self.n_files_closed = 0

        self.start: StartMessage | None = None
        """Of the run that is open, or refused and drained, or being finalized."""
        self.implausible: tuple[str, ...] = ()
        """What the latest start message says and cannot be."""
        self.plan: RunPlan | None = None
        """Of the same run; None if it was refused."""
        self.run_images_received = 0
        self.run_bad_messages = 0
        self.run_ignored_fields = 0
        self.run_files_closed = 0
        self.run_duplicates: Counter[str] = Counter()
        """By how they compare with the first one."""
        self.unfinished: dict[int, RunPlan] = {}
        """By serial: the runs that the writer has not finalized yet."""
        self.last_message_at = self.started_at
        self.last_files: deque[str] = deque(maxlen=10)
        self.last_run: LastRun | None = None
        self.runs_to_recover: list[str] = []
        """Journals, relative to the root, of runs that a crash or a failure has left."""
        self._last_image_id = -1
        self._n_steps_of_two = 0

    def started(self, start: StartMessage) -> None:
        """A start message opened a run, or was refused."""
        self.start = start
        self.refused_start = ""
        self.plan = None
        self.gaps.forget()
        self.run_images_received = 0
        self.run_bad_messages = 0
        self.run_ignored_fields = 0
        self.run_files_closed = 0
        self.run_duplicates.clear()
        self._last_image_id = -1
        self._n_steps_of_two = 0

    def opened(self, plan: RunPlan) -> None:
        self.plan = plan
        self.unfinished[plan.serial] = plan

    @property
    def serial(self) -> int | None:
        """Of the latest run; None if it was refused."""
        return None if self.plan is None else self.plan.serial

    def image_came(self, image_id: int) -> None:
        self.n_images_received += 1
        self.run_images_received += 1
        self._n_steps_of_two += image_id - self._last_image_id == 2
        self._last_image_id = image_id

    def fields_ignored(self, n_fields: int) -> None:
        self.n_ignored_fields += n_fields
        self.run_ignored_fields += n_fields

    def bad_message(self, kind: str) -> None:
        self.bad_messages[kind] += 1
        self.run_bad_messages += 1

    def bad_start(self, kind: str, text: str) -> None:
        """A start message could not be decoded: its run is lost as if it had been refused."""
        self.runs_refused[kind] += 1
        self.refused_start = f"{kind}: {text}"

    def file_closed(self, serial: int, file: ClosedFile) -> None:
        self.n_files_closed += 1
        self.run_files_closed += serial == self.serial
        self.last_files.appendleft(file.filename)

    def duplicate_compared(self, serial: int, likeness: str) -> None:
        if serial == self.serial:
            self.run_duplicates[likeness] += 1

    def finished(self, serial: int | None, result: LastRun) -> None:
        """`serial` None: the run was refused and never opened."""
        self.runs[result.outcome] += 1
        self.n_unexpected += result.images_unexpected
        self.n_values_left_out += sum(result.quantities_left_out.values())
        self.last_run = result
        if serial is not None:
            self.unfinished.pop(serial, None)

    @property
    def every_second_is_missing(self) -> bool:
        """Two receivers on one PUSH socket get the images in turn. Of several writers each may get so."""
        return (
            self.plan is not None
            and self.plan.only_writer
            and self.run_images_received >= SUSPICIOUS_IMAGES
            and self._n_steps_of_two > 0.8 * self.run_images_received
        )

    def totals(
        self, n_written: int, written_bytes: int, n_pauses: int, n_analysed: int = 0, n_skipped: int = 0
    ) -> Totals:
        return Totals(
            messages=dict(self.messages),
            bad_messages=dict(self.bad_messages),
            ignored_fields=self.n_ignored_fields,
            images_received=self.n_images_received,
            images_written=n_written,
            images_dropped=dict(self.images_dropped),
            messages_dropped=dict(self.messages_dropped),
            written_bytes=written_bytes,
            images_analysed=n_analysed,
            analysis_skipped=n_skipped,
            files_closed=self.n_files_closed,
            runs=dict(self.runs),
            runs_refused=dict(self.runs_refused),
            runs_failed=dict(self.runs_failed),
            images_unexpected=self.n_unexpected,
            quantities_left_out=self.n_values_left_out,
            receiving_pauses=n_pauses,
            http_refused=dict(self.http_refused),
        )

    def state(self, session_state: str) -> State:
        """`session_state`: that of the session (`idle`, `open`, `draining`)."""
        if self.stopping or session_state == "draining":
            return State.DRAINING
        if session_state == "open":
            return State.WRITING
        return State.FINALIZING if self.unfinished else State.IDLE
