"""Every row of the table in docs/reference/session.md."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jfwriter.payload import Codec, Payload
from jfwriter.session.orders import (
    CloseFile,
    Discard,
    DropReason,
    FinishRun,
    OpenRun,
    Order,
    Outcome,
    WriteCalibration,
    WriteImage,
)
from jfwriter.session.session import Session
from jfwriter.session.snapshot import SessionSnapshot, State
from tests.support import messages


@pytest.fixture
def session() -> Session:
    return Session(messages.settings(limits={"max_unexpected_images": 5}))


def begin(session: Session, series_id: int = 1, **fields: Any) -> OpenRun:
    (order,) = session.on_start(messages.start(series_id, **fields), 100.0)
    assert isinstance(order, OpenRun)
    return order


def written(orders: tuple[Order, ...]) -> WriteImage:
    (order,) = orders
    assert isinstance(order, WriteImage)
    return order


def dropped(orders: tuple[Order, ...]) -> DropReason:
    (order,) = orders
    assert isinstance(order, Discard)
    assert order.text
    return order.reason


def finished(orders: tuple[Order, ...]) -> FinishRun:
    (order,) = orders
    assert isinstance(order, FinishRun)
    return order


def test_a_run_in_order(session: Session) -> None:
    assert session.state is State.IDLE
    opened = begin(session)
    assert (opened.plan.serial, opened.plan.received_at) == (1, 100.0)
    assert session.state is State.OPEN
    calibration = messages.calibration()
    assert session.on_calibration(calibration) == (WriteCalibration(calibration),)
    for image_id in range(10):
        image = messages.image(image_id)
        orders = session.on_image(image)
        assert orders[0] == WriteImage(image_id // 4, image_id % 4, image)
        assert orders[1:] == ((CloseFile(image_id // 4),) if image_id in {3, 7} else ())
    finish = FinishRun(10, (), messages.end(), Outcome.COMPLETE, n_received=10)
    assert session.on_end(messages.end()) == (finish,)
    assert session.state is State.IDLE


def test_any_order_of_arrival(session: Session) -> None:
    begin(session)
    closed = []
    for image_id in (9, 3, 2, 8, 1, 5, 0, 7, 6, 4):
        orders = session.on_image(messages.image(image_id))
        closed += [order.file_index for order in orders if isinstance(order, CloseFile)]
    assert closed == [0, 1]
    assert finished(session.on_end(messages.end())).outcome is Outcome.COMPLETE


@pytest.mark.parametrize(
    "message",
    [messages.image(0), messages.calibration(), messages.end()],
    ids=["image", "calibration", "end"],
)
def test_without_a_start(session: Session, message: Any) -> None:
    answer = {"ImageMessage": session.on_image, "CalibrationMessage": session.on_calibration}.get(
        type(message).__name__, session.on_end
    )
    assert dropped(answer(message)) is DropReason.NO_RUN
    assert session.state is State.IDLE


def test_another_series(session: Session) -> None:
    begin(session, 1)
    assert dropped(session.on_image(messages.image(0, series_id=2))) is DropReason.OTHER_SERIES
    assert dropped(session.on_calibration(messages.calibration(2))) is DropReason.OTHER_SERIES
    assert dropped(session.on_end(messages.end(2))) is DropReason.OTHER_SERIES
    stranger = messages.image(0, series_unique_id="of somebody else")
    assert dropped(session.on_image(stranger)) is DropReason.OTHER_SERIES
    assert session.state is State.OPEN
    assert session.snapshot().dropped == {"other_series": 2}


@pytest.mark.parametrize("unique_id", [None, "", "run 1"])
def test_the_unique_id_counts_where_both_name_one(session: Session, unique_id: str | None) -> None:
    begin(session)
    written(session.on_image(messages.image(0, series_unique_id=unique_id)))
    finished(session.on_end(messages.end(series_unique_id=unique_id)))
    begin(session, series_unique_id="")
    written(session.on_image(messages.image(0, series_unique_id="anything")))


def test_a_start_while_a_run_is_open(session: Session) -> None:
    begin(session, 1)
    written(session.on_image(messages.image(0)))
    finish, opened = session.on_start(messages.start(2), 200.0)
    assert isinstance(finish, FinishRun)
    assert (finish.outcome, finish.n_images, finish.end) == (Outcome.INCOMPLETE, 1, None)
    assert finish.reasons[:2] == ("superseded by run 2 'run 2'", "no end message")
    assert isinstance(opened, OpenRun)
    assert opened.plan.serial == 2
    written(session.on_image(messages.image(0, series_id=2)))
    assert dropped(session.on_image(messages.image(1))) is DropReason.AFTER_END


def test_the_same_start_again(session: Session) -> None:
    begin(session)
    session.on_calibration(messages.calibration())
    session.on_image(messages.image(0, channels={}))
    assert dropped(session.on_start(messages.start(), 101.0)) is DropReason.REPEATED_START
    written(session.on_image(messages.image(0)))
    finish, opened = session.on_start(messages.start(), 102.0)
    assert isinstance(finish, FinishRun)
    assert isinstance(opened, OpenRun)


def test_the_same_start_after_the_end_is_a_new_run(session: Session) -> None:
    begin(session)
    session.on_end(messages.end())
    assert begin(session).plan.serial == 2
    written(session.on_image(messages.image(0)))


def test_duplicates(session: Session) -> None:
    begin(session)
    for image_id in range(4):
        session.on_image(messages.image(image_id))
    assert dropped(session.on_image(messages.image(2))) is DropReason.DUPLICATE
    written(session.on_image(messages.image(5)))
    assert dropped(session.on_image(messages.image(5))) is DropReason.DUPLICATE


def test_unexpected_images_are_written_up_to_a_limit(session: Session) -> None:
    begin(session)
    for image_id in (10, 14):
        written(session.on_image(messages.image(image_id)))
    for image_id in (15, 2**63, 10**30, -1):
        assert dropped(session.on_image(messages.image(image_id))) is DropReason.TOO_FAR
    assert session.snapshot().n_unexpected == 2
    assert finished(session.on_end(messages.end(max_image_number=10))).n_images == 15


def test_no_unexpected_images_where_none_are_planned(session: Session) -> None:
    begin(session, number_of_images=None)
    written(session.on_image(messages.image(9999)))
    assert dropped(session.on_image(messages.image(10**6))) is DropReason.TOO_FAR
    assert session.snapshot().n_unexpected == 0


@pytest.mark.parametrize(
    ("channels", "reason"),
    [
        ({"default": messages.pixels(shape=(4, 3))}, DropReason.WRONG_SHAPE),
        ({"default": messages.pixels("<i2")}, DropReason.WRONG_DTYPE),
        ({"default": messages.pixels("<u4")}, DropReason.WRONG_DTYPE),
        ({"default": messages.pixels("<f8")}, DropReason.WRONG_DTYPE),
        ({}, DropReason.WRONG_CHANNEL),
        ({"default": messages.pixels(n_bytes=23)}, DropReason.BAD_PAYLOAD),
        ({"default": messages.pixels(n_bytes=0)}, DropReason.BAD_PAYLOAD),
        (
            {"default": Payload(memoryview(bytes(12)), Codec.BSLZ4, np.dtype("<u2"), (3, 4))},
            DropReason.BAD_PAYLOAD,
        ),
    ],
)
def test_a_wrong_image_is_rejected_and_may_come_again_right(
    session: Session, channels: dict[str, Payload], reason: DropReason
) -> None:
    begin(session, number_of_images=4)
    for image_id in (0, 1, 2):
        session.on_image(messages.image(image_id))
    assert dropped(session.on_image(messages.image(3, channels=channels))) is reason
    assert session.state is State.OPEN
    assert session.snapshot().dropped == {reason.value: 1}
    assert session.on_image(messages.image(3))[1:] == (CloseFile(0),)
    order = finished(session.on_end(messages.end(max_image_number=4)))
    assert (order.outcome, order.reasons) == (Outcome.COMPLETE, (f"1 image rejected ({reason})",))


def test_a_rejected_image_is_a_gap(session: Session) -> None:
    begin(session, number_of_images=None)
    session.on_image(messages.image(0))
    session.on_image(messages.image(6, channels={}))
    order = finished(session.on_end(messages.end(max_image_number=None)))
    assert (order.n_images, order.missing) == (7, ((1, 6),))


@pytest.mark.parametrize("dtype", [">u2", "<u2", "=u2"])
def test_byte_order_does_not_matter(session: Session, dtype: str) -> None:
    begin(session)
    written(session.on_image(messages.image(0, channels={"default": messages.pixels(dtype)})))


def test_the_first_good_image_fixes_what_the_start_did_not_say(session: Session) -> None:
    begin(session, image_dtype=None)
    unstorable = messages.image(0, channels={"a": messages.pixels("<u8")})
    assert dropped(session.on_image(unstorable)) is DropReason.WRONG_DTYPE
    broken = messages.image(0, channels={"a": messages.pixels("<i4", n_bytes=3)})
    assert dropped(session.on_image(broken)) is DropReason.BAD_PAYLOAD
    written(session.on_image(messages.image(0, channels={"b": messages.pixels(">f4")})))
    written(session.on_image(messages.image(1, channels={"b": messages.pixels("<f4")})))
    other_type = messages.image(2, channels={"b": messages.pixels("<u2")})
    assert dropped(session.on_image(other_type)) is DropReason.WRONG_DTYPE
    other_channel = messages.image(2, channels={"a": messages.pixels("<f4")})
    assert dropped(session.on_image(other_channel)) is DropReason.WRONG_CHANNEL


def test_channels_come_in_storage_order(session: Session) -> None:
    begin(session, channels=("low", "high"))
    swapped = messages.image(0, channels={"high": messages.pixels(">u2"), "low": messages.pixels()})
    order = written(session.on_image(swapped))
    assert list(order.image.channels) == ["low", "high"]
    assert order.image.channels["high"] is swapped.channels["high"]


@pytest.mark.parametrize("names", [("low",), ("low", "high", "more"), ("low", "other")])
def test_all_channels_and_no_others(session: Session, names: tuple[str, ...]) -> None:
    begin(session, channels=("low", "high"))
    image = messages.image(0, channels={name: messages.pixels() for name in names})
    assert dropped(session.on_image(image)) is DropReason.WRONG_CHANNEL


@pytest.mark.parametrize("names", [("a/b",), ("",), (".",), ("x" * 1000,), tuple(map(str, range(17)))])
def test_channels_that_only_the_images_name_are_checked(session: Session, names: tuple[str, ...]) -> None:
    begin(session)
    image = messages.image(0, channels={name: messages.pixels() for name in names})
    orders = session.on_image(image)
    assert dropped(orders) is DropReason.WRONG_CHANNEL
    assert isinstance(orders[0], Discard)
    assert len(orders[0].text) < 600


def test_one_bad_channel_is_one_bad_image(session: Session) -> None:
    begin(session)
    image = messages.image(0, channels={"a": messages.pixels(), "b": messages.pixels(n_bytes=5)})
    assert dropped(session.on_image(image)) is DropReason.BAD_PAYLOAD


def test_calibration_images_are_checked_one_by_one(session: Session) -> None:
    begin(session)
    good, bad = messages.pixels("<f4", (7, 5)), messages.pixels(n_bytes=1)
    stored, discarded = session.on_calibration(messages.calibration(data={"g0": good, "g1": bad}))
    assert stored == WriteCalibration(messages.calibration(data={"g0": good}))
    assert isinstance(discarded, Discard)
    assert discarded.reason is DropReason.BAD_CALIBRATION
    assert "'g1'" in discarded.text
    assert (
        dropped(session.on_calibration(messages.calibration(data={"g1": bad}))) is DropReason.BAD_CALIBRATION
    )
    assert dropped(session.on_calibration(messages.calibration(data={}))) is DropReason.BAD_CALIBRATION


def test_a_bad_calibration_image_is_no_image_but_a_doubt(session: Session) -> None:
    begin(session)
    bad = messages.calibration(data={"g1": messages.pixels(n_bytes=1)})
    assert dropped(session.on_calibration(bad)) is DropReason.BAD_CALIBRATION
    for image_id in range(10):
        session.on_image(messages.image(image_id))
    (order,) = session.on_end(messages.end())
    assert isinstance(order, FinishRun)
    assert (order.dropped, order.n_calibrations_dropped) == ({}, 1)
    assert (order.outcome, order.reasons) == (Outcome.INCOMPLETE, ("1 calibration image rejected",))


def test_images_beyond_the_plan_are_counted_until_the_next_start(session: Session) -> None:
    begin(session)
    for image_id in range(12):
        session.on_image(messages.image(image_id))
    (order,) = session.on_end(messages.end(max_image_number=12))
    assert isinstance(order, FinishRun)
    assert (order.n_unexpected, order.n_received) == (2, 12)
    assert session.snapshot().n_unexpected == 2
    session.on_start(messages.start(2), 2.0)
    assert session.snapshot().n_unexpected == 0


def test_images_of_a_failed_run_still_make_it_longer(session: Session) -> None:
    begin(session)
    session.on_image(messages.image(0))
    session.run_failed(1, "no_space", "full")
    session.image_skipped(1)
    session.on_image(messages.image(6))
    assert session.snapshot().dropped == {"run_failed": 2}
    (order,) = session.on_end(messages.end(max_image_number=None))
    assert isinstance(order, FinishRun)
    assert (order.n_images, order.n_received, order.n_never_came) == (7, 2, 3)
    assert order.dropped == {"run_failed": 1}, "the writer adds its own"


def test_after_the_end(session: Session) -> None:
    begin(session)
    session.on_image(messages.image(0))
    session.on_end(messages.end())
    assert dropped(session.on_image(messages.image(1))) is DropReason.AFTER_END
    assert dropped(session.on_calibration(messages.calibration())) is DropReason.AFTER_END
    assert dropped(session.on_end(messages.end())) is DropReason.AFTER_END
    assert session.snapshot() == SessionSnapshot(State.IDLE, {"after_end": 1})
    begin(session, 2)
    assert dropped(session.on_image(messages.image(2))) is DropReason.AFTER_END
    assert session.snapshot().dropped == {"after_end": 1}


def test_a_refused_run_is_drained(session: Session) -> None:
    assert dropped(session.on_start(messages.start(file_format=4), 1.0)) is DropReason.RUN_REFUSED
    assert session.state is State.DRAINING
    assert dropped(session.on_image(messages.image(0))) is DropReason.RUN_REFUSED
    assert dropped(session.on_calibration(messages.calibration())) is DropReason.RUN_REFUSED
    assert dropped(session.on_image(messages.image(0, series_id=2))) is DropReason.NO_RUN
    snapshot = session.snapshot()
    assert (snapshot.state, snapshot.file_prefix, snapshot.n_received) == (State.DRAINING, "scan1", 1)
    assert snapshot.failure is not None
    assert snapshot.started_at == 1.0
    assert dropped(session.on_end(messages.end())) is DropReason.RUN_REFUSED
    assert session.state is State.IDLE
    assert dropped(session.on_image(messages.image(1))) is DropReason.AFTER_END
    refusal = session.last_refusal
    assert refusal is not None
    assert (refusal.reason, refusal.received_at) == ("format", 1.0)
    assert "CBF" in refusal.text


def test_a_refused_run_gets_a_fresh_chance(session: Session) -> None:
    session.on_start(messages.start(file_format=4), 1.0)
    assert begin(session).plan.serial == 1
    written(session.on_image(messages.image(0)))


def test_a_refused_start_still_ends_the_open_run(session: Session) -> None:
    begin(session)
    finish, discard = session.on_start(messages.start(2, file_prefix="/etc/x"), 1.0)
    assert isinstance(finish, FinishRun)
    assert isinstance(discard, Discard)
    assert dropped(session.on_image(messages.image(0, series_id=2))) is DropReason.RUN_REFUSED


@pytest.mark.parametrize("way", ["end", "start", "cancel", "stop"])
def test_a_failed_run_is_drained_and_finished_once(session: Session, way: str) -> None:
    begin(session)
    written(session.on_image(messages.image(0)))
    session.run_failed(1, "no_space", "scan1_data_000001.h5: No space left on device")
    session.run_failed(1, "other", "told twice")
    assert session.state is State.DRAINING
    assert dropped(session.on_image(messages.image(1))) is DropReason.RUN_FAILED
    assert dropped(session.on_calibration(messages.calibration())) is DropReason.RUN_FAILED
    assert session.snapshot().failure == "scan1_data_000001.h5: No space left on device"
    orders = {
        "end": lambda: session.on_end(messages.end()),
        "start": lambda: session.on_start(messages.start(), 2.0),
        "cancel": session.cancel,
        "stop": session.stop,
    }[way]()
    finish = orders[0]
    assert isinstance(finish, FinishRun)
    assert finish.outcome is Outcome.FAILED
    assert finish.dropped == {"run_failed": 1}
    assert session.state is (State.OPEN if way == "start" else State.IDLE)


def test_late_news_of_an_earlier_run_change_nothing(session: Session) -> None:
    begin(session, 1)
    session.on_image(messages.image(0))
    session.on_end(messages.end())
    session.run_failed(1, "no_space", "late")
    session.image_lost(1, 0)
    begin(session, 2)
    session.on_image(messages.image(0, series_id=2))
    session.run_failed(1, "no_space", "later")
    session.image_lost(1, 0)
    assert session.state is State.OPEN
    assert session.snapshot().n_accepted == 1
    assert session.snapshot().dropped == {}


def test_an_image_that_could_not_be_written_may_come_again(session: Session) -> None:
    begin(session)
    for image_id in range(3):
        session.on_image(messages.image(image_id))
    session.image_lost(1, 1)
    session.image_lost(1, 1)
    session.image_lost(1, 77)
    assert session.snapshot().dropped == {"write_failed": 1}
    written(session.on_image(messages.image(3)))
    assert session.on_image(messages.image(1))[1:] == (CloseFile(0),)


def test_an_image_lost_from_a_closed_file_stays_lost(session: Session) -> None:
    begin(session, number_of_images=4)
    for image_id in range(4):
        session.on_image(messages.image(image_id))
    session.image_lost(1, 2)
    assert dropped(session.on_image(messages.image(2))) is DropReason.WRITE_FAILED
    order = finished(session.on_end(messages.end(max_image_number=4)))
    assert (order.outcome, order.missing) == (Outcome.INCOMPLETE, ((2, 2),))


def test_losing_an_unexpected_image(session: Session) -> None:
    begin(session)
    session.on_image(messages.image(12))
    session.image_lost(1, 12)
    assert session.snapshot().n_unexpected == 0


def test_cancel(session: Session) -> None:
    assert session.cancel() == ()
    begin(session)
    session.on_image(messages.image(0))
    order = finished(session.cancel())
    assert (order.outcome, order.n_images) == (Outcome.CANCELLED, 1)
    assert order.reasons[0] == "cancelled on request"
    assert session.state is State.IDLE
    assert dropped(session.on_image(messages.image(1))) is DropReason.AFTER_END
    assert dropped(session.on_end(messages.end())) is DropReason.AFTER_END
    begin(session, 2)


def test_stop(session: Session) -> None:
    assert session.stop() == ()
    begin(session)
    for image_id in range(10):
        session.on_image(messages.image(image_id))
    order = finished(session.stop())
    assert order.outcome is Outcome.INCOMPLETE
    assert order.reasons == ("the writer was stopped", "no end message")


@pytest.mark.parametrize("way", ["cancel", "stop"])
def test_cancel_and_stop_while_a_refused_run_is_drained(session: Session, way: str) -> None:
    session.on_start(messages.start(file_format=4), 1.0)
    assert getattr(session, way)() == ()
    assert session.state is State.IDLE
    assert dropped(session.on_image(messages.image(0))) is DropReason.AFTER_END


def test_a_run_without_files_is_counted_alike(session: Session) -> None:
    begin(session, file_prefix="")
    for image_id in range(10):
        written(session.on_image(messages.image(image_id)))
    assert finished(session.on_end(messages.end())).outcome is Outcome.COMPLETE


def test_snapshot(session: Session) -> None:
    begin(session, run_name="lyso", run_number=7, socket_number=0)
    for image_id in (0, 1, 2, 3, 5, 5, 12):
        session.on_image(messages.image(image_id))
    assert session.snapshot() == SessionSnapshot(
        state=State.OPEN,
        dropped={"duplicate": 1},
        serial=1,
        file_prefix="scan1",
        run_name="lyso",
        run_number=7,
        socket_number=0,
        format="NXmxLegacy",
        started_at=100.0,
        n_expected=10,
        n_received=7,
        n_accepted=6,
        n_unexpected=1,
        n_files_open=2,
        n_files_full=1,
    )


def test_snapshots_do_not_change(session: Session) -> None:
    begin(session)
    before = session.snapshot()
    session.on_image(messages.image(99))
    assert before.dropped == {}


def test_one_channel_under_another_name_is_the_one_of_the_start(session: Session) -> None:
    begin(session, channels=("threshold_1",))
    for image_id, name in enumerate(("default", "threshold_1", "")):
        image = messages.image(image_id, channels={name: messages.pixels()})
        (order,) = session.on_image(image)
        assert isinstance(order, WriteImage)
        assert list(order.image.channels) == ["threshold_1"]
    two = messages.image(3, channels={"a": messages.pixels(), "b": messages.pixels()})
    assert dropped(session.on_image(two)) is DropReason.WRONG_CHANNEL
