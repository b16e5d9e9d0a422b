"""A whole simulated run as messages: images made and packed once, then sent as often as wanted."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jfwriter.simulator.image_message import Sent, constant_fields, end_fields, varying_fields
from jfwriter.simulator.images import Pixels
from jfwriter.simulator.options import RunOptions
from jfwriter.simulator.source import (
    ImageSource,
    PreparedImage,
    SyntheticSource,
    channel_pixels,
    prepare_image,
)
from jfwriter.simulator.splice import Body, map_body, splice, without_type
from jfwriter.simulator.start_message import calibration_data, identity, naming_fields, start_fields
from jfwriter.simulator.tables import make_tables
from jfwriter.wire.encode import encode

Progress = Callable[[int, int], None]
"""Told (done, of how many)."""


class SimulatedRun:
    """The messages of one run. Making it makes and packs its distinct images.

    Messages are bytes, complete with the CBOR prefix. The image with number `image_id` shows distinct
    image `image_id` modulo `options.n_different`.
    """

    def __init__(
        self, options: RunOptions, source: ImageSource | None = None, progress: Progress | None = None
    ) -> None:
        self.options = options
        self._source = SyntheticSource(options) if source is None else source
        self.pixel_mask = self._source.pixel_mask
        geometry = options.geometry
        self.tables = make_tables(geometry, self.pixel_mask == 0, options.n_azint_bins)
        self.prepared = tuple(self._prepare(progress))
        self._start = _body("start", start_fields(options, self.pixel_mask, self.tables))
        self._calibration = [_body("calibration", fields) for fields in calibration_data(options)]
        self._images = [
            _body("image", constant_fields(options, self.tables, image, number))
            for number, image in enumerate(self.prepared)
        ]
        self._began_at = datetime.datetime.now(datetime.UTC)

    def renamed(self, run_number: int, file_prefix: str, file_format: str | None = None) -> SimulatedRun:
        """The same images as another run, in this one's format if none is given. Nothing is made anew."""
        return self._with(
            run_number=run_number,
            file_prefix=file_prefix,
            file_format=file_format or self.options.file_format,
        )

    def lengthened(self, n_images: int, images_per_file: int) -> SimulatedRun:
        """The same distinct images, repeated for a run of `n_images`. Only the start message is made anew."""
        other = self._with(n_images=n_images, n_distinct=len(self.prepared), images_per_file=images_per_file)
        other._start = _body("start", start_fields(other.options, self.pixel_mask, self.tables))
        return other

    def _with(self, **changed: Any) -> SimulatedRun:
        other = object.__new__(SimulatedRun)
        other.__dict__.update(self.__dict__, options=dataclasses.replace(self.options, **changed))
        return other

    def start(self, socket_number: int | None = None, *, write_master: bool = True) -> bytes:
        """The start message; name the socket where several writers share the run."""
        self._began_at = datetime.datetime.now(datetime.UTC)
        fields = naming_fields(self.options, self._began_at, socket_number, write_master=write_master)
        return splice(map_body(encode(fields)), self._start)

    def calibration(self) -> list[bytes]:
        """Calibration messages, none for plain Stream V2."""
        head = map_body(encode({"type": "calibration", **identity(self.options)}))
        return [splice(head, body) for body in self._calibration]

    def image(self, image_id: int) -> bytes:
        """One image message. The payload is copied once, from its prepared body into the message."""
        head = map_body(encode(varying_fields(self.options, image_id, self._began_at)))
        return splice(head, self._images[self.distinct(image_id)])

    def end(self, image_ids: Iterable[int], *, cancelled: bool = False) -> bytes:
        """The end message after these images."""
        numbers = list(image_ids)
        now = datetime.datetime.now(datetime.UTC)
        sent = Sent(len(numbers), max(numbers, default=-1), now, cancelled)
        return encode(end_fields(self.options, self.tables, self.prepared, sent))

    def messages(self, image_ids: Sequence[int] | None = None) -> Iterator[bytes]:
        """Start, calibration, images in the given order (all, ascending, if none is given), end."""
        numbers = range(self.options.n_images) if image_ids is None else image_ids
        yield self.start()
        yield from self.calibration()
        yield from map(self.image, numbers)
        yield self.end(numbers)

    def distinct(self, image_id: int) -> int:
        """Number of the distinct image that an image shows."""
        return image_id % max(1, len(self.prepared))

    def pixels(self, image_id: int, channel: int = 0) -> Pixels:
        """The pixels that were sent as `image_id`, made anew. [height, width]"""
        return channel_pixels(self._source.pixels(self.distinct(image_id)), channel, self.tables.valid)

    def payload(self, image_id: int, channel: int = 0) -> bytes:
        """The packed bytes that were sent as `image_id`."""
        return self.prepared[self.distinct(image_id)].payloads[channel]

    def _prepare(self, progress: Progress | None) -> Iterator[PreparedImage]:
        n_images = self.options.n_different

        def prepare(number: int) -> PreparedImage:
            return prepare_image(self._source, number, self.options, self.tables)

        with ThreadPoolExecutor() as threads:
            try:
                for done, image in enumerate(threads.map(prepare, range(n_images)), start=1):
                    if progress is not None:
                        progress(done, n_images)
                    yield image
            except BaseException:
                threads.shutdown(wait=True, cancel_futures=True)
                raise


def _body(message_type: str, fields: Mapping[str, object]) -> Body:
    """Fields encoded once, to be put behind those that change."""
    return without_type(map_body(encode({"type": message_type, **fields})), message_type)
