"""The analysis threads: order, backlog, an end that always comes. With a preparation made of fakes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jfwriter.analysis import Prepared, Scratch, Wishes, wishes_of
from jfwriter.daemon.analysis_pool import BEHIND_PART, STARTUP_FACTOR, AnalysisPool, PendingImage, PendingRun
from jfwriter.errors import PayloadError
from jfwriter.session.plan import RunPlan
from jfwriter.session.planning import make_plan
from jfwriter.settings import Settings
from jfwriter.wire.messages import ImageMessage
from tests.support import analysed_run, messages

IMAGE_BYTES = 10_000
ALLOWED_BYTES = 1 << 20
"""What may wait for the writer alone."""


class FakeAnalyser:
    """Counts the images as strong pixels; waits at `gate`."""

    def __init__(self) -> None:
        self.failures: dict[str, str] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.scratches: set[int] = set()
        self.raises: BaseException | None = None
        self.n_begun = 0

    def wants(self, image: ImageMessage) -> bool:
        return image.spots is None and image.spot_count is None

    def complete(self, image: ImageMessage, scratch: Scratch) -> ImageMessage:
        self.n_begun += 1
        assert self.gate.wait(20)
        self.scratches.add(id(scratch))
        if self.raises is not None:
            raise self.raises
        return replace(image, strong_pixel_count=image.image_id)


class Pool:
    def __init__(self, threads: int = 1, backlog: int = 4, *, ready: bool = True) -> None:
        self.analyser: Any = FakeAnalyser()
        self.prepared = threading.Event()
        self.preparation_raises: Exception | None = None
        if ready:
            self.prepared.set()
        self.deaths: list[str] = []
        self.settings = messages.settings(
            analysis={"spots": "auto", "threads": threads, "backlog_images": backlog},
            memory={"byte_budget_bytes": BEHIND_PART * ALLOWED_BYTES},
        )
        self.for_the_writer_bytes = 0
        self.pool = AnalysisPool(self.settings, self.deaths.append, self.held_bytes, self.prepare)
        self.pool.start()

    def held_bytes(self) -> int:
        return self.for_the_writer_bytes + IMAGE_BYTES * self.pool.n_waiting

    def prepare(self, plan: RunPlan, settings: Settings) -> Prepared:
        assert self.prepared.wait(20)
        if self.preparation_raises is not None:
            raise self.preparation_raises
        plan = replace(plan, start=replace(plan.start, max_spot_count=99))
        return Prepared(plan, self.analyser, wishes_of(plan.start, settings.analysis), ("a warning",))

    def open(self) -> PendingRun:
        run = self.pool.open(plan())
        assert run is not None
        if self.prepared.is_set():
            run.plan()
        return run

    def submit(self, *image_ids: int) -> list[PendingImage | None]:
        return [self.pool.submit(messages.image(i), IMAGE_BYTES) for i in image_ids]


def plan() -> RunPlan:
    return make_plan(messages.start(), messages.settings(), 1, 0.0)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture
def made() -> Iterator[list[Pool]]:
    pools: list[Pool] = []
    yield pools
    for pool in pools:
        pool.analyser.gate.set()
        pool.prepared.set()
        pool.pool.abort()
        pool.pool.join(20)


@pytest.fixture
def pool(made: list[Pool]) -> Callable[..., Pool]:
    def make(*arguments: Any, **options: Any) -> Pool:
        made.append(Pool(*arguments, **options))
        return made[-1]

    return make


def test_images_come_back_completed(pool: Callable[..., Pool]) -> None:
    it = pool()
    run = it.open()
    assert run.plan().start.max_spot_count == 99
    assert run.problems == ["a warning"]
    assert run.quantities == ["background", "image_statistics", "spots"]
    pending = it.submit(0, 1, 2)
    assert [p.image().strong_pixel_count for p in pending if p] == [0, 1, 2]
    wait_until(lambda: it.pool.n_waiting == 0)
    assert (run.n_analysed, it.pool.n_analysed, run.n_skipped, run.n_failed) == (3, 3, 0, 0)


def test_what_nobody_wants_is_not_handed_over(pool: Callable[..., Pool]) -> None:
    it = pool()
    assert it.submit(0) == [None]  # no run
    it.open()
    assert it.pool.submit(messages.image(0, spot_count=1), IMAGE_BYTES) is None
    assert it.pool.n_skipped == 0
    off = AnalysisPool(
        messages.settings(analysis={"spots": "never"}), it.deaths.append, it.held_bytes, it.prepare
    )
    assert off.open(plan()) is None
    assert off.submit(messages.image(0), IMAGE_BYTES) is None


def test_what_exceeds_the_backlog_is_skipped_and_counted(pool: Callable[..., Pool]) -> None:
    it = pool(threads=2, backlog=3)
    run = it.open()
    it.analyser.gate.clear()
    pending = it.submit(*range(10))
    assert [p is not None for p in pending] == [True] * 6 + [False] * 4
    assert (run.n_skipped, it.pool.n_skipped, it.pool.n_waiting) == (4, 4, 6)
    it.analyser.gate.set()
    assert [p.image().strong_pixel_count for p in pending if p] == list(range(6))
    wait_until(lambda: it.pool.n_waiting == 0)
    assert it.submit(10)[0] is not None


def test_more_may_wait_while_the_run_is_prepared(pool: Callable[..., Pool]) -> None:
    it = pool(backlog=2, ready=False)
    run = it.open()
    assert not run.is_ready
    pending = it.submit(*range(100))
    assert sum(p is not None for p in pending) == 2 * STARTUP_FACTOR
    it.prepared.set()
    assert [p.image().strong_pixel_count for p in pending if p] == list(range(2 * STARTUP_FACTOR))


def test_nothing_is_analysed_while_the_writer_is_behind(pool: Callable[..., Pool]) -> None:
    it = pool()
    run = it.open()
    it.for_the_writer_bytes = ALLOWED_BYTES
    assert it.submit(0)[0] is not None
    it.for_the_writer_bytes = ALLOWED_BYTES + 1
    assert it.submit(1, 2) == [None, None]
    assert (run.n_skipped, it.pool.n_skipped) == (2, 2)
    it.for_the_writer_bytes = ALLOWED_BYTES
    assert it.submit(3)[0] is not None


def test_what_waits_for_its_analysis_does_not_put_the_writer_behind(pool: Callable[..., Pool]) -> None:
    it = pool(backlog=1000)
    it.open()
    it.analyser.gate.clear()
    it.for_the_writer_bytes = ALLOWED_BYTES
    pending = it.submit(*range(200))
    assert it.held_bytes() > 2 * ALLOWED_BYTES
    assert None not in pending
    it.analyser.gate.set()
    wait_until(lambda: it.pool.n_waiting == 0)
    it.for_the_writer_bytes = 1000 * IMAGE_BYTES + 1
    assert it.submit(200) == [None]


def test_a_replay_is_analysed_to_the_last_image(pool: Callable[..., Pool]) -> None:
    """Its backlog is more than what may wait for the writer otherwise."""
    it = pool(backlog=1_000_000)
    it.open()
    it.for_the_writer_bytes = it.settings.memory.byte_budget_bytes
    assert it.submit(0)[0] is not None


def test_each_thread_has_its_own_scratch(pool: Callable[..., Pool]) -> None:
    it = pool(threads=3)
    it.open()
    it.analyser.gate.clear()
    pending = it.submit(0, 1, 2)
    wait_until(lambda: it.analyser.n_begun == 3)
    it.analyser.gate.set()
    for p in pending:
        assert p is not None
        p.image()
    assert len(it.analyser.scratches) == 3


def test_an_image_that_does_not_unpack_is_written_as_it_came(pool: Callable[..., Pool]) -> None:
    it = pool()
    run = it.open()
    it.analyser.raises = PayloadError("bad_payload", "a block does not unpack")
    (pending,) = it.submit(0)
    assert pending is not None
    assert pending.image().strong_pixel_count is None
    wait_until(lambda: it.pool.n_waiting == 0)
    assert (run.n_failed, run.n_analysed, it.deaths) == (1, 0, [])


def test_a_run_that_cannot_be_prepared_is_written(pool: Callable[..., Pool]) -> None:
    it = pool()
    it.preparation_raises = MemoryError("64 GiB")
    run = it.pool.open(plan())
    assert run is not None
    assert run.plan() == plan()
    assert run.problems == ["nothing is computed: MemoryError: 64 GiB"]
    assert it.submit(0) == [None]
    assert it.deaths == []


def test_a_bug_ends_the_daemon_and_nobody_waits(pool: Callable[..., Pool]) -> None:
    it = pool(threads=2)
    it.open()
    it.analyser.raises = KeyError("a bug")
    it.analyser.gate.clear()
    pending = it.submit(0, 1, 2, 3)
    it.analyser.gate.set()
    for p in pending:
        if p is not None:
            assert p.image().strong_pixel_count is None
    wait_until(lambda: bool(it.deaths))
    assert it.deaths[0] == "an analysis thread has died: KeyError: 'a bug'"
    wait_until(lambda: it.submit(4) == [None])
    it.pool.join(20)


def test_the_writer_waits_only_for_what_is_added_to_the_start_message(pool: Callable[..., Pool]) -> None:
    it = pool(ready=False)
    settings = messages.settings(analysis={"image_statistics": "always"})
    it.pool.use(settings)
    run = it.pool.open(plan())
    assert run is not None
    assert run.plan() == plan()
    assert not run.is_ready
    pending = it.pool.submit(messages.image(0), IMAGE_BYTES)
    assert pending is not None
    it.prepared.set()
    assert pending.image().strong_pixel_count == 0
    assert run.plan().start.max_spot_count == 99


def test_abort_releases_what_waits(pool: Callable[..., Pool]) -> None:
    it = pool(ready=False)
    run = it.open()
    (pending,) = it.submit(0)
    it.pool.abort()
    assert pending is not None
    it.prepared.set()
    assert pending.image().strong_pixel_count is None
    assert run.plan() is not None
    it.pool.join(20)
    assert it.pool.open(plan()) is None


def test_stop_ends_after_what_was_handed_over(pool: Callable[..., Pool]) -> None:
    it = pool(threads=2, backlog=50)
    it.open()
    pending = it.submit(*range(50))
    it.pool.stop()
    assert [p.image().strong_pixel_count for p in pending if p] == list(range(50))
    it.pool.join(20)
    assert it.pool.n_analysed == 50


def test_a_finished_run_keeps_no_maps(pool: Callable[..., Pool]) -> None:
    it = pool()
    run = it.open()
    it.analyser.failures = {"spots": "KeyError: 1"}
    run.let_go()
    assert it.submit(0) == [None]
    assert run.quantities == ["background", "image_statistics"]
    assert run.problems == ["a warning", "spots is given up: KeyError: 1"]


def test_wishes_without_a_quantity() -> None:
    assert not Wishes()


def test_a_run_takes_what_the_one_before_had_prepared() -> None:
    """Without a preparation of the test's own; a run whose mask differs has its own."""
    wanted = messages.settings(analysis={"azint": "always"})
    deaths: list[str] = []
    pool = AnalysisPool(wanted, deaths.append, lambda: 0)
    pool.start()
    masked = analysed_run.payload(np.ones((analysed_run.HEIGHT, analysed_run.WIDTH), np.uint32))
    plans = [analysed_run.plan(wanted), analysed_run.plan(wanted)]
    plans += [analysed_run.plan(wanted, pixel_mask={"default": masked})]
    starts = [run.plan().start for run in map(pool.open, plans) if run is not None]
    pool.stop()
    pool.join(20)
    assert not deaths
    maps = [np.frombuffer(start.az_int_map.data, np.uint32) for start in starts if start.az_int_map]
    assert len(maps) == 3
    assert np.shares_memory(maps[0], maps[1])
    assert not np.shares_memory(maps[0], maps[2])
    assert (maps[0] != maps[2]).any()
