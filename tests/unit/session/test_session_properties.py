"""Any interleaving of messages, sound or not: nothing raises, and the orders always make sense."""

from __future__ import annotations

from typing import Any

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

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
from jfwriter.session.plan import RunPlan
from jfwriter.session.session import Session
from jfwriter.session.snapshot import State
from tests.support import messages

SERIES = st.sampled_from([1, 1, 1, 1, 2])
NUMBERS = st.integers(0, 14) | st.sampled_from([-1, 16, 10_016, 2**63, 2**64])
SIZES = st.fixed_dictionaries(
    {"number_of_images": st.sampled_from([None, 1, 6, 12]), "images_per_file": st.sampled_from([0, 1, 3])}
)
ODDITIES: dict[str, st.SearchStrategy[Any]] = {
    "number_of_images": st.sampled_from([0, -3, 2**60]),
    "images_per_file": st.sampled_from([None, 2**60, -1]),
    "image_dtype": st.sampled_from([None, "uint16", "uint64"]),
    "file_prefix": st.sampled_from(["scan", "a/b", "", None, "../x"]),
    "file_format": st.sampled_from([None, 0, 1, 2, 3, 4, 6, 99]),
    "socket_number": st.sampled_from([None, 0, 1, 5]),
    "write_master_file": st.sampled_from([None, True, False]),
    "channels": st.sampled_from([(), ("default",), ("default", "other"), ("a", "a")]),
    "data_reduction_factor_serialmx": st.sampled_from([None, 0.0, 0.5, 1.0]),
    "series_unique_id": st.sampled_from(["", "run 1", "run 2"]),
    "image_size_x": st.sampled_from([0, -1, 2**40]),
}
ODD = st.sampled_from(sorted(ODDITIES)).flatmap(lambda key: ODDITIES[key].map(lambda value: {key: value}))
PAYLOADS = st.sampled_from(
    [
        messages.pixels(),
        messages.pixels(),
        messages.pixels(">u2"),
        messages.pixels("<u4"),
        messages.pixels(n_bytes=3),
        messages.pixels(shape=(1, 1)),
    ]
)
CHANNELS = st.dictionaries(st.sampled_from(["default"] * 6 + ["other", ""]), PAYLOADS, max_size=2) | (
    st.builds(lambda payload: {"default": payload}, PAYLOADS)
)
COUNTS = st.sampled_from([None, 0, 1, 6, 12, 2**64])


class AnySession(RuleBasedStateMachine):
    """A writer that does what it is told, and notes everything that cannot be."""

    images = Bundle("images")

    @initialize(n_writers=st.sampled_from([0, 1, 2]), slack=st.sampled_from([0, 4]))
    def set_up(self, n_writers: int, slack: int) -> None:
        self.session = Session(
            messages.settings(files={"n_writers": n_writers}, limits={"max_unexpected_images": slack})
        )
        self.plan: RunPlan | None = None
        self.written: set[int] = set()
        self.closed: set[int] = set()
        self.lost = 0
        self.told_failed = False
        self.runs_over = 0

    @rule(series_id=SERIES, sizes=SIZES, odd=st.lists(ODD, max_size=2))
    def start(self, series_id: int, sizes: dict[str, Any], odd: list[dict[str, Any]]) -> None:
        for more in odd:
            sizes = sizes | more
        self.obey(self.session.on_start(messages.start(series_id, **sizes), 1.0), OpenRun, finishes=True)

    @rule(target=images, series_id=SERIES, image_id=NUMBERS, channels=CHANNELS)
    def image(self, series_id: int, image_id: int, channels: Any) -> tuple[int, int]:
        image = messages.image(image_id, series_id, channels=channels)
        self.obey(self.session.on_image(image), WriteImage)
        return series_id, image_id

    @rule(again=images)
    def image_again(self, again: tuple[int, int]) -> None:
        series_id, image_id = again
        self.obey(self.session.on_image(messages.image(image_id, series_id)), WriteImage)

    @rule(series_id=SERIES, upto=st.sampled_from([1, 3, 6, 11, 12]))
    def several_images(self, series_id: int, upto: int) -> None:
        for image_id in reversed(range(upto)):
            self.obey(self.session.on_image(messages.image(image_id, series_id)), WriteImage)

    @rule(series_id=SERIES, channels=CHANNELS)
    def calibration(self, series_id: int, channels: Any) -> None:
        orders = self.session.on_calibration(messages.calibration(series_id, data=channels))
        assert orders
        assert all(isinstance(order, WriteCalibration | Discard) for order in orders)
        assert sum(isinstance(order, WriteCalibration) for order in orders) <= 1

    @rule(
        sizes=SIZES,
        odd=st.lists(ODD, max_size=1),
        order=st.permutations(range(12)),
        n_lost=st.sampled_from([0, 0, 1, 5]),
        claim=COUNTS,
    )
    def whole_run(
        self,
        sizes: dict[str, Any],
        odd: list[dict[str, Any]],
        order: list[int],
        n_lost: int,
        claim: int | None,
    ) -> None:
        self.start(1, sizes, odd)
        for image_id in order[n_lost:]:
            if image_id < (sizes["number_of_images"] or 12):
                self.obey(self.session.on_image(messages.image(image_id)), WriteImage)
        self.obey(self.session.on_end(messages.end(max_image_number=claim)), FinishRun)

    @precondition(lambda self: self.session.state is not State.IDLE or self.runs_over < 3)
    @rule(series_id=SERIES, n_images=COUNTS, n_sent=COUNTS, cancelled=st.sampled_from([None, False, True]))
    def end(self, series_id: int, n_images: int | None, n_sent: int | None, cancelled: bool | None) -> None:
        end = messages.end(series_id, n_images, images_sent_to_write=n_sent, cancelled=cancelled)
        self.obey(self.session.on_end(end), FinishRun)

    @precondition(lambda self: len(self.written) > 4 or self.session.state is State.DRAINING)
    @rule(stop=st.booleans())
    def cancel_or_stop(self, stop: bool) -> None:
        had_run = self.plan is not None
        orders = self.session.stop() if stop else self.session.cancel()
        assert len(orders) == had_run
        for order in orders:
            self.obey((order,), FinishRun)
        assert self.session.state is State.IDLE

    @rule(late=st.booleans(), image_id=st.integers(0, 12))
    def image_lost(self, late: bool, image_id: int) -> None:
        serial = self.serial(late)
        self.session.image_lost(serial, image_id)
        if self.plan is not None and self.plan.serial == serial and image_id in self.written:
            self.written.discard(image_id)
            self.lost += 1

    @precondition(lambda self: self.written)
    @rule(late=st.booleans())
    def run_failed(self, late: bool) -> None:
        serial = self.serial(late)
        self.session.run_failed(serial, "no_space", "the disk is full")
        self.told_failed |= self.plan is not None and self.plan.serial == serial

    def serial(self, late: bool) -> int:
        return (self.plan.serial if self.plan is not None else 1) - late

    @invariant()
    def states_agree(self) -> None:
        if not hasattr(self, "session"):
            return
        snapshot = self.session.snapshot()
        assert snapshot.state is self.session.state
        assert snapshot.n_accepted == len(self.written)
        if self.plan is None:
            assert snapshot.state is not State.OPEN
        else:
            assert snapshot.state is (State.DRAINING if self.told_failed else State.OPEN)

    def obey(self, orders: tuple[Order, ...], answer: type, *, finishes: bool = False) -> None:
        """Exactly one `answer` or Discard; before it a FinishRun (`finishes`), behind it a CloseFile."""
        assert sum(isinstance(order, answer | Discard) for order in orders) == 1  # type: ignore[operator]
        kinds = [type(order) for order in orders]
        if finishes and kinds[0] is FinishRun:
            kinds = kinds[1:]
        elif kinds[0] is WriteImage and kinds[-1] is CloseFile:
            kinds = kinds[:-1]
        assert len(kinds) == 1
        for order in orders:
            self.do(order)

    def do(self, order: Order) -> None:
        if isinstance(order, OpenRun):
            assert self.plan is None
            self.plan, self.written, self.closed = order.plan, set(), set()
            self.lost, self.told_failed = 0, False
        elif isinstance(order, WriteImage):
            self.write(order)
        elif isinstance(order, CloseFile):
            self.close(order)
        elif isinstance(order, FinishRun):
            self.finish(order)
        else:
            assert isinstance(order, Discard)
            assert isinstance(order.reason, DropReason)

    def write(self, order: WriteImage) -> None:
        assert self.plan is not None
        assert not self.told_failed
        image_id = order.image.image_id
        assert (order.file_index, order.row) == self.plan.place(image_id)
        assert order.file_index not in self.closed
        assert image_id not in self.written
        self.written.add(image_id)

    def close(self, order: CloseFile) -> None:
        assert self.plan is not None
        assert self.plan.writes_files
        per_file = self.plan.images_per_file
        assert set(range(order.file_index * per_file, (order.file_index + 1) * per_file)) <= self.written
        assert order.file_index not in self.closed
        self.closed.add(order.file_index)

    def finish(self, order: FinishRun) -> None:
        plan = self.plan
        assert plan is not None
        missing = {number for first, last in order.missing for number in range(first, last + 1)}
        assert not missing & self.written
        assert all(image_id < order.n_images for image_id in missing | self.written)
        if plan.only_writer:
            assert missing | self.written == set(range(order.n_images))
        if order.outcome is Outcome.COMPLETE:
            self.check_complete(order, missing)
        else:
            assert order.reasons or self.told_failed
        assert (order.outcome is Outcome.FAILED) == self.told_failed
        self.plan, self.written, self.told_failed = None, set(), False
        self.runs_over += 1

    def check_complete(self, order: FinishRun, missing: set[int]) -> None:
        plan, end = self.plan, order.end
        assert plan is not None
        assert end is not None
        assert not end.cancelled
        reduced = (plan.start.data_reduction_factor_serialmx or 1.0) < 1 or (
            plan.start.data_reduction_factor_serialmx == 0.0
        )
        if reduced and plan.only_writer:
            assert not missing or end.images_sent_to_write == len(self.written)
            return
        assert not missing
        assert self.lost == 0 or self.written
        if plan.only_writer:
            assert set(range(plan.n_images_planned or 0)) <= self.written
            assert set(range(end.max_image_number or 0)) <= self.written


TestAnySession = AnySession.TestCase
TestAnySession.settings = hypothesis_settings(max_examples=100, stateful_step_count=30, deadline=None)
