"""What follows from the writer thread's work: announcements, notifications, counters, log lines."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from typing import assert_never

from jfwriter.daemon.announce import Announcer
from jfwriter.daemon.board import Board
from jfwriter.daemon.fatal import Fatal
from jfwriter.daemon.notify import RunNotifier
from jfwriter.daemon.results import in_one_line, result_of_refusal, result_of_report
from jfwriter.daemon.root import Root
from jfwriter.daemon.status import LastRun
from jfwriter.daemon.wire_log import WireLog
from jfwriter.daemon.writer_events import (
    DuplicateCompared,
    FileClosed,
    ImageLost,
    ImageSkipped,
    RunFailed,
    RunFinished,
    WriterDied,
    WriterEnded,
    WriterEvent,
)
from jfwriter.session.orders import DropReason, Likeness, Outcome, RunReport
from jfwriter.session.plan import RunPlan
from jfwriter.session.session import Session
from jfwriter.session.snapshot import Refusal

NOT_FINALIZED = "stopped: the writer was ended before the run was on disk; what was written is not known"

_LIKENESS = {
    Likeness.SAME: " with the same bytes as the first one",
    Likeness.DIFFERS: " and differs from the first one, which stays: crc32 of the bytes as they are stored",
    Likeness.UNKNOWN: "; whether it differs is unknown: the data file of the first one is closed or lacks it",
}


class Aftermath:
    """Event loop only."""

    def __init__(
        self,
        *,
        root: Root,
        session: Session,
        board: Board,
        announcer: Announcer | None,
        notifier: RunNotifier,
        wire_log: WireLog,
        fatal: Fatal,
    ) -> None:
        self.writer_ended = asyncio.Event()
        self._root = root
        self._session = session
        self._board = board
        self._announcer = announcer
        self._notifier = notifier
        self._wire_log = wire_log
        self._fatal = fatal
        self._waiting: dict[int, list[asyncio.Future[LastRun]]] = {}

    def handle(self, event: WriterEvent) -> None:
        """Do what `event` asks for."""
        match event:
            case FileClosed(plan, file):
                self._board.file_closed(plan.serial, file)
                if self._announcer is not None:
                    self._announcer.file_closed(plan, file)
            case ImageLost() | ImageSkipped() | DuplicateCompared():
                self._image_not_written(event)
            case RunFailed():
                text = self._root.public(event.text)
                self._session.run_failed(event.serial, event.reason, text)
                text = f"the run failed ({event.reason}): {text}; its images are thrown away"
                self._wire_log.say(logging.ERROR, text)
            case RunFinished(report) if report.plan.serial in self._board.unfinished:
                self._run_finished(report)
            case RunFinished(report):
                self._came_late(report)
            case WriterDied(text):
                self._fatal.fail(f"the writer thread has died: {text}")
            case WriterEnded():
                self.writer_ended.set()
            case _:
                assert_never(event)

    def run_refused(self, refusal: Refusal) -> None:
        """The refused run is over for everybody who waits for it, although its messages still come."""
        result = result_of_refusal(refusal)
        self._board.runs_refused[refusal.reason] += 1
        self._board.finished(None, result)
        self._told(result)
        if self._announcer is not None:
            self._announcer.run_finished(result, refusal.start)
        self._notifier.run_finished(result, refusal.start)

    def not_finalized(self, plan: RunPlan, text: str = NOT_FINALIZED, failure: str = "stopped") -> None:
        """The daemon ends, or waits no longer, and the writer thread has not told how this run ended."""
        report = RunReport(
            plan, Outcome.FAILED, (text,), n_images=0, n_written=0, missing=(), failure=failure
        )
        self._run_finished(report)

    def when_finished(self, serial: int) -> asyncio.Future[LastRun]:
        """Done with the result when run `serial` has been finalized."""
        future: asyncio.Future[LastRun] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(serial, []).append(future)
        return future

    def give_up_waiting(self) -> None:
        """Whoever waits for a result gets a cancellation instead."""
        for futures in self._waiting.values():
            for future in futures:
                future.cancel()
        self._waiting.clear()

    def _image_not_written(self, event: ImageLost | ImageSkipped | DuplicateCompared) -> None:
        if isinstance(event, ImageLost):
            self._image_lost(event)
        elif isinstance(event, DuplicateCompared):
            self._duplicate_compared(event)
        else:
            self._session.image_skipped(event.serial)
            self._board.images_dropped[DropReason.RUN_FAILED] += 1

    def _image_lost(self, event: ImageLost) -> None:
        self._session.image_lost(event.serial, event.image_id)
        self._board.images_dropped[DropReason.WRITE_FAILED] += 1
        text = f"image {event.image_id} could not be stored ({event.reason}): {event.text}"
        self._wire_log.once(logging.ERROR, ("image_lost", event.reason), text)

    def _duplicate_compared(self, event: DuplicateCompared) -> None:
        self._board.duplicate_compared(event.serial, event.likeness)
        level = logging.INFO if event.likeness is Likeness.SAME else logging.WARNING
        self._wire_log.once(
            level,
            ("duplicate", event.likeness),
            f"image {event.image_id} came again{_LIKENESS[event.likeness]}",
        )

    def _run_finished(self, report: RunReport) -> None:
        reasons = tuple(self._root.public(reason) for reason in report.reasons)
        result = result_of_report(replace(report, reasons=reasons), time.time())
        self._board.finished(report.plan.serial, result)
        if report.failure:
            counter = self._board.runs_refused if report.refused else self._board.runs_failed
            counter[report.failure] += 1
        self._told(result)
        if result.quantities_left_out:
            text = ", ".join(f"{path}: {n}" for path, n in result.quantities_left_out.items())
            self._wire_log.say(
                logging.WARNING, f"values that could not be stored as they were, by dataset: {text}"
            )
        start = report.plan.start
        if self._announcer is not None:
            self._announcer.run_finished(result, start, report.missing, report.files)
        self._notifier.run_finished(result, start)
        for future in self._waiting.pop(report.plan.serial, ()):
            if not future.done():
                future.set_result(result)

    def _came_late(self, report: RunReport) -> None:
        """The run was told of as failed already; what has become of it after all is for the log."""
        text = f"{report.n_written} images in {len(report.files)} files are on disk"
        self._wire_log.say(logging.WARNING, f"run {report.plan.prefix!r}, which was given up: {text}")

    def _told(self, result: LastRun) -> None:
        good = result.outcome == Outcome.COMPLETE
        self._wire_log.say(logging.INFO if good else logging.WARNING, in_one_line(result))
