"""The one thread that owns every HDF5 object: takes orders from a queue, does them, tells what came of it.

Errors leave the thread as words and text. An h5py exception would carry HDF5 objects with its traceback to
the event loop, and one call on them there stalls the chunk writes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from jfwriter.analysis.figures import RunFigures
from jfwriter.daemon.analysis_pool import Pending, PendingImage, PendingRun
from jfwriter.daemon.budget import ByteBudget
from jfwriter.daemon.jobs import GiveUpRun, Job, SkipImage, WriterOrder, without_images
from jfwriter.daemon.run_in_work import MakeRunFiles, Progress, RunInWork
from jfwriter.daemon.waiting_jobs import WaitingJobs, image_alone
from jfwriter.daemon.writer_events import WriterDied, WriterEnded, WriterEvent
from jfwriter.errors import StorageError
from jfwriter.hdf5.batch import MAX_BYTES, MAX_IMAGES
from jfwriter.session.orders import FinishRun, OpenRun, WriteImage
from jfwriter.session.plan import RunPlan

_log = logging.getLogger(__name__)


class WriterThread:
    """Started by `start`; `stop` ends it after the orders given so far, `abort` as soon as it can: the orders
    that wait are then not carried out, but every run that has its FinishRun is still reported, as failed.

    `on_events` is called on the writer thread and must only wake the event loop, which then takes the events
    with `take_events`. No event is sent per written image: `progress` shows those.
    """

    def __init__(
        self,
        make_files: MakeRunFiles,
        on_events: Callable[[], None],
        budget: ByteBudget,
        min_spots_for_hit: int = 10,
    ) -> None:
        self.progress = Progress()
        self._min_spots_for_hit = min_spots_for_hit
        self._make_files = make_files
        self._on_events = on_events
        self._budget = budget
        self._waiting = WaitingJobs()
        self._events: deque[WriterEvent] = deque()
        self._aborted = False
        self._run: RunInWork | None = None
        # Not joined at exit: a disk that never answers must not keep the process.
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, job: Job) -> None:
        """Event loop only; the job's bytes are charged to the budget already."""
        self._waiting.put(job)

    def stop(self) -> None:
        self._waiting.put(None)

    def abort(self) -> None:
        """Write nothing more and leave the open files as they are."""
        self._aborted = True
        self._waiting.put(None)

    def give_up(self, text: str) -> tuple[WriterOrder, ...] | None:
        """Event loop only: the thread is stuck in a job, and what waits shall not be written any more.

        Returns the orders that waited; their images and bytes are let go. When the thread comes back, it
        reports their runs and the one in work as failed (reason "no_answer", `text`). None: it has come back.
        """
        jobs = self._waiting.change(partial(without_images, text=text))
        if jobs is None:
            return None
        self._budget.give_back(sum(job.charged_bytes for job in jobs))
        return tuple(order for job in jobs for order in job.orders)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def take_events(self) -> list[WriterEvent]:
        """Event loop only: what happened since the last call."""
        events = []
        while self._events:
            events.append(self._events.popleft())
        return events

    def _post(self, event: WriterEvent) -> None:
        self._events.append(event)
        self._on_events()

    def _work(self) -> None:
        try:
            while self._do_next():
                pass
        except Exception as error:  # noqa: BLE001 the daemon ends with it
            _log.exception("the writer thread met an error that it has no answer to")
            self._post(WriterDied(f"{type(error).__name__}: {error}"))
        self._abandon_run()
        self._post(WriterEnded())

    def _abandon_run(self) -> None:
        """Let go of a run that will not be finished any more."""
        if self._run is not None:
            try:
                self._run.abandon()
            except Exception:  # noqa: BLE001 the thread must come to its end
                _log.exception("the files of the run could not be let go")

    def _do_next(self) -> bool:
        """The next job. A method of its own, so that nothing keeps its frame while the thread waits."""
        job = self._waiting.take()
        if job is None:
            return False
        self.progress.current = (job.arrived_at, time.monotonic())
        jobs = [job]
        if image_alone(job) is not None and self._run is not None:
            if self._aborted:
                self._run.give_up()
            self._run.write(self._images(jobs))
        else:
            for order in job.orders:
                self._do(order, job.analysis)
        self.progress.current = None
        self._budget.free(sum(job.charged_bytes for job in jobs))
        return True

    def _images(self, jobs: list[Job]) -> Iterator[WriteImage]:
        """The image of the one job in `jobs`, and those that wait behind it, as far as they may be stored
        together; their jobs are added to `jobs`."""
        n_bytes = 0
        while (image := image_alone(jobs[-1])) is not None:
            yield image
            n_bytes += jobs[-1].charged_bytes
            if len(jobs) == MAX_IMAGES or n_bytes >= MAX_BYTES or self._aborted:
                return
            following = self._waiting.take_image()
            if following is None:
                return
            jobs.append(following)

    def _open(self, plan: RunPlan, analysis: Pending | None) -> None:
        pending = analysis if isinstance(analysis, PendingRun) else None
        self.progress.figures = figures = RunFigures(self._min_spots_for_hit)
        if pending is not None and not self._aborted:
            plan = pending.plan()
        self._run = RunInWork(
            plan, self._make_files, self._post, self.progress, figures=figures, pending=pending
        )
        if self._aborted:
            self._run.give_up()
        else:
            self._run.open()

    def _do(self, order: WriterOrder, analysis: Pending | None) -> None:
        if isinstance(order, OpenRun):
            self._open(order.plan, analysis)
            return
        if self._run is None and isinstance(order, GiveUpRun):
            return  # the run was finished by the job that took so long
        if self._run is None:
            raise AssertionError(f"order {type(order).__name__} without an open run")
        if self._aborted:
            self._run.give_up()
        if isinstance(order, GiveUpRun):
            self._run.give_up(StorageError("no_answer", order.text))
        elif isinstance(order, SkipImage):
            self._run.skip(order.image_id)
        elif isinstance(order, FinishRun):
            self._run.finish(order)
            self._run = None
        elif isinstance(order, WriteImage):
            if isinstance(analysis, PendingImage) and not self._aborted:
                order = replace(order, image=analysis.image())
            self._run.write((order,))
        else:
            self._run.do(order)
