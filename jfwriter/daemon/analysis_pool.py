"""Threads that complete images between their arrival and their writing.

The event loop hands images over, in the order of their arrival; the writer thread takes them completed. When
too many wait, for their analysis or for the writer thread, an image is not handed over and is written as it
came: that is counted, and costs nobody time.
"""

from __future__ import annotations

import functools
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from jfwriter.analysis import KeptProducts, Prepared, Scratch, Wishes, completes_start, prepare, wishes_of
from jfwriter.errors import PayloadError
from jfwriter.session.plan import RunPlan
from jfwriter.settings import Settings
from jfwriter.wire.messages import ImageMessage

STARTUP_FACTOR = 16
"""While a run is being prepared, so many times the backlog may wait: nothing can be analysed yet."""
BEHIND_PART = 16
"""One part in so many of the byte budget may wait for the writer thread; what comes then is not analysed, for
that would take the cores and the interpreter from it."""

_log = logging.getLogger(__name__)


class PendingRun:
    """A run that is analysed: prepared in the pool, awaited by the writer thread."""

    def __init__(self, plan: RunPlan, wishes: Wishes, settings: Settings) -> None:
        self._settings = settings
        self.n_analysed = 0
        self.n_skipped = 0
        """Images written without analysis: too many waited, or the writer was behind."""
        self.n_failed = 0
        """Images whose pixels do not unpack."""
        self._prepared = Prepared(plan, None, wishes)
        self._completes_start = completes_start(plan, wishes)
        self._ready = threading.Event()
        self._scratch: dict[int, Scratch] = {}
        self._failures: dict[str, str] = {}

    @property
    def is_ready(self) -> bool:
        return self._ready.is_set()

    @property
    def quantities(self) -> list[str]:
        """Names of what is computed for some or all images of the run."""
        failed = self.failures
        return sorted(name for name in self._prepared.wishes.names() if name not in failed)

    @property
    def problems(self) -> list[str]:
        """What is not computed, and why; known when the run is ready."""
        given_up = [f"{name} is given up: {text}" for name, text in self.failures.items()]
        return [*self._prepared.warnings, *given_up]

    @property
    def failures(self) -> dict[str, str]:
        """Quantities that were given up, and what they raised."""
        analyser = self._prepared.analyser
        return self._failures if analyser is None else dict(analyser.failures)

    def plan(self) -> RunPlan:
        """The plan with the completed start message. Writer thread: waits for the preparation if that may
        complete it."""
        if self._completes_start:
            self._ready.wait()
        return self._prepared.plan

    def wants(self, image: ImageMessage) -> bool:
        if not self._ready.is_set():
            return self._prepared.wishes.wants(image)
        analyser = self._prepared.analyser
        return analyser is not None and analyser.wants(image)

    def prepare(self, prepare_: Callable[[RunPlan, Settings], Prepared]) -> None:
        """Pool thread. A run that cannot be prepared is written without analysis."""
        plan = self._prepared.plan
        try:
            prepared = prepare_(plan, self._settings)
        except Exception as error:  # noqa: BLE001 never the run
            _log.exception("the analysis of run %s could not be prepared", plan.prefix)
            text = f"nothing is computed: {type(error).__name__}: {error}"
            prepared = Prepared(plan, None, Wishes(), (text,))
        self._prepared = prepared
        for warning in prepared.warnings:
            _log.warning("analysis of run %s: %s", plan.prefix, warning)

    def complete(self, image: ImageMessage) -> ImageMessage:
        """Pool thread. Raises PayloadError if the pixels do not unpack."""
        self._ready.wait()
        analyser = self._prepared.analyser
        if analyser is None:
            return image
        return analyser.complete(image, self._scratch.setdefault(threading.get_ident(), Scratch()))

    def release(self) -> None:
        """Whoever waits goes on, with what there is."""
        self._ready.set()

    def let_go(self) -> None:
        """Free maps and buffers. Writer thread, after the last image."""
        self._failures = self.failures
        self._prepared = replace(self._prepared, analyser=None)
        self._scratch.clear()


class PendingImage:
    """An image on its way through the pool."""

    def __init__(self, run: PendingRun, image: ImageMessage, n_bytes: int) -> None:
        """`n_bytes`: what it is charged with."""
        self.run = run
        self.n_bytes = n_bytes
        self._image = image
        self._done = threading.Event()

    @property
    def is_done(self) -> bool:
        return self._done.is_set()

    def image(self) -> ImageMessage:
        """The completed image, or as it came where that failed. Writer thread: waits."""
        self._done.wait()
        return self._image

    def complete(self) -> bool:
        """Pool thread. False if its pixels do not unpack."""
        try:
            self._image = self.run.complete(self._image)
        except PayloadError as error:
            _log.warning("image %d is not analysed: %s", self._image.image_id, error)
            return False
        return True

    def release(self) -> None:
        self._done.set()


Pending = PendingRun | PendingImage


class AnalysisPool:
    """`start` before use; `open`, `submit` and `close_run` belong to the event loop.

    `on_death` is called on a pool thread that met a bug; nobody waits for ever for what the pool held then.
    """

    def __init__(
        self,
        settings: Settings,
        on_death: Callable[[str], None],
        held_bytes: Callable[[], int],
        prepare_: Callable[[RunPlan, Settings], Prepared] | None = None,
    ) -> None:
        """`held_bytes` tells what all messages are charged with that have come and are not done."""
        self.n_analysed = 0
        self.n_skipped = 0
        self.run: PendingRun | None = None
        """The latest run; None if nothing of it is analysed."""
        self._settings = settings
        self._on_death = on_death
        self._prepare = prepare_ or functools.partial(prepare, kept=KeptProducts())
        self._held_bytes = held_bytes
        self._backlog = settings.analysis.threads * settings.analysis.backlog_images
        self._behind_bytes = settings.memory.byte_budget_bytes // BEHIND_PART
        self._tasks: queue.SimpleQueue[Pending | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._n_submitted = self._submitted_bytes = 0
        """Changed by the event loop alone."""
        self._n_done = self._done_bytes = 0
        self._aborted = False
        self._threads = [
            threading.Thread(target=self._work, name=f"analysis-{i}", daemon=True)
            for i in range(settings.analysis.threads)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def use(self, settings: Settings) -> None:
        """For runs that are opened from now on; threads and backlog stay."""
        self._settings = settings

    @property
    def n_waiting(self) -> int:
        return self._n_submitted - self._n_done

    def open(self, plan: RunPlan) -> PendingRun | None:
        """A run begins; None if nothing can be wanted of its pixels."""
        self.run = None
        wishes = wishes_of(plan.start, self._settings.analysis)
        if not wishes or self._aborted:
            return None
        self.run = PendingRun(plan, wishes, self._settings)
        self._put(self.run)
        return self.run

    def submit(self, image: ImageMessage, n_bytes: int) -> PendingImage | None:
        """Hand over an image of the latest run, charged with `n_bytes`; None: it is written as it came."""
        run = self.run
        if run is None or self._aborted or not run.wants(image):
            return None
        if self._are_too_many(run) or self._is_writer_behind(n_bytes):
            run.n_skipped += 1
            self.n_skipped += 1
            return None
        pending = PendingImage(run, image.whole(), n_bytes)
        self._n_submitted += 1
        self._submitted_bytes += n_bytes
        self._put(pending)
        return pending

    def stop(self) -> None:
        """The threads end after what was handed over so far."""
        for _ in self._threads:
            self._tasks.put(None)

    def abort(self) -> None:
        """The threads end after what they are at; what waits is released as it is."""
        self._aborted = True
        self._release_waiting()
        self.stop()

    def join(self, timeout_s: float) -> None:
        """Wait for the threads to end."""
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _are_too_many(self, run: PendingRun) -> bool:
        return self.n_waiting >= self._backlog * (1 if run.is_ready else STARTUP_FACTOR)

    def _is_writer_behind(self, n_bytes: int) -> bool:
        """Whether much waits for the writer thread that does not wait for the pool.

        A backlog that is larger than that is asked for: then the writer waits for the analysis.
        """
        ready_bytes = self._held_bytes() - (self._submitted_bytes - self._done_bytes)
        return ready_bytes > max(self._behind_bytes, self._backlog * n_bytes)

    def _put(self, pending: Pending) -> None:
        self._tasks.put(pending)
        if self._aborted:  # the threads may be gone already
            self._release_waiting()

    def _release_waiting(self) -> None:
        while True:
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                return
            if task is not None:
                self._release(task)

    def _release(self, task: Pending) -> None:
        if isinstance(task, PendingImage):
            with self._lock:
                self._n_done += 1
                self._done_bytes += task.n_bytes
        task.release()

    def _work(self) -> None:
        try:
            while self._do_next():
                pass
        except Exception as error:  # noqa: BLE001 the daemon ends with it
            _log.exception("an analysis thread met an error that it has no answer to")
            self._on_death(f"an analysis thread has died: {type(error).__name__}: {error}")
            self.abort()

    def _do_next(self) -> bool:
        """One task. A method of its own, so that nothing keeps its frame while the thread waits."""
        task = self._tasks.get()
        if task is None:
            return False
        try:
            if not self._aborted:
                self._do(task)
        finally:
            self._release(task)
        return True

    def _do(self, task: Pending) -> None:
        if isinstance(task, PendingRun):
            task.prepare(self._prepare)
            return
        analysed = task.complete()
        with self._lock:
            self.n_analysed += analysed
            task.run.n_analysed += analysed
            task.run.n_failed += not analysed
