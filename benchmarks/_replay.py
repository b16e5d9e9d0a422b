"""A run without sockets, clock or threads: messages through decoding, session and run writer, in one loop."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from jfwriter.errors import PayloadError
from jfwriter.hdf5.batch import MAX_IMAGES
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
    """Feeds messages on the calling thread; images are written together, as many as the daemon takes at most.

    RuntimeError if a message is discarded or an image is not written.
    """

    def __init__(self, root: Path, *, sync: bool = False) -> None:
        self._settings = Settings.model_validate({"files": {"root_dir": str(root), "sync": sync}})
        self._session = Session(self._settings)
        self._limits = LimitSettings()
        self._decoder = StreamDecoder()
        self._writer: RunWriter | None = None
        self._waiting: list[WriteImage] = []
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
            if isinstance(order, WriteImage):
                self._waiting.append(order)
            else:
                self.write_waiting()
                self._do(order)
        if len(self._waiting) == MAX_IMAGES:
            self.write_waiting()

    def write_waiting(self) -> None:
        """The images that have not been written yet."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        assert self._writer is not None
        for order, came in self._writer.write_images(waiting):
            if isinstance(came, PayloadError):
                raise RuntimeError(f"image {order.image.image_id} was not written: {came}")

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
        if isinstance(order, CloseFile):
            self._writer.close_file(order.file_index)
        elif isinstance(order, FinishRun):
            self.report = self._writer.finish(order)
        elif isinstance(order, WriteCalibration):
            self._writer.write_calibration(order.message)
