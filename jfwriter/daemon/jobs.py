"""What the writer thread is given to do, and what is left of it when its runs are given up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jfwriter.daemon.analysis_pool import Pending
from jfwriter.session.orders import CloseFile, CompareImage, FinishRun, OpenRun, WriteCalibration, WriteImage


@dataclass(frozen=True, slots=True)
class GiveUpRun:
    """The run in work fails: nothing more of it is written."""

    text: str


@dataclass(frozen=True, slots=True)
class SkipImage:
    """An image that waited. Its bytes are let go, and it was counted when that was done."""

    image_id: int


WriterOrder = (
    OpenRun | WriteImage | CompareImage | WriteCalibration | CloseFile | FinishRun | GiveUpRun | SkipImage
)


@dataclass(frozen=True, slots=True)
class Job:
    """The orders that one message led to. The image in them keeps the received frame alive."""

    orders: tuple[WriterOrder, ...]
    charged_bytes: int
    arrived_at: float
    """Monotonic time in s."""
    analysis: Pending | None = None
    """Of the run that the orders open, or of the image that they write; None: nothing is computed."""


def without_images(jobs: Iterable[Job], text: str) -> Iterator[Job]:
    """`jobs` without what they wanted written: every run of theirs, and the one in work, is given up.

    Runs are opened and finished all the same, so that each is reported with all that was sent of it.
    """
    yield Job((GiveUpRun(text),), 0, 0.0)
    for job in jobs:
        orders: list[WriterOrder] = []
        for order in job.orders:
            if isinstance(order, WriteImage):
                orders.append(SkipImage(order.image.image_id))
            elif isinstance(order, OpenRun):
                orders += (order, GiveUpRun(text))
            elif isinstance(order, FinishRun | SkipImage):
                orders.append(order)
        opens = any(isinstance(order, OpenRun) for order in orders)
        if orders:
            yield Job(tuple(orders), 0, job.arrived_at, job.analysis if opens else None)
