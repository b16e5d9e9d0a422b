from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from jfwriter.session.ledger import Ledger
from jfwriter.session.orders import FinishRun, Outcome
from jfwriter.session.planning import make_plan
from jfwriter.session.verdict import Closing, finish
from jfwriter.settings import Settings
from jfwriter.wire.messages import EndMessage
from tests.support import messages


def judge(
    images: Iterable[int],
    end: EndMessage | None,
    closing: Closing | None = None,
    dropped: dict[str, int] | None = None,
    settings: Settings | None = None,
    **start: Any,
) -> FinishRun:
    settings = settings or messages.settings()
    plan = make_plan(messages.start(**start), settings, 1, 0.0)
    ledger = Ledger(plan.images_per_file)
    for image_id in images:
        ledger.accept(image_id)
    return finish(plan, ledger, dropped or {}, settings, end=end, closing=closing or Closing())


def test_complete() -> None:
    order = judge(range(10), messages.end())
    assert order == FinishRun(10, (), messages.end(), Outcome.COMPLETE)


def test_gaps_and_tail() -> None:
    order = judge([0, 1, 2, 6, 8], messages.end(max_image_number=9))
    assert order.outcome is Outcome.INCOMPLETE
    assert order.n_images == 9
    assert order.missing == ((3, 5), (7, 7))
    assert order.reasons == (
        "4 images missing: 3-5, 7",
        "the run ends after 9 images of 10: 1 image never came",
    )


def test_what_the_sender_says_it_sent_is_told_with_gaps() -> None:
    order = judge(range(9), messages.end(max_image_number=10, images_sent_to_write=9))
    assert order.reasons == ("1 image missing: 9", "the sender says that it sent 9 images")


def test_many_ranges_are_shortened_for_people_only() -> None:
    images = [image_id for image_id in range(200) if image_id % 5]
    order = judge(images, messages.end(max_image_number=200), number_of_images=200)
    assert len(order.missing) == 40
    assert order.reasons == ("40 images missing: 0, 5, 10, 15, 20, 25, 30, 35, 40, 45 and 30 more ranges",)


def test_no_end_message_is_never_complete() -> None:
    order = judge(range(10), None, Closing(Outcome.INCOMPLETE, "superseded by run 2"))
    assert order.outcome is Outcome.INCOMPLETE
    assert order.reasons == ("superseded by run 2", "no end message")


def test_cancelled_by_the_sender() -> None:
    order = judge(range(3), messages.end(max_image_number=3, cancelled=True))
    assert order.outcome is Outcome.CANCELLED
    assert order.n_images == 3
    assert order.reasons[0] == "the sender says that the run was cancelled"
    assert judge(range(10), messages.end(cancelled=False)).outcome is Outcome.COMPLETE


def test_zero_images() -> None:
    order = judge([], messages.end(max_image_number=0))
    assert (order.outcome, order.n_images, order.missing) == (Outcome.INCOMPLETE, 0, ())
    order = judge([], messages.end(max_image_number=0), number_of_images=None)
    assert (order.outcome, order.n_images, order.reasons) == (Outcome.COMPLETE, 0, ())


def test_only_the_last_image() -> None:
    order = judge([9], messages.end(max_image_number=None))
    assert (order.n_images, order.missing) == (10, ((0, 8),))


def test_unexpected_images_make_the_run_longer() -> None:
    order = judge(range(12), messages.end(max_image_number=12))
    assert (order.outcome, order.n_images) == (Outcome.COMPLETE, 12)
    assert order.reasons == ("the run has 12 images, 10 were planned",)
    order = judge(range(10), messages.end(max_image_number=12))
    assert (order.outcome, order.missing) == (Outcome.INCOMPLETE, ((10, 11),))


def test_an_end_message_that_claims_too_little_does_not_shorten_the_run() -> None:
    assert judge(range(10), messages.end(max_image_number=2)).n_images == 10


@pytest.mark.parametrize("claim", [2**64 - 1, 10_011, -1])
def test_an_impossible_number_of_images_is_not_believed(claim: int) -> None:
    order = judge(range(10), messages.end(max_image_number=claim))
    assert (order.outcome, order.n_images, order.missing) == (Outcome.INCOMPLETE, 10, ())
    (reason,) = order.reasons
    assert reason.startswith(f"max_image_number {claim} of the end message is beyond the 10010 images")


def test_unknown_length() -> None:
    assert (
        judge(range(5), messages.end(max_image_number=5), number_of_images=None).outcome is Outcome.COMPLETE
    )
    order = judge(range(5), messages.end(max_image_number=None), number_of_images=None)
    assert order.outcome is Outcome.INCOMPLETE
    assert order.reasons == ("the sender never said how many images there are: the last ones may be missing",)
    sent = messages.end(max_image_number=None, images_sent_to_write=5)
    assert judge(range(5), sent, number_of_images=None).outcome is Outcome.COMPLETE
    order = judge(range(4), sent, number_of_images=None)
    assert order.outcome is Outcome.INCOMPLETE
    assert order.reasons == ("the sender sent 5 images, 4 came",)


def test_more_sent_than_came_is_a_doubt_whatever_was_planned() -> None:
    sent = messages.end(max_image_number=None, images_sent_to_write=17)
    order = judge(range(10), sent)
    assert (order.outcome, order.reasons) == (Outcome.INCOMPLETE, ("the sender sent 17 images, 10 came",))
    came = {"duplicate": 5, "bad_payload": 2}
    assert judge(range(10), sent, dropped=came).outcome is Outcome.COMPLETE
    two = messages.settings(files={"n_writers": 2})
    assert judge([4, 5, 6, 7], sent, settings=two, socket_number=1).outcome is Outcome.COMPLETE


def test_planned_images_behind_the_end_are_counted() -> None:
    order = judge([0], None, Closing(Outcome.INCOMPLETE, "superseded by run 2"))
    assert (order.n_images, order.missing, order.n_never_came) == (1, (), 9)


@pytest.mark.parametrize("images", [range(0, 40, 2), range(1, 40, 2), [*range(0, 20, 2), *range(21, 40, 2)]])
def test_two_receivers_on_one_socket(images: Iterable[int]) -> None:
    order = judge(images, messages.end(max_image_number=40), number_of_images=40)
    assert "every second image is missing: are two receivers connected to one PUSH socket?" in order.reasons


@pytest.mark.parametrize("images", [range(20), range(20, 40), range(0, 40, 3), range(38), [0, 2, 4]])
def test_other_losses_are_not_taken_for_two_receivers(images: Iterable[int]) -> None:
    order = judge(images, messages.end(max_image_number=40), number_of_images=40)
    assert order.outcome is Outcome.INCOMPLETE
    assert not any("PUSH" in reason for reason in order.reasons)


def test_rejections_are_told_but_an_image_that_came_again_right_is_no_loss() -> None:
    order = judge(range(10), messages.end(), dropped={"bad_payload": 2, "duplicate": 3, "no_run": 4})
    assert order.outcome is Outcome.COMPLETE
    assert order.reasons == ("2 images rejected (bad_payload)",)
    assert order.dropped == {"bad_payload": 2, "duplicate": 3, "no_run": 4}


def test_a_refused_image_beyond_the_plan_is_a_loss() -> None:
    order = judge(range(10), messages.end(), dropped={"image_id_too_far": 1})
    assert order.outcome is Outcome.INCOMPLETE
    assert order.reasons == ("1 image far beyond the plan refused",)


REDUCED: dict[str, Any] = {"number_of_images": 100, "data_reduction_factor_serialmx": 0.1}


def test_images_rejected_on_purpose_are_not_expected() -> None:
    assert judge(range(7), messages.end(max_image_number=7), **REDUCED).outcome is Outcome.COMPLETE
    order = judge([0, 1, 3], messages.end(max_image_number=4), **REDUCED)
    assert (order.outcome, order.missing) == (Outcome.INCOMPLETE, ((2, 2),))


def test_images_rejected_on_purpose_may_leave_gaps() -> None:
    order = judge([3, 40, 77], messages.end(max_image_number=100, images_sent_to_write=3), **REDUCED)
    assert (order.outcome, order.n_images) == (Outcome.COMPLETE, 100)
    assert order.missing[0] == (0, 2)
    assert order.reasons[0] == "the sender left out 97 images on purpose (data reduction)"
    for n_sent in (2, 4, None):
        lossy = messages.end(max_image_number=100, images_sent_to_write=n_sent)
        assert judge([3, 40, 77], lossy, **REDUCED).outcome is Outcome.INCOMPLETE


def test_a_factor_of_one_rejects_nothing() -> None:
    start = REDUCED | {"data_reduction_factor_serialmx": 1.0}
    assert judge(range(7), messages.end(max_image_number=7), **start).outcome is Outcome.INCOMPLETE


OTHERS = "the data files of other writers were not judged"


def test_a_share_of_a_known_number_of_writers() -> None:
    two = messages.settings(files={"n_writers": 2})
    order = judge([0, 1, 2, 3, 8, 9], messages.end(), settings=two, socket_number=0)
    assert (order.outcome, order.missing, order.reasons) == (Outcome.COMPLETE, (), (OTHERS,))
    order = judge([4, 5, 7], messages.end(), settings=two, socket_number=1)
    assert (order.outcome, order.missing) == (Outcome.INCOMPLETE, ((6, 6),))
    order = judge([], messages.end(), settings=two, socket_number=1)
    assert (order.outcome, order.missing) == (Outcome.INCOMPLETE, ((4, 7),))


def test_the_tail_of_a_share() -> None:
    two = messages.settings(files={"n_writers": 2})
    early = messages.end(max_image_number=8)
    assert judge([4, 5, 6, 7], early, settings=two, socket_number=1).outcome is Outcome.COMPLETE
    order = judge([0, 1, 2, 3], early, settings=two, socket_number=0)
    assert order.reasons[0] == "the run ends after 8 images of 10: 2 images never came"


UNKNOWN = (
    "no image came of some data files, and whether other writers have them is not known: "
    "set files.n_writers to the number of writers"
)


def test_a_share_of_an_unknown_number_of_writers() -> None:
    order = judge([0, 1, 2, 3], messages.end(), socket_number=0)
    assert (order.outcome, order.missing, order.reasons) == (Outcome.INCOMPLETE, (), (UNKNOWN,))
    order = judge([0, 1, 2], messages.end(), socket_number=0)
    assert (order.outcome, order.missing) == (Outcome.INCOMPLETE, ((3, 3),))
    order = judge([*range(6), 8, 9], messages.end(), socket_number=0)
    assert (order.outcome, order.missing) == (Outcome.INCOMPLETE, ((6, 7),))
    order = judge(range(10), messages.end(), socket_number=0)
    assert (order.outcome, order.reasons) == (Outcome.COMPLETE, ())


def test_other_writers_images_do_not_hide_in_the_senders_count() -> None:
    start = REDUCED | {"socket_number": 0}
    sent = messages.end(max_image_number=100, images_sent_to_write=2)
    assert judge([0, 1], sent, **start).outcome is Outcome.INCOMPLETE
