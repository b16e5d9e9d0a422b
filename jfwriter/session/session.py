"""The state machine: what every message means. The table is in `docs/reference/session.md`.

One thread owns a session (the event loop). It has no sockets, files or clock; the writer thread's bad news
come back through `image_lost` and `run_failed`, perhaps when the run is over.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace

from jfwriter.errors import RunRefused
from jfwriter.session.orders import (
    Discard,
    DropReason,
    FinishRun,
    OpenRun,
    Order,
    Outcome,
    Range,
    WriteCalibration,
)
from jfwriter.session.planning import make_plan
from jfwriter.session.run import Failure, Run, Series
from jfwriter.session.snapshot import Refusal, SessionSnapshot, State
from jfwriter.session.verdict import Closing, finish, ranges
from jfwriter.settings import Settings
from jfwriter.wire.messages import CalibrationMessage, EndMessage, ImageMessage, StartMessage

Orders = tuple[Order, ...]
RunMessage = ImageMessage | EndMessage | CalibrationMessage

_REMEMBERED_SERIES = 8
GAP_WINDOW = 1_000_000
"""Images that are searched for gaps while a run goes on."""


class Session:
    """Holds at most one run. Every message gets exactly one answer: an order to the writer or a Discard."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        """Of the run that is held."""
        self._next_settings = settings
        self._run: Run | None = None
        self._refused: Refusal | None = None
        self._last_refusal: Refusal | None = None
        self._over: deque[Series] = deque(maxlen=_REMEMBERED_SERIES)
        self._dropped: Counter[str] = Counter()
        """Images discarded here."""
        self._lost: Counter[str] = Counter()
        """Images of the held run that the writer has told of. It counts them itself in its report."""
        self._n_received = 0
        self._n_since_start = 0
        self._n_unexpected = 0
        self._n_runs = 0
        self.obstacle = ""
        """Why no run can be started now; empty: one can."""

    @property
    def state(self) -> State:
        if self._run is not None:
            return State.OPEN if self._run.failure is None else State.DRAINING
        return State.IDLE if self._refused is None else State.DRAINING

    @property
    def last_refusal(self) -> Refusal | None:
        """The latest run that was refused at its start."""
        return self._last_refusal

    @property
    def next_serial(self) -> int:
        """Of the run that starts next."""
        return self._n_runs + 1

    def use(self, settings: Settings) -> None:
        """For runs that start from now on."""
        self._next_settings = settings

    def on_start(self, start: StartMessage, received_at: float) -> Orders:
        """Open a run, closing the one that is held. `received_at`: Unix time in s."""
        series = Series.of(start)
        if self._is_repeated(series):
            return (Discard(DropReason.REPEATED_START, f"start of run {series} came again"),)
        orders = self._close(Closing(Outcome.INCOMPLETE, f"superseded by run {series}"), None)
        self._forget_refused()
        self._settings = self._next_settings
        self._dropped.clear()
        self._lost.clear()
        self._n_received = self._n_since_start = self._n_unexpected = 0
        try:
            if self.obstacle:
                raise RunRefused("no_answer", self.obstacle)  # noqa: TRY301 refused as by the plan
            plan = make_plan(start, self._settings, self.next_serial, received_at)
        except RunRefused as refusal:
            self._refused = self._last_refusal = Refusal(start, received_at, refusal.reason, str(refusal))
            return (*orders, Discard(DropReason.RUN_REFUSED, f"run {series} refused: {refusal}"))
        self._n_runs += 1
        self._run = Run(plan, self._settings.limits)
        return (*orders, OpenRun(plan))

    def on_image(self, image: ImageMessage) -> Orders:
        """Write an image of the open run, or discard it; the file that it fills is closed."""
        self._n_since_start += 1
        run = self._run_of(image)
        if isinstance(run, Discard):
            return (run,)
        self._n_received += 1
        if run.failure is not None:
            run.see(image.image_id)
            return (self._drop_failed(image, run, run.failure),)
        orders = run.take(image)
        self._count(orders)
        return orders

    def on_calibration(self, message: CalibrationMessage) -> Orders:
        """Store the calibration images whose framing is sound."""
        run = self._run_of(message)
        if isinstance(run, Discard):
            return (run,)
        if run.failure is not None:
            return (self._drop_failed(message, run, run.failure),)
        sound, discards = run.take_calibration(message)
        return (*(() if sound is None else (WriteCalibration(sound),)), *discards)

    def on_end(self, end: EndMessage) -> Orders:
        """Finish the run that is held."""
        if self._refused is not None and Series.of(self._refused.start).owns(end):
            discard = Discard(DropReason.RUN_REFUSED, f"the run was refused: {self._refused.text}")
            self._forget_refused()
            return (discard,)
        run = self._run_of(end)
        if isinstance(run, Discard):
            return (run,)
        return self._close(Closing(), end)

    def cancel(self) -> Orders:
        """Close the run on request; what still comes of it is dropped. No run: nothing."""
        self._forget_refused()
        return self._close(Closing(Outcome.CANCELLED, "cancelled on request"), None)

    def stop(self) -> Orders:
        """Close the run because the writer stops. No run: nothing."""
        self._forget_refused()
        return self._close(Closing(Outcome.INCOMPLETE, "the writer was stopped"), None)

    def image_lost(self, serial: int, image_id: int) -> None:
        """The writer could not store an accepted image of run `serial`."""
        run = self._run
        if run is not None and run.plan.serial == serial and run.lose(image_id):
            self._lost[DropReason.WRITE_FAILED.value] += 1

    def image_skipped(self, serial: int) -> None:
        """The writer did not store an accepted image of run `serial`, as the run had failed."""
        if self._run is not None and self._run.plan.serial == serial:
            self._lost[DropReason.RUN_FAILED.value] += 1

    def run_failed(self, serial: int, reason: str, text: str) -> None:
        """The writer gave run `serial` up: its messages are discarded until its end or the next start."""
        run = self._run
        if run is not None and run.plan.serial == serial and run.failure is None:
            run.failure = Failure(reason, text)

    @property
    def n_missing_so_far(self) -> int | None:
        """Images of the held run below the highest that came which are not taken; None: other writers may
        have them."""
        run = self._run
        if run is None:
            return 0
        return run.ledger.n_seen - run.ledger.n_accepted if run.plan.only_writer else None

    def gaps_so_far(self) -> tuple[Range, ...]:
        """Ranges of these images, of the last `GAP_WINDOW` of the run; a few milliseconds."""
        if self._run is None:
            return ()
        ledger = self._run.ledger
        return ranges(ledger.missing(max(0, ledger.n_seen - GAP_WINDOW), ledger.n_seen))

    def snapshot(self) -> SessionSnapshot:
        """An immutable picture of the session."""
        start = self._refused.start if self._refused else self._run.plan.start if self._run else None
        if start is None:
            return SessionSnapshot(
                self.state, dict(self._dropped + self._lost), n_unexpected=self._n_unexpected
            )
        run = self._run
        refused = self._refused
        return SessionSnapshot(
            state=self.state,
            dropped=dict(self._dropped + self._lost),
            serial=run.plan.serial if run else None,
            file_prefix=run.plan.prefix if run else start.file_prefix,
            run_name=start.run_name or start.series_unique_id,
            run_number=start.series_id if start.run_number is None else start.run_number,
            socket_number=start.socket_number,
            format=run.plan.format.name if run else None,
            started_at=run.plan.received_at if run else refused.received_at if refused else None,
            n_expected=start.number_of_images,
            n_received=self._n_received,
            n_accepted=run.ledger.n_accepted if run else 0,
            n_unexpected=run.n_unexpected if run else 0,
            n_files_open=run.ledger.n_open_files if run else 0,
            n_files_full=run.ledger.n_full_files if run else 0,
            failure=refused.text if refused else run.failure.text if run and run.failure else None,
        )

    def _is_repeated(self, series: Series) -> bool:
        run = self._run
        return run is not None and run.failure is None and run.series == series and run.ledger.n_accepted == 0

    def _run_of(self, message: RunMessage) -> Run | Discard:
        """The held run if the message is its own, else why the message is dropped."""
        if self._run is not None and self._run.series.owns(message):
            return self._run
        if self._refused is not None and Series.of(self._refused.start).owns(message):
            self._n_received += isinstance(message, ImageMessage)
            return self._drop(message, DropReason.RUN_REFUSED, f"the run was refused: {self._refused.text}")
        came = Series(message.series_id, message.series_unique_id or "")
        if any(series.owns(message) for series in self._over):
            return self._drop(message, DropReason.AFTER_END, f"run {came} is over", str(came))
        if self._run is not None:
            text = f"run {came} is not the open one, {self._run.series}"
            return self._drop(message, DropReason.OTHER_SERIES, text, str(came))
        return self._drop(message, DropReason.NO_RUN, f"run {came} has not been started", str(came))

    def _close(self, closing: Closing, end: EndMessage | None) -> tuple[FinishRun, ...]:
        """Finish the held run, if there is one. A failed one ends as failed whatever closes it; the
        writer adds what went wrong."""
        run = self._run
        if run is None:
            return ()
        self._run = None
        self._over.append(run.series)
        if run.failure is not None:
            closing = Closing(Outcome.FAILED, closing.reason)
        order = finish(
            run.plan,
            run.ledger,
            self._dropped + self._lost,
            self._settings,
            end=end,
            closing=closing,
            n_calibrations_dropped=run.n_calibrations_dropped,
        )
        self._n_unexpected = run.n_unexpected
        return (
            replace(
                order,
                dropped=dict(self._dropped),
                n_received=self._n_since_start,
                n_unexpected=run.n_unexpected,
            ),
        )

    def _forget_refused(self) -> None:
        if self._refused is not None:
            self._over.append(Series.of(self._refused.start))
            self._refused = None

    def _drop_failed(self, message: RunMessage, run: Run, failure: Failure) -> Discard:
        return self._drop(message, DropReason.RUN_FAILED, f"run {run.series} failed: {failure.text}")

    def _drop(self, message: RunMessage, reason: DropReason, text: str, series: str = "") -> Discard:
        if isinstance(message, ImageMessage):
            self._dropped[reason.value] += 1
        return Discard(reason, text, series)

    def _count(self, orders: Orders) -> None:
        for order in orders:
            if isinstance(order, Discard):
                self._dropped[order.reason.value] += 1
