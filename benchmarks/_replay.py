"""A run without sockets, clock or threads: messages through decoding, session and run writer, in one loop."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from jfwriter.hdf5.run_writer import RunWriter
from jfwriter.plugins import plugins_for
from jfwriter.session.orders import (
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
from jfwriter.settings import LimitSettings, Settings
from jfwriter.wire.messages import EndMessage, ImageMessage, StartMessage
from jfwriter.wire.stream import StreamDecoder


class Replay:
    """Feeds messages one by one, each to its end on the calling thread. RuntimeError if one is discarded."""

    def __init__(self, root: Path, *, sync: bool = False) -> None:
        self._settings = Settings.model_validate({"files": {"root_dir": str(root), "sync": sync}})
        self._session = Session(self._settings)
        self._limits = LimitSettings()
        self._decoder = StreamDecoder()
        self._writer: RunWriter | None = None
        self.report: RunReport | None = None

    def feed(self, message: bytes | bytearray) -> None:
        decoded = self._decoder.decode(memoryview(message).toreadonly(), self._limits)
        if isinstance(decoded, ImageMessage):
            orders: tuple[Order, ...] = self._session.on_image(decoded)
        elif isinstance(decoded, StartMessage):
            orders = self._session.on_start(decoded, 0.0)
        elif isinstance(decoded, EndMessage):
            orders = self._session.on_end(decoded)
        else:
            raise RuntimeError(f"no message of a run: {decoded}")
        for order in orders:
            self._do(order)

    def feed_all(self, messages: Iterable[bytes | bytearray]) -> None:
        for message in messages:
            self.feed(message)

    def _do(self, order: Order) -> None:
        if isinstance(order, Discard):
            raise RuntimeError(f"a message was discarded: {order}")
        if isinstance(order, OpenRun):
            self._writer = RunWriter(order.plan, plugins_for(order.plan), self._settings, lambda _: None)
            self._writer.open()
            return
        assert self._writer is not None
        if isinstance(order, WriteImage):
            self._writer.write_image(order)
        elif isinstance(order, CloseFile):
            self._writer.close_file(order.file_index)
        elif isinstance(order, FinishRun):
            self.report = self._writer.finish(order)
        elif isinstance(order, WriteCalibration):
            self._writer.write_calibration(order.message)
