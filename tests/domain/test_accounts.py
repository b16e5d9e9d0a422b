"""Every image that came is in a file or counted with a reason, however the run ends."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jfwriter.daemon.board import Board
from jfwriter.daemon.budget import ByteBudget
from jfwriter.daemon.jobs import Job
from jfwriter.daemon.results import result_of_report
from jfwriter.daemon.writer_events import ImageLost, ImageSkipped, RunFailed, RunFinished
from jfwriter.daemon.writer_thread import WriterThread
from jfwriter.errors import StorageError
from jfwriter.hdf5.run_writer import RunWriter
from jfwriter.session.orders import ClosedFile, Discard, Order, RunReport, WriteImage
from jfwriter.session.plan import RunPlan
from jfwriter.session.session import Session
from tests.support import messages
from tests.support.payloads import packed
from tests.support.writer_run import pixels

FAULTS = st.sampled_from(["none", "none", "lost", "failed", "close", "open", "gone"])
ENDS = st.sampled_from(["end", "cancel", "stop", "supersede", "abort"])


class Faulty(RunWriter):
    """Fails at one image or file."""

    fault = "none"
    at = 0

    def open(self) -> None:
        super().open()
        if self.fault == "open":
            raise StorageError("no_space", "full")

    def _store(self, files: Any, order: WriteImage) -> int:
        if order.image.image_id == self.at and self.fault == "lost":
            broken = messages.image(self.at, channels={"default": packed(pixels(0).astype("u4"))})
            return super()._store(files, WriteImage(order.file_index, order.row, broken))
        if order.image.image_id == self.at and self.fault == "failed":
            raise StorageError("no_space", "full")
        return super()._store(files, order)

    def close_file(self, file_index: int) -> None:
        if self.fault == "close":
            self._failure = StorageError("io_error", "bad disk")
            raise StorageError("io_error", "bad disk")
        super().close_file(file_index)
        if self.fault == "gone":
            (Path(self._settings.files.root_dir) / self._plan.data_file_name(file_index)).unlink()


class Late:
    """A session and a writer thread's work that lags behind it by as many orders as wished."""

    def __init__(self, root: Path, fault: str, at: int) -> None:
        self.settings = messages.settings(files={"root_dir": str(root), "sync": False})
        self.session = Session(self.settings)
        self.reports: list[RunReport] = []
        self.waiting: deque[Order] = deque()
        self.fault, self.at = fault, at
        self.writer = WriterThread(self.make, lambda: None, ByteBudget(1 << 20, lambda: None))

    def make(self, plan: RunPlan, on_closed: Callable[[ClosedFile], None]) -> Faulty:
        files = Faulty(plan, (), self.settings, on_closed)
        files.fault, files.at = (self.fault, self.at) if plan.serial == 1 else ("none", 0)
        return files

    def put(self, orders: tuple[Order, ...]) -> None:
        self.waiting += [order for order in orders if not isinstance(order, Discard)]

    def work(self, n_orders: int) -> None:
        for _ in range(min(n_orders, len(self.waiting))):
            self.writer.put(Job((self.waiting.popleft(),), 0, 0.0))  # type: ignore[arg-type]
            self.writer._do_next()
        for event in self.writer.take_events():
            if isinstance(event, ImageLost):
                self.session.image_lost(event.serial, event.image_id)
            elif isinstance(event, ImageSkipped):
                self.session.image_skipped(event.serial)
            elif isinstance(event, RunFailed):
                self.session.run_failed(event.serial, event.reason, event.text)
            elif isinstance(event, RunFinished):
                self.reports.append(event.report)


@given(
    fault=FAULTS,
    at=st.integers(0, 9),
    file_format=st.sampled_from([1, 2, 3]),
    numbers=st.lists(st.integers(-1, 11) | st.just(10**6), max_size=16),
    lags=st.lists(st.integers(0, 6), min_size=20, max_size=20),
    end=ENDS,
)
def test_received_is_written_and_dropped(  # noqa: PLR0917 all that a run can meet
    fault: str, at: int, file_format: int, numbers: list[int], lags: list[int], end: str
) -> None:
    with tempfile.TemporaryDirectory() as name:
        late = Late(Path(name), fault, at)
        late.put(late.session.on_start(messages.start(file_format=file_format), 0.0))
        for image_id, lag in zip(numbers, lags, strict=False):
            image = messages.image(image_id, channels={"default": packed(pixels(image_id % 100))})
            late.put(late.session.on_image(image))
            late.work(lag)
        late.session.on_image(messages.image(0, series_id=9))
        if end == "end":
            late.put(late.session.on_end(messages.end()))
        elif end == "cancel":
            late.put(late.session.cancel())
        elif end == "supersede":
            late.put(late.session.on_start(messages.start(2), 1.0))
        else:
            late.put(late.session.stop())
            late.writer._aborted = end == "abort"
        late.work(100)
        late.writer._abandon_run()
        report = late.reports[0]
        assert report.n_received == len(numbers) + 1
        assert report.n_received == report.n_written + sum(report.dropped.values())
        n_missing = sum(last - first + 1 for first, last in report.missing)
        assert report.n_written + n_missing == report.n_images
        assert len(report.files) == len({*report.files} & {path.name for path in Path(name).iterdir()})
        board = Board()
        board.finished(1, result_of_report(report, 0.0))
        assert board.last_run is not None
        assert board.last_run.images_received == len(numbers) + 1
