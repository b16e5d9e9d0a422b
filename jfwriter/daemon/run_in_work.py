"""One run on the writer thread: orders become files, and what goes wrong becomes an event."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from jfwriter.analysis.figures import RunFigures
from jfwriter.daemon.analysis_pool import PendingRun
from jfwriter.daemon.writer_events import (
    DuplicateCompared,
    FileClosed,
    ImageLost,
    ImageSkipped,
    RunFailed,
    RunFinished,
    WriterEvent,
)
from jfwriter.errors import FailRun, PayloadError, RunRefused, StorageError
from jfwriter.hdf5.losses import with_losses
from jfwriter.journal.sync_count import SyncCount
from jfwriter.session.orders import (
    ClosedFile,
    CloseFile,
    CompareImage,
    DropReason,
    FinishRun,
    Likeness,
    Outcome,
    RunReport,
    WriteCalibration,
    WriteImage,
)
from jfwriter.session.plan import RunPlan
from jfwriter.wire.messages import CalibrationMessage, ImageMessage


class RunFiles(Protocol):
    """The files of one run: what is needed of `hdf5.RunWriter`, whose docstrings count."""

    @property
    def synced(self) -> SyncCount: ...
    def open(self) -> None: ...
    def write_images(
        self, orders: Iterable[WriteImage]
    ) -> Iterator[tuple[WriteImage, int | PayloadError]]: ...
    def compare(self, order: CompareImage) -> Likeness: ...
    def write_calibration(self, message: CalibrationMessage) -> None: ...
    def close_file(self, file_index: int) -> None: ...
    def finish(self, order: FinishRun) -> RunReport: ...
    def abandon(self) -> None: ...  # and after it, `finish` only reports


_log = logging.getLogger(__name__)

MakeRunFiles = Callable[[RunPlan, Callable[[ClosedFile], None]], RunFiles]


@dataclass(slots=True)
class Progress:
    """Counters that only the writer thread changes; everybody may read them at any time."""

    serial: int = 0
    """The run that the next one belongs to."""
    n_written: int = 0
    total_written: int = 0
    total_bytes: int = 0
    synced: SyncCount = field(default_factory=SyncCount)
    """Of the latest run."""
    figures: RunFigures | None = None
    """Of the latest run."""
    current: tuple[float, float] | None = None
    """Monotonic times at which the first message in work arrived, and the last sign of life: work on an image
    began, or a file was closed. None: nothing to do."""

    def is_alive(self) -> None:
        """A sign of life."""
        if self.current is not None:
            self.current = (self.current[0], time.monotonic())


class RunInWork:
    """Opens, fills and finishes the files of one run; tells of its failure and of its end once each.

    A run that has failed lets go of its files at once (a file is never synced again after a failed sync),
    writes nothing more, and is reported as failed when it is finished. Published files stay.
    """

    def __init__(
        self,
        plan: RunPlan,
        make_files: MakeRunFiles,
        post: Callable[[WriterEvent], None],
        progress: Progress,
        *,
        figures: RunFigures,
        pending: PendingRun | None = None,
    ) -> None:
        """`pending`: the analysis of the run, None if it has none."""
        self._plan = plan
        self._post = post
        self._progress = progress
        self._figures = figures
        self._pending = pending
        self._files = make_files(plan, _file_listener(plan, post, progress))
        self._error: FailRun | None = None
        self._skipped: set[int] = set()
        """Accepted images that were not handed to the files because the run had failed."""
        progress.n_written = 0
        progress.synced = self._files.synced
        progress.serial = plan.serial

    def open(self) -> None:
        try:
            self._files.open()
        except FailRun as error:
            self._fail(error)

    def write(self, orders: Iterable[WriteImage]) -> None:
        """Store images that came one after another; all are asked for at once."""
        if self._error is not None:
            for order in orders:
                self._skipped.add(order.image.image_id)
                self._post(ImageSkipped(self._plan.serial))
            return
        n_in_work = 0
        written: list[ImageMessage] = []

        def taken() -> Iterator[WriteImage]:
            nonlocal n_in_work
            for order in orders:
                n_in_work += 1
                self._progress.is_alive()
                yield order

        try:
            for order, stored in self._files.write_images(taken()):
                self._told(order, stored)
                if not isinstance(stored, PayloadError):
                    written.append(order.image)
                n_in_work -= 1
        except FailRun as error:
            self._fail(error)
            for _ in range(n_in_work):
                self._post(ImageSkipped(self._plan.serial))
        self._figures.add(written)

    def do(self, order: CompareImage | WriteCalibration | CloseFile) -> None:
        if self._error is not None:
            return
        try:
            if isinstance(order, CompareImage):
                self._compare(order)
            elif isinstance(order, WriteCalibration):
                self._files.write_calibration(order.message)
            else:
                self._files.close_file(order.file_index)
        except FailRun as error:
            self._fail(error)

    def finish(self, order: FinishRun) -> None:
        order = with_losses(order, self._skipped, DropReason.RUN_FAILED)
        report = self._files.finish(replace(order, figures=self._run_figures()))
        if self._pending is not None:
            self._pending.let_go()
        error = self._error
        if error is not None:
            failure = f"{error.reason}: {error}"
            report = replace(
                report,
                outcome=Outcome.FAILED,
                reasons=(failure, *(reason for reason in report.reasons if reason != failure)),
                failure=error.reason,
                refused=isinstance(error, RunRefused),
            )
        self._post(RunFinished(report))

    def give_up(self, why: StorageError | None = None) -> None:
        """Nothing more of the run is written, and it is reported as failed; `why` None: the daemon ends."""
        if self._error is None:
            self._fail(why or StorageError("stopped", "the writer was ended before the run was on disk"))

    def skip(self, image_id: int) -> None:
        """An image of the run was thrown away, and counted, while it waited."""
        self._skipped.add(image_id)

    def abandon(self) -> None:
        """Let go of the files as they are; what is not published stays under its temporary name."""
        self._files.abandon()

    def _told(self, order: WriteImage, stored: int | PayloadError) -> None:
        if isinstance(stored, PayloadError):
            self._post(ImageLost(self._plan.serial, order.image.image_id, stored.reason, str(stored)))
            return
        self._progress.n_written += 1
        self._progress.total_written += 1
        self._progress.total_bytes += stored

    def _compare(self, order: CompareImage) -> None:
        likeness = self._files.compare(order)
        self._post(DuplicateCompared(self._plan.serial, order.image.image_id, likeness))

    def _run_figures(self) -> dict[str, float]:
        figures: dict[str, float] = dict(self._figures.of_the_run())
        pending = self._pending
        if pending is not None:
            figures |= {"images_analysed": pending.n_analysed, "images_skipped": pending.n_skipped}
            if pending.n_skipped:
                _log.warning(
                    "run %s: %d images were written without analysis: it or the writer could not keep up",
                    self._plan.prefix,
                    pending.n_skipped,
                )
        return figures

    def _fail(self, error: FailRun) -> None:
        self._error = type(error)(error.reason, str(error))  # without its traceback
        self._post(RunFailed(self._plan.serial, error.reason, str(error)))
        self.abandon()


def _file_listener(
    plan: RunPlan, post: Callable[[WriterEvent], None], progress: Progress
) -> Callable[[ClosedFile], None]:
    """Does not hold the run in work, whose files hold it: no circle that waits for the garbage collector."""

    def closed(file: ClosedFile) -> None:
        progress.is_alive()  # many files may be closed for one message
        post(FileClosed(plan, file))

    return closed
