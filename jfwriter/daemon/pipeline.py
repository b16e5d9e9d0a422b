"""The way of a message: decode, decide, hand to the writer thread, send on. Event loop only.

What happens for each image stands in `on_frame` and `_on_image`; everything else is for the rare cases.
"""

from __future__ import annotations

import logging
import time

import zmq

from jfwriter.daemon.aftermath import Aftermath
from jfwriter.daemon.analysis_pool import AnalysisPool, Pending
from jfwriter.daemon.board import Board
from jfwriter.daemon.budget import MESSAGE_OVERHEAD_BYTES, ByteBudget
from jfwriter.daemon.jobs import Job, WriterOrder
from jfwriter.daemon.republish import Republisher
from jfwriter.daemon.wire_log import WireLog
from jfwriter.daemon.writer_thread import WriterThread
from jfwriter.errors import ProtocolError
from jfwriter.session.orders import Discard, DropReason, OpenRun, Order, WriteImage
from jfwriter.session.plausibility import facts_of, implausible
from jfwriter.session.session import Session
from jfwriter.session.snapshot import State
from jfwriter.settings import LimitSettings
from jfwriter.wire.decode import claims_to_be_start
from jfwriter.wire.messages import (
    CalibrationMessage,
    EndMessage,
    FieldProblem,
    ImageMessage,
    Message,
    MetadataMessage,
    StartMessage,
    UnknownMessage,
)
from jfwriter.wire.stream import StreamDecoder
from jfwriter.wire.weight import held_bytes

_log = logging.getLogger(__name__)
_TYPE_NAMES = {
    "StartMessage": "start",
    "ImageMessage": "image",
    "PlainImage": "image",
    "EndMessage": "end",
    "CalibrationMessage": "calibration",
    "MetadataMessage": "metadata",
    "UnknownMessage": "unknown",
}


class Pipeline:
    """Feeds the session and passes its orders on."""

    def __init__(
        self,
        *,
        session: Session,
        writer: WriterThread,
        budget: ByteBudget,
        republisher: Republisher | None,
        aftermath: Aftermath,
        board: Board,
        wire_log: WireLog,
        limits: LimitSettings,
        analysis: AnalysisPool | None = None,
    ) -> None:
        """`analysis` None: nothing is computed."""
        self._decoder = StreamDecoder()
        self._session = session
        self._writer = writer
        self._budget = budget
        self._republisher = republisher
        self._aftermath = aftermath
        self._board = board
        self._wire_log = wire_log
        self._limits = limits
        self._next_limits = limits
        self._analysis = analysis
        self._interface_version: int | None = None

    def use(self, limits: LimitSettings) -> None:
        """For runs that start from now on; for the start message itself only if no run is open."""
        self._next_limits = limits
        if self._session.state is State.IDLE:
            self._limits = limits

    def on_frame(self, frame: zmq.Frame) -> None:
        """One received message; never raises because of what is in it.

        The frame's bytes, and what its decoded values hold beside them, are charged before it is queued and
        freed by the writer thread when its orders are done; meanwhile the image's view keeps the bytes alive.
        """
        n_bytes = len(frame)
        board = self._board
        board.last_message_at = now = board.clock()
        message = self._decode(frame.buffer.toreadonly())
        if message is not None:
            orders = self._decide(message)
            if orders:
                self.put(orders, n_bytes + held_bytes(message), now)
        if self._republisher is not None:
            is_control = isinstance(message, StartMessage | EndMessage)
            self._republisher.send(frame, n_bytes, is_control=is_control)

    def put(self, orders: tuple[Order, ...], n_bytes: int, arrived_at: float) -> None:
        """Queue what the writer has to do; count what is discarded. `arrived_at`: monotonic time in s."""
        wanted: list[WriterOrder] = []
        for order in orders:
            if isinstance(order, Discard):
                self._on_discard(order)
            else:
                wanted.append(order)
        if wanted:
            charged_bytes = n_bytes + MESSAGE_OVERHEAD_BYTES
            self._budget.charge(charged_bytes)
            analysis = None if self._analysis is None else _hand_over(self._analysis, wanted, charged_bytes)
            self._writer.put(Job(tuple(wanted), charged_bytes, arrived_at, analysis))

    def _decode(self, buffer: memoryview) -> Message | None:
        try:
            return self._decoder.decode(buffer, self._limits)
        except ProtocolError as error:
            kind, text = error.reason, str(error)
        except Exception as error:  # noqa: BLE001
            # A bug in the decoder concerns this message alone: dropping it is better than losing the run.
            kind, text = "decoder_bug", f"{type(error).__name__}: {error}"
            self._wire_log.once(logging.ERROR, ("decoder_bug",), "the decoder failed", exception=error)
        self._board.bad_message(kind)
        if claims_to_be_start(buffer):
            self._board.bad_start(kind, text)
        self._wire_log.once(
            logging.WARNING,
            ("bad_message", kind),
            f"a message of {len(buffer)} bytes is dropped ({kind}): {text}",
        )
        return None

    def _decide(self, message: Message) -> tuple[Order, ...]:
        self._board.messages[_TYPE_NAMES[type(message).__name__]] += 1
        if isinstance(message, ImageMessage):
            self._board.image_came(message.image_id)
            if message.problems:
                self._on_problems("image", message.problems)
            orders = self._session.on_image(message)
            if isinstance(orders[0], Discard):
                self._board.images_dropped[orders[0].reason] += 1
            return orders
        if isinstance(message, StartMessage):
            return self._on_start(message)
        if isinstance(message, EndMessage):
            self._on_problems("end", message.problems)
            return self._session.on_end(message)
        if isinstance(message, CalibrationMessage):
            self._on_problems("calibration", message.problems)
            return self._session.on_calibration(message)
        if isinstance(message, MetadataMessage):
            self._on_problems("metadata", message.problems)
        elif isinstance(message, UnknownMessage):
            text = f"messages of type {message.type[:60]!r} are not known and are only republished"
            self._wire_log.once(logging.WARNING, ("unknown", message.type[:60]), text)
        return ()

    def _on_start(self, start: StartMessage) -> tuple[Order, ...]:
        orders = self._session.on_start(start, time.time())
        last = orders[-1]
        if isinstance(last, Discard) and last.reason is DropReason.REPEATED_START:
            return orders
        self._limits = self._next_limits
        self._wire_log.new_run()
        self._board.started(start)
        if isinstance(last, OpenRun):
            plan = last.plan
            self._board.opened(plan)
            where = f"{plan.prefix!r} as {plan.format.name}" if plan.writes_files else "no files"
            n_images = "an unknown number of" if plan.n_images_planned is None else plan.n_images_planned
            self._wire_log.say(
                logging.INFO,
                f"run {start.series_unique_id!r} ({start.series_id}): {n_images} images, {where}",
            )
        elif (refusal := self._session.last_refusal) is not None:
            self._aftermath.run_refused(refusal)
        self._on_problems("start", start.problems)
        self._on_implausible(start)
        self._on_interface_version(start.magic_number)
        return orders

    def _on_interface_version(self, version: int | None) -> None:
        """Another version of the interface is no error, and the first thing to know if fields differ."""
        if version is not None and version != self._interface_version:
            before = "" if self._interface_version is None else f"; it was {self._interface_version:#x}"
            self._wire_log.say(logging.INFO, f"the sender's interface has version {version:#x}{before}")
            self._interface_version = version

    def _on_implausible(self, start: StartMessage) -> None:
        """What cannot be true is told while somebody can still put it right; the run is written as it is."""
        found = implausible(facts_of(start))
        self._board.implausible = tuple(map(str, found))
        for problem in found:
            self._wire_log.once(
                logging.WARNING, ("implausible", problem.field), f"start message, not plausible: {problem}"
            )

    def _on_problems(self, type_: str, problems: tuple[FieldProblem, ...]) -> None:
        if not problems:
            return
        self._board.fields_ignored(len(problems))
        for problem in problems:
            self._wire_log.once(
                logging.WARNING, ("field", type_, problem.field), f"{type_} message: {problem}"
            )

    def _on_discard(self, discard: Discard) -> None:
        self._board.messages_dropped[discard.reason] += 1
        self._wire_log.once(
            logging.WARNING,
            ("discard", discard.reason, discard.series),
            f"dropped ({discard.reason}): {discard.text}",
        )


def _hand_over(pool: AnalysisPool, orders: list[WriterOrder], n_bytes: int) -> Pending | None:
    """What the pool has to do for the orders of one message: they open one run or write one image."""
    for order in orders:
        if isinstance(order, WriteImage):
            return pool.submit(order.image, n_bytes)
        if isinstance(order, OpenRun):
            return pool.open(order.plan)
    return None
