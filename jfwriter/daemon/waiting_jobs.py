"""What waits for the writer thread, and in which order it is done.

In the order of arrival, but for one thing: an image that is being analysed is passed by those behind it that
are not, or not any more, as long as these are of the same data file. Rows may be written in any order, and an
analysis takes longer than writing.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable

from jfwriter.daemon.analysis_pool import PendingImage
from jfwriter.daemon.jobs import Job
from jfwriter.session.orders import WriteImage


class WaitingJobs:
    """`put` and `change` belong to the event loop, the rest to the writer thread. None stands for the end."""

    def __init__(self) -> None:
        self._arrived: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._taking = threading.Lock()
        """Held while the writer thread waits for a job: free means that it is at work. The others below are
        changed under it."""
        self._ahead: list[Job | None] = []
        """At most one, taken and found to have to wait for those before it."""
        self._late: deque[Job] = deque()
        """Images of one data file that are being analysed and were passed by others."""

    def put(self, job: Job | None) -> None:
        self._arrived.put(job)

    def take(self) -> Job | None:
        """The next job; waits for one. The analysis of its image may not be done yet."""
        with self._taking:
            while True:
                if self._late and (_is_analysed(self._late[0]) or not self._is_any_behind()):
                    return self._late.popleft()
                job = self._ahead.pop() if self._ahead else self._arrived.get()
                if not self._may_pass(job):
                    self._ahead.append(job)
                    return self._late.popleft()
                if job is None or _image_of(job) is None or _is_analysed(job):
                    return job
                self._late.append(job)

    def take_image(self) -> Job | None:
        """The next job if it has come, and writes an image that nobody analyses and nothing else."""
        with self._taking:
            try:
                job = self._ahead.pop() if self._ahead else self._arrived.get_nowait()
            except queue.Empty:
                return None
            if job is not None and image_alone(job) is not None and self._may_pass(job):
                return job
            self._ahead.append(job)
            return None

    def change(self, change: Callable[[list[Job]], Iterable[Job]]) -> list[Job] | None:
        """Take what waits and have wait instead what `change` makes of it; returns what waited. None: the
        writer thread waits for a job itself."""
        if not self._taking.acquire(blocking=False):
            return None
        try:
            waited: list[Job | None] = [*self._late, *self._ahead]
            self._late.clear()
            self._ahead.clear()
            with contextlib.suppress(queue.Empty):
                while True:
                    waited.append(self._arrived.get_nowait())
            jobs = [job for job in waited if job is not None]
            for job in change(jobs):
                self._arrived.put(job)
            if None in waited:
                self._arrived.put(None)
        finally:
            self._taking.release()
        return jobs

    def _is_any_behind(self) -> bool:
        return bool(self._ahead) or not self._arrived.empty()

    def _may_pass(self, job: Job | None) -> bool:
        """Whether a job may be done before those that are late: an image of their file may, and nothing else:
        a file that is closed takes no image any more."""
        if not self._late:
            return True
        order, late = None if job is None else _image_of(job), _image_of(self._late[0])
        return order is not None and late is not None and order.file_index == late.file_index


def image_alone(job: Job) -> WriteImage | None:
    """The image of a job that is nothing else, and that nobody is at work on."""
    return _image_of(job) if job.analysis is None else None


def _image_of(job: Job) -> WriteImage | None:
    """The image of a job that is nothing else."""
    order = job.orders[0]
    return order if len(job.orders) == 1 and isinstance(order, WriteImage) else None


def _is_analysed(job: Job) -> bool:
    """Whether nobody is at work on its image."""
    return not isinstance(job.analysis, PendingImage) or job.analysis.is_done
