"""The run that is open: takes or rejects its images. Owned by the session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from jfwriter.compression import check_framing
from jfwriter.errors import PayloadError
from jfwriter.payload import Payload
from jfwriter.session.bounds import image_id_limit
from jfwriter.session.ledger import Ledger
from jfwriter.session.orders import (
    STATUS_OF,
    CloseFile,
    CompareImage,
    Discard,
    DropReason,
    Order,
    WriteImage,
)
from jfwriter.session.plan import RunPlan
from jfwriter.session.planning import PIXEL_TYPES, usable_channel
from jfwriter.settings import LimitSettings
from jfwriter.wire.messages import CalibrationMessage, EndMessage, ImageMessage, StartMessage

_STORED_TYPES = frozenset(PIXEL_TYPES.values())


class Series(NamedTuple):
    """What tells the messages of one run from those of another."""

    series_id: int
    unique_id: str

    @classmethod
    def of(cls, start: StartMessage) -> Series:
        return cls(start.series_id, start.series_unique_id)

    def owns(self, message: ImageMessage | EndMessage | CalibrationMessage) -> bool:
        """The unique id counts where both sides name one."""
        return message.series_id == self.series_id and (
            not message.series_unique_id or not self.unique_id or message.series_unique_id == self.unique_id
        )

    def __str__(self) -> str:
        return f"{self.series_id} {self.unique_id[:60]!r}" if self.unique_id else str(self.series_id)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the writer gave the run up."""

    reason: str
    text: str


class Run:
    """Plan, ledger and what the first image fixed."""

    def __init__(self, plan: RunPlan, limits: LimitSettings) -> None:
        self.plan = plan
        self.series = Series.of(plan.start)
        self.ledger = Ledger(plan.images_per_file)
        self.failure: Failure | None = None
        self.n_unexpected = 0
        self.n_calibrations_dropped = 0
        self._limits = limits
        self._dtype = plan.dtype
        self._channels = plan.channels
        self._accepted: np.dtype[np.generic] | None = None
        """Pixel type, with its byte order, of the last image that was taken."""

    def take(self, image: ImageMessage) -> tuple[Order, ...]:
        """Orders for an image of this run: written (and its file closed when full), or discarded once."""
        image = self._with_the_channel_of_the_run(image)
        rejected = self._reject_place(image.image_id) or self._reject_content(image)
        if rejected is not None:
            self._mark(image.image_id, rejected.reason)
            if rejected.reason is DropReason.DUPLICATE and self._compares_duplicates:
                return rejected, CompareImage(*self.plan.place(image.image_id), image)
            return (rejected,)
        file_index, row = self.plan.place(image.image_id)
        order = WriteImage(file_index, row, self._in_storage_order(image))
        if self._is_unexpected(image.image_id):
            self.n_unexpected += 1
        if self.ledger.accept(image.image_id) and self.plan.writes_files:
            return order, CloseFile(file_index)
        return (order,)

    def lose(self, image_id: int) -> bool:
        """The writer could not store an accepted image: it may come again while its file is open."""
        lost = self.ledger.lose(image_id)
        if lost and self._is_unexpected(image_id):
            self.n_unexpected -= 1
        return lost

    def see(self, image_id: int) -> None:
        """An image came that nobody can write any more: the run is at least so long."""
        if 0 <= image_id < image_id_limit(self.plan, self.ledger.n_seen, self._limits):
            self.ledger.see(image_id)
            if not self.ledger.holds(image_id):
                self._mark(image_id, DropReason.RUN_FAILED)

    def _mark(self, image_id: int, reason: DropReason) -> None:
        status = STATUS_OF.get(reason)
        if status is not None:
            self.ledger.marks.set((image_id,), status)

    def take_calibration(
        self, message: CalibrationMessage
    ) -> tuple[CalibrationMessage | None, tuple[Discard, ...]]:
        """(the message with its sound images, None if there is none; what is wrong with the others)."""
        problems = {name: _framing_problem({name: payload}) for name, payload in message.data.items()}
        sound = {name: message.data[name] for name, problem in problems.items() if problem is None}
        discards = tuple(
            Discard(DropReason.BAD_CALIBRATION, f"calibration image {name[:40]!r}: {problem}")
            for name, problem in problems.items()
            if problem is not None
        )
        if not sound:
            discards = discards or (
                Discard(DropReason.BAD_CALIBRATION, "calibration message without an image"),
            )
        self.n_calibrations_dropped += len(discards)
        if not sound:
            return None, discards
        return (message if not discards else replace(message, data=sound)), discards

    @property
    def _compares_duplicates(self) -> bool:
        """Whether the writer knows a checksum of the first image."""
        return self.plan.checksums and self.plan.writes_files

    def _comparison(self) -> str:
        if self._compares_duplicates:
            return "how it compares is told next"
        why = "files.checksum is off" if self.plan.writes_files else "no files are written"
        return f"not compared ({why})"

    def _is_unexpected(self, image_id: int) -> bool:
        planned = self.plan.n_images_planned
        return planned is not None and image_id >= planned

    def _reject_place(self, image_id: int) -> Discard | None:
        limit = image_id_limit(self.plan, self.ledger.n_seen, self._limits)
        if not 0 <= image_id < limit:
            return Discard(DropReason.TOO_FAR, f"image {image_id}: this run may have images 0 to {limit - 1}")
        if self.ledger.holds(image_id):
            text = f"image {image_id} came again; the first one stays; {self._comparison()}"
            return Discard(DropReason.DUPLICATE, text)
        file_index, _ = self.plan.place(image_id)
        if self.ledger.is_full(file_index):
            return Discard(
                DropReason.WRITE_FAILED,
                f"image {image_id} came again after it could not be written; its data file is closed",
            )
        return None

    def _reject_content(self, image: ImageMessage) -> Discard | None:
        self.ledger.see(image.image_id)
        if not self._is_like_the_last(image.channels):
            rejected = self._reject_form(image)
            if rejected is not None:
                return rejected
        problem = _framing_problem(image.channels)
        if problem is not None:
            return Discard(DropReason.BAD_PAYLOAD, f"image {image.image_id}: {problem}")
        self._accepted = next(iter(image.channels.values())).dtype
        self._channels = self._channels or tuple(image.channels)
        self._dtype = native(self._accepted) if self._dtype is None else self._dtype
        return None

    def _is_like_the_last(self, channels: Mapping[str, Payload]) -> bool:
        """Whether there is nothing new to look at: the usual case, at a tenth of the cost of looking."""
        return (
            bool(channels)
            and tuple(channels) == self._channels
            and all(
                payload.dtype is self._accepted and payload.shape == self.plan.shape
                for payload in channels.values()
            )
        )

    def _reject_form(self, image: ImageMessage) -> Discard | None:
        channels = self._channels or tuple(image.channels)
        first = next(iter(image.channels.values()), None)
        if first is None or set(channels) != set(image.channels) or not self._channels_are_usable(channels):
            return Discard(
                DropReason.WRONG_CHANNEL,
                f"image {image.image_id}: channels {_shown(image.channels)}, "
                f"expected {_shown(channels) if self._channels else 'usable names'}",
            )
        dtype = self._dtype or native(first.dtype)
        for name, payload in image.channels.items():
            rejected = self._reject_pixels(image.image_id, name, payload, dtype)
            if rejected is not None:
                return rejected
        return None

    def _with_the_channel_of_the_run(self, image: ImageMessage) -> ImageMessage:
        """Where the start message names one channel and the image has one, it is that one, however called."""
        if len(self.plan.channels) != 1 or len(image.channels) != 1:
            return image
        (payload,) = image.channels.values()
        if self.plan.channels[0] in image.channels:
            return image
        return image.with_channels({self.plan.channels[0]: payload})

    def _channels_are_usable(self, names: tuple[str, ...]) -> bool:
        return len(names) <= self._limits.max_channels and all(usable_channel(name) for name in names)

    def _reject_pixels(
        self, image_id: int, name: str, payload: Payload, dtype: np.dtype[np.generic]
    ) -> Discard | None:
        if payload.shape != self.plan.shape:
            return Discard(
                DropReason.WRONG_SHAPE,
                f"image {image_id}, channel {name[:40]!r}: {payload.shape} pixels (height, width), "
                f"expected {self.plan.shape}",
            )
        if native(payload.dtype) != dtype or dtype not in _STORED_TYPES:
            came = native(payload.dtype)
            expected = str(dtype) if dtype in _STORED_TYPES else f"one of {', '.join(PIXEL_TYPES)}"
            return Discard(
                DropReason.WRONG_DTYPE,
                f"image {image_id}, channel {name[:40]!r}: {came} pixels, expected {expected}",
            )
        return None

    def _in_storage_order(self, image: ImageMessage) -> ImageMessage:
        if tuple(image.channels) == self._channels:
            return image
        return image.with_channels({name: image.channels[name] for name in self._channels})


def native(dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
    """The type without its byte order: how the bytes lie is the writer's matter."""
    return dtype.newbyteorder("=")


def _framing_problem(payloads: Mapping[str, Payload]) -> str | None:
    try:
        for payload in payloads.values():
            check_framing(payload)
    except PayloadError as error:
        return str(error)
    return None


def _shown(names: Iterable[str]) -> str:
    shown = [repr(name[:40]) for name in names]
    if len(shown) > 8:
        shown[8:] = ["..."]
    return f"[{', '.join(shown)}]"
