"""Send a run: start, calibration, images at a rate, end."""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from jfwriter.simulator.dcu import Dcu
from jfwriter.simulator.run import Progress, SimulatedRun

DEFAULT_IMAGES_PER_FILE = 1000
"""What a writer takes when the start message does not say."""

_PROGRESS_INTERVAL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class SendPlan:
    """How a run is sent. `rate_hz` 0: as fast as the writer takes it. Images in `leave_out` are not sent."""

    rate_hz: float = 0.0
    shuffle_seed: int | None = None
    leave_out: Collection[int] = ()
    send_end: bool = True

    def order(self, n_images: int) -> list[int]:
        """Image numbers in the order of sending."""
        numbers = [i for i in range(n_images) if i not in self.leave_out]
        if self.shuffle_seed is not None:
            random.Random(self.shuffle_seed).shuffle(numbers)  # noqa: S311 no secret
        return numbers


@dataclass(frozen=True, slots=True)
class SendReport:
    """What was handed to the sockets. `n_lost`: images that a slow writer lost (lossy sending)."""

    n_images: int
    n_left_out: int
    n_lost: int
    n_bytes: int
    duration_s: float
    end_taken: bool


def send_run(
    dcu: Dcu, run: SimulatedRun, plan: SendPlan | None = None, progress: Progress | None = None
) -> SendReport:
    """Send one run through all sockets of `dcu`.

    With several sockets each gets start and end, the first alone calibration and the order to write the
    master. Raises EndpointError if nobody takes the start, or the writer stalls.
    """
    plan = SendPlan() if plan is None else plan
    options = run.options
    several = dcu.n_sockets > 1
    images_per_file = options.images_per_file
    images_per_file = DEFAULT_IMAGES_PER_FILE if images_per_file is None else images_per_file
    order = plan.order(options.n_images)
    began = time.monotonic()
    dcu.send_starts([run.start(i if several else None, write_master=i == 0) for i in range(dcu.n_sockets)])
    n_bytes = 0
    for message in run.calibration():
        dcu.send(message)
    sent: list[int] = []
    try:
        for image_id, message in _paced(run, order, plan.rate_hz, progress):
            if dcu.send(message, dcu.socket_of(image_id, images_per_file)):
                sent.append(image_id)
                n_bytes += len(message)
    except KeyboardInterrupt:
        dcu.send_ends([run.end(sent, cancelled=True)] * dcu.n_sockets)
        raise
    end_taken = not plan.send_end or dcu.send_ends([run.end(sent)] * dcu.n_sockets)
    if progress is not None:
        progress(len(order), len(order))
    return SendReport(
        n_images=len(sent),
        n_left_out=options.n_images - len(order),
        n_lost=len(order) - len(sent),
        n_bytes=n_bytes,
        duration_s=time.monotonic() - began,
        end_taken=end_taken,
    )


def _paced(
    run: SimulatedRun, order: list[int], rate_hz: float, progress: Progress | None
) -> Iterator[tuple[int, bytes]]:
    """Image messages, each when it is due."""
    began = time.monotonic()
    shown_at = began
    for position, image_id in enumerate(order):
        message = run.image(image_id)
        now = time.monotonic()
        if progress is not None and now - shown_at > _PROGRESS_INTERVAL_S:
            progress(position, len(order))
            shown_at = now
        due = began + position / rate_hz if rate_hz > 0 else now
        if due > now:
            time.sleep(due - now)
        yield image_id, message
