"""The byte budget: two threads, no lock, no wake-up lost."""

from __future__ import annotations

import queue
import threading

from hypothesis import given
from hypothesis import strategies as st

from jfwriter.daemon.budget import ByteBudget


def test_what_is_charged_is_used_until_it_is_freed() -> None:
    budget = ByteBudget(100, lambda: None)
    budget.charge(60)
    budget.charge(39)
    assert (budget.used_bytes, budget.full) == (99, False)
    budget.charge(1)
    assert budget.full
    budget.free(60)
    assert (budget.used_bytes, budget.full) == (40, False)


def test_a_message_larger_than_everything_is_taken_when_nothing_waits() -> None:
    budget = ByteBudget(100, lambda: None)
    assert not budget.full
    budget.charge(1000)
    assert budget.full


def test_room_is_told_once_when_an_eighth_is_free() -> None:
    told: list[int] = []
    budget = ByteBudget(80, lambda: told.append(budget.used_bytes))
    for _ in range(8):
        budget.charge(10)
    assert budget.wait_for_room()
    budget.free(5)
    assert told == []
    budget.free(5)
    budget.free(10)
    assert told == [70]


def test_nobody_waits_where_there_is_room_by_now() -> None:
    told: list[bool] = []
    budget = ByteBudget(80, lambda: told.append(True))
    budget.charge(80)
    budget.free(80)
    assert not budget.wait_for_room()
    budget.charge(10)
    budget.free(10)
    assert told == []


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=60))
def test_a_receiver_that_waits_is_always_woken(sizes: list[int]) -> None:
    room = threading.Semaphore(0)
    budget = ByteBudget(4096, room.release)
    jobs: queue.SimpleQueue[int | None] = queue.SimpleQueue()

    def write() -> None:
        while (size := jobs.get()) is not None:
            budget.free(size)

    writer = threading.Thread(target=write)
    writer.start()
    for size in sizes:
        if budget.full and budget.wait_for_room():
            assert room.acquire(timeout=10)
        assert not budget.full
        budget.charge(size)
        jobs.put(size)
    jobs.put(None)
    writer.join(10)
    assert budget.used_bytes == 0
