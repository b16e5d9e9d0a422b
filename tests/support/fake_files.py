"""The files of a run as the writer thread sees them, in memory and with faults on request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from jfwriter.errors import FailRun, PayloadError
from jfwriter.hdf5.losses import with_losses
from jfwriter.journal.sync_count import SyncCount
from jfwriter.session.orders import (
    ClosedFile,
    CompareImage,
    DropReason,
    FinishRun,
    Likeness,
    RunReport,
    WriteImage,
)
from jfwriter.session.plan import RunPlan
from jfwriter.wire.messages import CalibrationMessage


@dataclass
class Disk:
    """What all fake runs have done, and what they shall do wrong."""

    log: list[str] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    """How many images were to be written together."""
    raise_at: dict[str, Exception] = field(default_factory=dict)
    """Entry of the log (e.g. "image 3") -> what is raised instead."""
    may_write: threading.Event = field(default_factory=threading.Event)
    """Images wait for it."""
    is_writing: threading.Event = field(default_factory=threading.Event)
    """An image has come to be written."""

    def __post_init__(self) -> None:
        self.may_write.set()

    def make_files(self, plan: RunPlan, on_closed: Callable[[ClosedFile], None]) -> FakeFiles:
        return FakeFiles(self, plan, on_closed)

    def do(self, entry: str) -> None:
        if entry in self.raise_at:
            raise self.raise_at[entry]
        self.log.append(entry)


class FakeFiles:
    """Follows `run_in_work.RunFiles`; an image counts 100 bytes."""

    def __init__(self, disk: Disk, plan: RunPlan, on_closed: Callable[[ClosedFile], None]) -> None:
        self._disk = disk
        self._plan = plan
        self._on_closed = on_closed
        self._n_written = 0
        self.synced = SyncCount()
        self._lost: list[int] = []
        self._failed: list[int] = []

    def open(self) -> None:
        self._disk.do(f"open {self._plan.prefix}")

    def write_images(self, orders: Iterable[WriteImage]) -> Iterator[tuple[WriteImage, int | PayloadError]]:
        n_together = 0
        for order in orders:
            n_together += 1
            self._disk.is_writing.set()
            self._disk.may_write.wait()
            stored: int | PayloadError = 100
            try:
                self._disk.do(f"image {order.image.image_id}")
            except FailRun:
                self._failed.append(order.image.image_id)
                raise
            except PayloadError as error:
                self._lost.append(order.image.image_id)
                stored = error
            else:
                self._n_written += 1
            yield order, stored
        self._disk.batches.append(n_together)

    def compare(self, order: CompareImage) -> Likeness:
        self._disk.do(f"compare {order.image.image_id}")
        return Likeness.SAME

    def write_calibration(self, message: CalibrationMessage) -> None:
        self._disk.do(f"calibration {','.join(message.data)}")

    def close_file(self, file_index: int) -> None:
        self._disk.do(f"close {file_index}")
        name = self._plan.data_file_name(file_index)
        self._on_closed(ClosedFile(name, file_index, n_rows=4, n_written=4, size_bytes=400))

    def finish(self, order: FinishRun) -> RunReport:
        self._disk.do(f"finish {order.outcome}")
        order = with_losses(order, self._lost, DropReason.WRITE_FAILED)
        order = with_losses(order, self._failed, DropReason.RUN_FAILED)
        return RunReport(
            plan=self._plan,
            outcome=order.outcome,
            reasons=order.reasons,
            n_images=order.n_images,
            n_written=self._n_written,
            missing=order.missing,
            dropped=order.dropped,
            n_received=order.n_received,
        )

    def abandon(self) -> None:
        self._disk.do("abandon")
