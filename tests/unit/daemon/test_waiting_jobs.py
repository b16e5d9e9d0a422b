"""What waits for the writer thread comes once, and in an order that no file can tell from that of arrival."""

from __future__ import annotations

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from jfwriter.analysis import Wishes
from jfwriter.daemon.analysis_pool import PendingImage, PendingRun
from jfwriter.daemon.jobs import Job
from jfwriter.daemon.waiting_jobs import WaitingJobs
from jfwriter.session.orders import CloseFile, CompareImage, WriteImage
from jfwriter.session.planning import make_plan
from jfwriter.settings import Settings
from tests.support import messages

PLAIN, ANALYSED, CLOSING, CLOSING_ANALYSED, COMPARING = "plain", "analysed", "closes", "both", "compares"
RUN = PendingRun(make_plan(messages.start(), messages.settings(), 1, 0.0), Wishes(), Settings())


def job(number: int, kind: str, file_index: int = 0) -> Job:
    """Its time of arrival is its number."""
    image = messages.image(number)
    orders = {
        COMPARING: (CompareImage(file_index, number, image),),
        CLOSING: (WriteImage(file_index, number, image), CloseFile(file_index)),
        CLOSING_ANALYSED: (WriteImage(file_index, number, image), CloseFile(file_index)),
    }.get(kind, (WriteImage(file_index, number, image),))
    analysis = PendingImage(RUN, image, 0) if kind in {ANALYSED, CLOSING_ANALYSED} else None
    return Job(orders, 0, float(number), analysis)


def finish_analysis(one: Job) -> None:
    if isinstance(one.analysis, PendingImage):
        one.analysis.release()


def numbers(jobs: list[Job] | None) -> list[int]:
    assert jobs is not None
    return [int(one.arrived_at) for one in jobs]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([PLAIN, PLAIN, ANALYSED, CLOSING, CLOSING_ANALYSED, COMPARING]),
            st.integers(0, 1),
        ),
        max_size=10,
    ),
    st.data(),
)
def test_only_an_image_passes_only_those_of_its_file_that_are_analysed(kinds, data):
    waiting = WaitingJobs()
    arriving = [job(number, kind, index) for number, (kind, index) in enumerate(kinds)]
    to_arrive, taken = list(arriving), []
    is_ended = False
    while True:
        for one in to_arrive[: data.draw(st.integers(0 if taken else 1, 4))]:
            waiting.put(to_arrive.pop(0))
            if data.draw(st.booleans()):
                finish_analysis(one)
        if not to_arrive and not is_ended:
            waiting.put(None)
            is_ended = True
        unfinished = [one for one in arriving if one not in to_arrive + taken]
        if not unfinished and not is_ended:
            continue
        one = waiting.take_image() if data.draw(st.booleans()) else waiting.take()
        if one is None:
            if is_ended and len(taken) == len(arriving):
                break
            continue
        passed = [before for before in unfinished if before.arrived_at < one.arrived_at]
        assert one in unfinished
        if passed:
            assert isinstance(one.orders[0], WriteImage)
            assert len(one.orders) == 1
        for before in passed:
            assert len(before.orders) == 1
            assert before.analysis is not None
            assert before.orders[0].file_index == one.orders[0].file_index
        taken.append(one)
        finish_analysis(one)
    assert sorted(numbers(taken)) == list(range(len(arriving)))


def test_what_is_analysed_comes_as_soon_as_that_is_done():
    waiting = WaitingJobs()
    late, behind, last = job(0, ANALYSED), job(1, PLAIN), job(2, PLAIN)
    for one in (late, behind, last):
        waiting.put(one)
    assert waiting.take() is behind
    finish_analysis(late)
    assert waiting.take() is late
    assert waiting.take() is last


def test_images_that_are_stored_together_are_those_that_nobody_analyses():
    waiting = WaitingJobs()
    assert waiting.take_image() is None
    first, second, late, other = job(0, PLAIN), job(1, PLAIN), job(2, ANALYSED), job(3, PLAIN)
    for one in (first, second, late, other):
        waiting.put(one)
    assert [waiting.take(), waiting.take_image(), waiting.take_image()] == [first, second, None]
    assert [waiting.take(), waiting.take()] == [other, late]


def test_images_of_the_next_file_are_not_stored_with_those_that_pass():
    waiting = WaitingJobs()
    late, behind, next_file = job(0, ANALYSED), job(1, PLAIN), job(2, PLAIN, file_index=1)
    for one in (late, behind, next_file):
        waiting.put(one)
    assert [waiting.take(), waiting.take_image()] == [behind, None]
    assert [waiting.take(), waiting.take()] == [late, next_file]


def test_what_waits_is_changed_in_the_order_in_which_it_would_have_been_done():
    waiting = WaitingJobs()
    late, behind, third = job(0, ANALYSED), job(1, PLAIN), job(2, CLOSING)
    for one in (late, behind, third):
        waiting.put(one)
    assert waiting.take() is behind
    assert waiting.take_image() is None
    waiting.put(None)
    assert numbers(waiting.change(lambda jobs: jobs[1:])) == [0, 2]
    assert waiting.take() is third
    assert waiting.take() is None


def test_nothing_is_changed_while_the_writer_thread_waits():
    waiting, taken = WaitingJobs(), []
    thread = threading.Thread(target=lambda: taken.append(waiting.take()))
    thread.start()
    deadline = time.monotonic() + 20
    while waiting.change(list) is not None:  # it may not have come to that yet
        assert time.monotonic() < deadline
    one = job(0, PLAIN)
    waiting.put(one)
    thread.join(20)
    assert taken == [one]
