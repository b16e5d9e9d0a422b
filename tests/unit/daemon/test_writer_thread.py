"""The writer thread: orders in order, faults as events, memory given back, and an end that always comes."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jfwriter.analysis import Prepared, Wishes
from jfwriter.analysis.wishes import AZINT, Wish
from jfwriter.daemon.analysis_pool import PendingImage, PendingRun
from jfwriter.daemon.budget import ByteBudget
from jfwriter.daemon.jobs import Job, WriterOrder
from jfwriter.daemon.writer_events import (
    FileClosed,
    ImageLost,
    ImageSkipped,
    RunFailed,
    RunFinished,
    WriterDied,
    WriterEnded,
    WriterEvent,
)
from jfwriter.daemon.writer_thread import WriterThread
from jfwriter.errors import PayloadError, RunRefused, StorageError
from jfwriter.hdf5.batch import MAX_BYTES, MAX_IMAGES
from jfwriter.payload import Codec, Payload
from jfwriter.session.orders import (
    CloseFile,
    FinishRun,
    OpenRun,
    Outcome,
    WriteCalibration,
    WriteImage,
)
from jfwriter.session.plan import RunPlan
from jfwriter.session.planning import make_plan
from jfwriter.settings import Settings
from tests.support import messages
from tests.support.fake_files import Disk


class Thread:
    """A writer thread on a fake disk, and what it told."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.events: list[WriterEvent] = []
        self.ended = threading.Event()
        self.budget = ByteBudget(1 << 20, lambda: None)
        self.writer = WriterThread(self.disk.make_files, self.on_events, self.budget)
        self.writer.start()

    def on_events(self) -> None:
        self.events += self.writer.take_events()
        if self.events and isinstance(self.events[-1], WriterEnded):
            self.ended.set()

    def put(self, *orders: WriterOrder) -> None:
        self.budget.charge(10)
        self.writer.put(Job(orders, 10, time.monotonic()))

    def end(self) -> list[WriterEvent]:
        """All events but the last one."""
        self.writer.stop()
        return self.wait()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def wait(self) -> list[WriterEvent]:
        assert self.ended.wait(20)
        assert isinstance(self.events[-1], WriterEnded)
        return self.events[:-1]


@pytest.fixture
def thread() -> Iterator[Thread]:
    thread = Thread()
    yield thread
    thread.disk.may_write.set()
    thread.writer.abort()
    assert thread.ended.wait(20)


def plan(serial: int = 1, **fields: Any) -> RunPlan:
    return make_plan(messages.start(serial, **fields), messages.settings(), serial, 0.0)


def write(image_id: int) -> WriteImage:
    return WriteImage(image_id // 4, image_id % 4, messages.image(image_id))


def finish(outcome: Outcome = Outcome.COMPLETE, n_images: int = 10) -> FinishRun:
    return FinishRun(n_images=n_images, missing=(), end=None, outcome=outcome)


def stuck(thread: Thread) -> None:
    """In the first image of an open run."""
    thread.disk.may_write.clear()
    thread.put(OpenRun(plan()))
    thread.put(write(0))
    assert thread.disk.is_writing.wait(20)


def test_orders_are_done_in_order(thread: Thread) -> None:
    thread.put(OpenRun(plan()))
    thread.put(WriteCalibration(messages.calibration()))
    for i in range(3):
        thread.put(write(i))
    thread.put(write(3), CloseFile(0))
    thread.put(finish(), OpenRun(plan(2)))
    thread.put(finish(Outcome.CANCELLED))
    events = thread.end()
    assert thread.disk.log == [
        "open scan1", "calibration pedestal_g0", "image 0", "image 1", "image 2", "image 3", "close 0",
        "finish complete", "open scan2", "finish cancelled",
    ]  # fmt: skip
    assert [type(event) for event in events] == [FileClosed, RunFinished, RunFinished]
    assert thread.budget.used_bytes == 0
    progress = thread.writer.progress
    assert (progress.total_written, progress.total_bytes) == (4, 400)
    assert (progress.serial, progress.n_written) == (2, 0)


def together(thread: Thread) -> list[int]:
    """How many images were stored together each time."""
    thread.end()
    return thread.disk.batches


def test_images_that_wait_are_stored_together_up_to_the_next_order(thread: Thread) -> None:
    stuck(thread)
    for i in (1, 2):
        thread.put(write(i))
    thread.put(write(3), CloseFile(0))
    for i in (4, 5):
        thread.put(write(i))
    thread.put(finish())
    thread.disk.may_write.set()
    assert together(thread) == [3, 1, 2]
    assert [entry for entry in thread.disk.log if "image" not in entry] == [
        "open scan1",
        "close 0",
        "finish complete",
    ]
    assert thread.budget.used_bytes == 0


def test_so_many_images_are_stored_together(thread: Thread) -> None:
    stuck(thread)
    for i in range(1, MAX_IMAGES + 3):
        thread.put(write(i))
    thread.put(finish())
    thread.disk.may_write.set()
    assert together(thread) == [MAX_IMAGES, 3]


def test_so_many_bytes_are_stored_together(thread: Thread) -> None:
    stuck(thread)
    for i in range(1, 4):
        thread.writer.put(Job((write(i),), MAX_BYTES // 2, time.monotonic()))
    thread.put(finish())
    thread.disk.may_write.set()
    assert together(thread) == [3, 1]


def test_an_image_that_comes_alone_waits_for_no_other(thread: Thread) -> None:
    thread.put(OpenRun(plan()))
    for i in range(3):
        thread.put(write(i))
        thread.wait_until(lambda: thread.writer.progress.n_written == i + 1)  # noqa: B023
    thread.put(finish())
    assert together(thread) == [1, 1, 1]


def test_images_together_of_which_one_fails_the_run(thread: Thread) -> None:
    """Those behind it were never asked for: they wait, and are skipped as those of a run that has failed."""
    thread.disk.raise_at["image 2"] = StorageError("io_error", "bad disk")
    stuck(thread)
    for i in range(1, 6):
        thread.put(write(i))
    thread.put(finish())
    thread.disk.may_write.set()
    events = thread.end()
    assert [type(event) for event in events].count(ImageSkipped) == 4
    report = events[-1].report
    assert (report.outcome, report.n_written) == (Outcome.FAILED, 2)
    assert report.dropped == {"run_failed": 4}


def test_an_image_that_cannot_be_stored_is_lost_alone(thread: Thread) -> None:
    thread.disk.raise_at["image 1"] = PayloadError("file_closed", "too late")
    thread.put(OpenRun(plan()))
    for i in range(3):
        thread.put(write(i))
    thread.put(finish())
    lost, finished = thread.end()
    assert lost == ImageLost(1, 1, "file_closed", "too late")
    assert isinstance(finished, RunFinished)
    assert finished.report.n_written == 2
    assert "image 2" in thread.disk.log


@pytest.mark.parametrize("where", ["open scan1", "image 1", "close 0", "calibration pedestal_g0"])
def test_a_run_that_fails_lets_go_and_the_next_one_is_written(thread: Thread, where: str) -> None:
    thread.disk.raise_at[where] = StorageError("no_space", "scan1_data_000001.h5: No space left on device")
    thread.put(OpenRun(plan()))
    thread.put(WriteCalibration(messages.calibration()))
    for i in range(3):
        thread.put(write(i))
    thread.put(write(3), CloseFile(0))
    thread.put(write(4))
    thread.put(finish())
    thread.put(OpenRun(plan(2)))
    thread.put(write(0))
    thread.put(finish())
    events = thread.end()
    failed = [event for event in events if isinstance(event, RunFailed)]
    assert failed == [RunFailed(1, "no_space", "scan1_data_000001.h5: No space left on device")]
    first, second = (event.report for event in events if isinstance(event, RunFinished))
    assert first.outcome is Outcome.FAILED
    assert first.reasons[:1] == ("no_space: scan1_data_000001.h5: No space left on device",)
    assert second.outcome is Outcome.COMPLETE
    assert thread.disk.log.count("abandon") == 1
    assert "image 4" not in thread.disk.log
    assert thread.disk.log[-3:] == ["open scan2", "image 0", "finish complete"]
    assert thread.budget.used_bytes == 0


def test_images_that_a_failed_run_did_not_take_are_missing(thread: Thread) -> None:
    thread.disk.raise_at["image 1"] = StorageError("io_error", "bad disk")
    thread.put(OpenRun(plan()))
    for i in (0, 1, 2, 5):
        thread.put(write(i))
    thread.put(finish())
    report = next(event.report for event in thread.end() if isinstance(event, RunFinished))
    assert report.missing == ((1, 2), (5, 5))


def test_a_refusal_at_the_opening_is_a_failed_run(thread: Thread) -> None:
    thread.disk.raise_at["open scan1"] = RunRefused("exists", "scan1_master.h5 stands there")
    thread.put(OpenRun(plan()))
    thread.put(finish())
    failed, finished = thread.end()
    assert failed == RunFailed(1, "exists", "scan1_master.h5 stands there")
    assert isinstance(finished, RunFinished)
    assert finished.report.outcome is Outcome.FAILED


@pytest.mark.parametrize("where", ["open scan1", "image 1", "close 0", "finish complete"])
def test_a_bug_ends_the_thread_and_is_told(thread: Thread, where: str) -> None:
    thread.disk.raise_at[where] = ZeroDivisionError("division by zero")
    thread.put(OpenRun(plan()))
    thread.put(write(0))
    thread.put(write(1), CloseFile(0))
    thread.put(finish())
    events = thread.wait()
    assert events[-1] == WriterDied("ZeroDivisionError: division by zero")
    assert thread.disk.log[-1] == "abandon"


def test_an_order_without_a_run_is_a_bug(thread: Thread) -> None:
    thread.put(write(0))
    (died,) = thread.wait()
    assert isinstance(died, WriterDied)


def test_events_hold_no_exception(thread: Thread) -> None:
    error = StorageError("io_error", "bad disk")
    thread.disk.raise_at["image 0"] = error
    thread.put(OpenRun(plan()))
    thread.put(write(0))
    thread.put(finish())
    thread.end()
    assert all(error not in gc.get_referents(event) for event in thread.events)


def test_an_abort_drops_what_waits_and_lets_go_of_the_files(thread: Thread) -> None:
    thread.disk.may_write.clear()
    thread.put(OpenRun(plan()))
    for i in range(5):
        thread.put(write(i))
    thread.put(finish())
    thread.wait_until(lambda: "open scan1" in thread.disk.log)
    thread.writer.abort()
    thread.disk.may_write.set()
    *_, finished = thread.wait()
    assert isinstance(finished, RunFinished)
    report = finished.report
    assert (report.outcome, report.failure) == (Outcome.FAILED, "stopped")
    assert report.n_written + sum(report.dropped.values()) == 5
    assert "abandon" in thread.disk.log
    assert "image 4" not in thread.disk.log


def test_runs_that_wait_behind_an_abort_are_not_opened(thread: Thread) -> None:
    """They are reported as failed all the same, and nobody waits for what was never computed."""
    stuck(thread)
    thread.put(finish())
    never_ready = PendingRun(plan(2), Wishes(), Settings())
    thread.writer.put(Job((OpenRun(plan(2)),), 0, time.monotonic(), never_ready))
    image = PendingImage(never_ready, messages.image(0), 0)
    thread.writer.put(Job((write(0),), 0, time.monotonic(), image))
    thread.put(finish())
    thread.writer.abort()
    thread.disk.may_write.set()
    reports = [event.report for event in thread.wait() if isinstance(event, RunFinished)]
    assert [(report.plan.serial, report.outcome) for report in reports] == [
        (1, Outcome.FAILED), (2, Outcome.FAILED),
    ]  # fmt: skip
    assert "open scan2" not in thread.disk.log


def test_a_stop_survives_that_the_orders_before_it_are_given_up(thread: Thread) -> None:
    stuck(thread)
    thread.put(write(1))
    thread.put(finish())
    thread.writer.stop()
    given_up = thread.writer.give_up("stuck")
    assert given_up is not None
    assert [type(order) for order in given_up] == [WriteImage, FinishRun]
    assert thread.budget.used_bytes == 10, "of the image in work"
    thread.disk.may_write.set()
    reports = [event.report for event in thread.wait() if isinstance(event, RunFinished)]
    assert [(report.outcome, report.failure) for report in reports] == [(Outcome.FAILED, "no_answer")]
    assert thread.budget.used_bytes == 0


def test_what_was_given_up_may_be_given_up_again(thread: Thread) -> None:
    """The storage answers once and sticks again: every image is counted once all the same."""
    stuck(thread)
    thread.put(write(1))
    thread.put(finish())
    thread.put(OpenRun(plan(2)))
    thread.put(write(0))
    thread.put(write(1))
    thread.put(finish())
    assert thread.writer.give_up("stuck") is not None
    assert thread.writer.give_up("stuck again") is not None
    thread.disk.may_write.set()
    reports = [event.report for event in thread.end() if isinstance(event, RunFinished)]
    assert [(report.failure, report.n_written, report.dropped) for report in reports] == [
        ("no_answer", 1, {"run_failed": 1}), ("no_answer", 0, {"run_failed": 2}),
    ]  # fmt: skip
    assert [entry for entry in thread.disk.log if entry.startswith("image")] == ["image 0"]


def test_files_that_cannot_be_let_go_do_not_keep_the_thread(thread: Thread) -> None:
    thread.disk.raise_at["abandon"] = RuntimeError("a bug")
    thread.put(OpenRun(plan()))
    thread.put(write(0))
    assert thread.end() == []


def test_a_stop_in_an_open_run_lets_go_of_its_files(thread: Thread) -> None:
    thread.put(OpenRun(plan()))
    thread.put(write(0))
    thread.end()
    assert thread.disk.log[-1] == "abandon"


class Frame(bytearray):
    """Stands for a received frame; can be watched."""


def test_a_frame_lives_until_its_image_is_written_and_no_longer(thread: Thread) -> None:
    frame = Frame(24)
    alive = weakref.ref(frame)
    payload = Payload(memoryview(frame).toreadonly(), Codec.NONE, np.dtype("<u2"), (3, 4))
    thread.disk.may_write.clear()
    thread.put(OpenRun(plan()))
    thread.put(WriteImage(0, 0, messages.image(0, channels={"default": payload})))
    del frame, payload
    assert alive() is not None
    thread.disk.may_write.set()
    # The thread waits for its next order then, and must not hold the last one.
    thread.wait_until(lambda: alive() is None)


def test_an_image_that_is_given_up_is_let_go_at_once(thread: Thread) -> None:
    """Also one that waits for its analysis: its bytes are in the budget no more."""
    stuck(thread)
    frame = Frame(24)
    alive = weakref.ref(frame)
    payload = Payload(memoryview(frame).toreadonly(), Codec.NONE, np.dtype("<u2"), (3, 4))
    image = messages.image(1, channels={"default": payload})
    pending = PendingImage(PendingRun(plan(), Wishes(), Settings()), image, 0)
    thread.writer.put(Job((WriteImage(0, 1, image),), 0, time.monotonic(), pending))
    del frame, payload, image, pending
    assert alive() is not None
    assert thread.writer.give_up("stuck") is not None
    assert alive() is None


def test_what_is_in_work_can_be_seen(thread: Thread) -> None:
    progress = thread.writer.progress
    thread.disk.may_write.clear()
    thread.put(OpenRun(plan()))
    before = time.monotonic()
    thread.put(write(0))
    thread.wait_until(lambda: (progress.current or (0, 0))[0] >= before)
    assert progress.current is not None
    arrived_at, began_at = progress.current
    assert before <= arrived_at <= began_at <= time.monotonic()
    thread.disk.may_write.set()
    thread.put(finish())
    thread.end()
    assert progress.current is None


def test_images_of_a_file_do_not_wait_for_one_that_is_analysed(thread: Thread) -> None:
    """What closes the file does, and what comes behind that."""
    stuck(thread)
    run = PendingRun(plan(), Wishes(), Settings())
    pending = [PendingImage(run, messages.image(number), 0) for number in (1, 2)]
    for number, image in zip((1, 2), pending, strict=True):
        thread.budget.charge(10)
        thread.writer.put(Job((write(number),), 10, time.monotonic(), image))
    thread.put(write(3))
    thread.put(CloseFile(0))
    thread.put(write(5))
    thread.disk.may_write.set()
    thread.wait_until(lambda: thread.disk.log == ["open scan1", "image 0", "image 3"])
    pending[1].release()
    thread.put(finish())
    pending[0].release()
    thread.end()
    assert thread.disk.log[3:] == ["image 1", "image 2", "close 0", "image 5", "finish complete"]
    assert thread.budget.used_bytes == 0


def test_an_analysed_run_is_written_completed(thread: Thread) -> None:
    """The writer thread takes plan and images from the pool; what was not handed over, as it came."""
    run = PendingRun(plan(), Wishes((Wish(AZINT, always=True),)), Settings())
    completed = replace(plan().start, max_spot_count=99)
    run.prepare(lambda p, _: Prepared(replace(p, start=completed), None, Wishes()))
    thread.writer.put(Job((OpenRun(plan()),), 0, time.monotonic(), run))
    pending = PendingImage(run, messages.image(0, spot_count=3), 0)
    thread.writer.put(Job((write(0),), 0, time.monotonic(), pending))
    thread.put(write(1))
    thread.put(finish())
    assert thread.disk.log == []
    run.release()
    thread.wait_until(lambda: thread.disk.log == ["open scan1", "image 1"])
    pending.release()
    (finished,) = thread.end()
    assert isinstance(finished, RunFinished)
    assert finished.report.plan.start.max_spot_count == 99
    assert thread.disk.log[-2:] == ["image 0", "finish complete"]
    figures = thread.writer.progress.figures
    assert figures is not None
    assert figures.recent()["spots"] == 3
    assert figures.n_images == 2
