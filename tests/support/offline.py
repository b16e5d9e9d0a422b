"""The daemon without sockets and threads: messages in, files out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from jfwriter.analysis.figures import RunFigures
from jfwriter.errors import FailRun, PayloadError
from jfwriter.hdf5.run_writer import RunWriter
from jfwriter.plugins import plugins_for
from jfwriter.session.orders import (
    ClosedFile,
    CloseFile,
    Discard,
    FinishRun,
    OpenRun,
    Order,
    RunReport,
    WriteCalibration,
    WriteImage,
)
from jfwriter.session.session import Session
from jfwriter.settings import Settings
from jfwriter.wire.decode import decode
from jfwriter.wire.messages import CalibrationMessage, EndMessage, ImageMessage, Message, StartMessage

RECEIVED_AT_S = 1_770_000_000.0


@dataclass
class Written:
    """What came of the messages."""

    reports: list[RunReport] = field(default_factory=list)
    closed: list[ClosedFile] = field(default_factory=list)
    discarded: Counter[str] = field(default_factory=Counter)
    lost: list[int] = field(default_factory=list)
    failures: list[FailRun] = field(default_factory=list)

    @property
    def report(self) -> RunReport:
        (report,) = self.reports
        return report


class OfflineDaemon:
    """Carries out the session's orders at once, on the thread of the test."""

    def __init__(self, root: Path, **settings: dict[str, object]) -> None:
        files = {"root_dir": str(root), "sync": False} | settings.pop("files", {})
        self.settings = Settings.model_validate({"files": files, **settings})
        self.session = Session(self.settings)
        self.written = Written()
        self.writer: RunWriter | None = None
        self.figures = RunFigures(min_spots_for_hit=1)

    def take(self, messages: Iterable[Message | bytes]) -> Written:
        for message in messages:
            decoded = decode(message, self.settings.limits) if isinstance(message, bytes) else message
            for order in self._orders(decoded):
                self._do(order)
        return self.written

    def cancel(self) -> Written:
        for order in self.session.cancel():
            self._do(order)
        return self.written

    def _orders(self, message: Message) -> tuple[Order, ...]:
        if isinstance(message, StartMessage):
            return self.session.on_start(message, RECEIVED_AT_S)
        if isinstance(message, ImageMessage):
            return self.session.on_image(message)
        if isinstance(message, CalibrationMessage):
            return self.session.on_calibration(message)
        assert isinstance(message, EndMessage)
        return self.session.on_end(message)

    def _do(self, order: Order) -> None:
        if isinstance(order, Discard):
            self.written.discarded[order.reason.value] += 1
            return
        if isinstance(order, OpenRun):
            plan = order.plan
            self.figures = RunFigures(min_spots_for_hit=1)
            self.writer = RunWriter(plan, plugins_for(plan), self.settings, self.written.closed.append)
        assert self.writer is not None
        try:
            self._carry_out(self.writer, order)
        except FailRun as failure:
            self.written.failures.append(failure)
            self.session.run_failed(order_serial(self.session), failure.reason, str(failure))
            self.writer.abandon()

    def _carry_out(self, writer: RunWriter, order: Order) -> None:
        match order:
            case OpenRun():
                writer.open()
            case WriteImage():
                try:
                    writer.write_image(order)
                    self.figures.add((order.image,))
                except PayloadError:
                    self.written.lost.append(order.image.image_id)
                    self.session.image_lost(order_serial(self.session), order.image.image_id)
            case WriteCalibration():
                writer.write_calibration(order.message)
            case CloseFile():
                writer.close_file(order.file_index)
            case FinishRun():
                counts = {"images_analysed": 0, "images_skipped": 0}
                figures = {**self.figures.of_the_run(), **counts}
                self.written.reports.append(writer.finish(replace(order, figures=figures)))


def order_serial(session: Session) -> int:
    """Serial number of the run that is held (runs are counted from 1)."""
    return session._n_runs


def write(root: Path, messages: Iterable[Message | bytes], **settings: dict[str, object]) -> Written:
    """Feed `messages` to a fresh daemon that writes below `root`."""
    return OfflineDaemon(root, **settings).take(messages)
