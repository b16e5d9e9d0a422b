"""Bytes -> message for a stream, in which most messages are images that are like the one before.

`wire.decode` is what counts: here the same message comes out, sooner.
"""

from __future__ import annotations

from typing import Final

import cbor2
import numpy as np

from jfwriter.errors import ProtocolError
from jfwriter.payload import Codec, Payload
from jfwriter.settings import LimitSettings
from jfwriter.wire import aliases, fields, tags
from jfwriter.wire.decode import decode
from jfwriter.wire.image import FIELDS, LISTS
from jfwriter.wire.messages import ImageMessage, Message
from jfwriter.wire.mismatch import Mismatch
from jfwriter.wire.plain_fields import (
    CONSTANTS,
    MAX_BYTES,
    MAX_CHANNELS,
    MAX_CONSTANT_BYTES,
    MAX_NAME_BYTES,
    MAX_REGIONS,
    MIN_NESTING,
    N_CELLS,
    N_SPANS,
    PLACES,
    SPANS,
    key_table,
)
from jfwriter.wire.plain_image import Constants, PlainImage, new
from jfwriter.wire.plain_scan import N_CHANNEL_FACTS, scan_image
from jfwriter.wire.scan import Numbers
from jfwriter.wire.spots import raw_spots
from jfwriter.wire.table import RawTable

PATIENCE: Final = 8
"""After so many images that were not plain, one after another, only each `SELDOM`-th is tried."""
SELDOM: Final = 64
_MAX_FORMS: Final = 64
_PROMOTED: Final = frozenset({*FIELDS, *LISTS, *aliases.IMAGE, aliases.LATTICE_TYPE})
"""Keys of `user_data` that are fields of the message."""
_SERIES_ID, _IMAGE_ID = PLACES["series_id"].place, PLACES["image_id"].place
_TYPE = PLACES["type"].place
_CONSTANT_SPANS: Final = tuple((name, span) for span, name in enumerate(CONSTANTS) if span != _TYPE)
_SPOTS = PLACES["spots"].place
_PROFILES = [PLACES[name].place for name in SPANS if name != "spots"]

_Form = tuple[str, Codec, np.dtype[np.generic], tuple[int, int]]
"""Name of a channel; codec, type and shape of its pixels."""


class StreamDecoder:
    """Decodes the messages of one stream. Belongs to one thread.

    An image message is read by one kernel into a `PlainImage`, if it has known fields only, in their usual
    types, and if what does not change from image to image (names of the run and of regions, free-form data)
    has not changed. Any other takes the general way, which is then learned from.
    """

    def __init__(self) -> None:
        self._names, self._keys = key_table()
        self._hints = np.zeros(len(self._keys) + 1, np.int64)
        self._constant_bytes = np.zeros((len(CONSTANTS), MAX_CONSTANT_BYTES), np.uint8)
        self._constant_sizes = np.zeros(len(CONSTANTS), np.int64)
        self._regions = np.zeros((MAX_REGIONS, MAX_NAME_BYTES), np.uint8)
        self._region_sizes = np.zeros(MAX_REGIONS + 1, np.int64)
        self._channels = np.zeros((MAX_CHANNELS, N_CHANNEL_FACTS), np.int64)
        self._spans = np.zeros((N_SPANS, 2), np.int64)
        self._result = np.zeros(2, np.int64)
        self._forms: dict[tuple[object, ...], _Form] = {}
        self._constants: Constants | None = None
        self._n_others = 0
        """Images since the last plain one."""

    def decode(self, buffer: memoryview, limits: LimitSettings) -> Message:
        """As `wire.decode.decode`, of which it also has the errors. The message may be a PlainImage."""
        plain = self._read(buffer, limits)
        if plain is not None:
            self._n_others = 0
            return plain
        message = decode(buffer, limits)
        if isinstance(message, ImageMessage):
            self._n_others += 1
            if self._n_others <= PATIENCE or self._n_others % SELDOM == 0:
                self._learn(buffer, message, limits)
        return message

    def _read(self, buffer: memoryview, limits: LimitSettings) -> PlainImage | None:
        """The message if it is plain."""
        constants = self._constants
        if constants is None or limits is not constants.limits or len(buffer) > limits.max_message_bytes:
            return None
        cells = np.empty((2, N_CELLS), np.int64)
        if self._scan(buffer, cells, learning=False) or not (cells[1, _SERIES_ID] and cells[1, _IMAGE_ID]):
            return None
        n_channels, n_other_bytes = self._result.tolist()
        places = self._spans.tolist()
        if places[_TYPE][0] < 0:
            return None
        channels = self._payloads(buffer, n_channels, limits)
        table = _spot_table(buffer, *places[_SPOTS])
        if channels is None or (table is not None and table.n_rows > limits.max_spots):
            return None
        if (table is None and places[_SPOTS][0] >= 0) or _is_too_long(places, limits):
            return None
        values: dict[str, object] = {
            "series_id": int(cells[0, _SERIES_ID]),
            "image_id": int(cells[0, _IMAGE_ID]),
            "channels": channels,
            "source": buffer,
            "cuts": self._channels[:n_channels, 8:].tolist(),
            "cells": cells,
            "spans": places,
            "spot_table": table,
            "constants": constants,
            "n_other_bytes": n_other_bytes,
        }
        for name, span in _CONSTANT_SPANS:
            if places[span][0] >= 0:
                values[name] = getattr(constants, name)
        return new(values)

    def _payloads(
        self, buffer: memoryview, n_channels: int, limits: LimitSettings
    ) -> dict[str, Payload] | None:
        """The pixels of the message that was just scanned; None if they cannot be stored."""
        channels: dict[str, Payload] = {}
        for facts in self._channels[:n_channels].tolist():
            form = self._form(buffer, facts, limits)
            if form is None:
                return None
            name, codec, dtype, shape = form
            offset, size = facts[8:]
            channels[name] = Payload(buffer[offset : offset + size], codec, dtype, shape)
        return channels if n_channels == len(channels) <= limits.max_channels else None

    def _scan(self, buffer: memoryview, cells: Numbers, *, learning: bool) -> int:
        return scan_image(
            np.frombuffer(buffer, np.uint8),
            self._names,
            self._keys,
            self._hints,
            self._constant_bytes,
            self._constant_sizes,
            self._regions,
            self._region_sizes,
            cells,
            self._spans,
            self._channels,
            self._result,
            learning,
        )

    def _form(self, buffer: memoryview, facts: list[int], limits: LimitSettings) -> _Form | None:
        """Of a channel; None if it cannot be stored."""
        name_at, name_size, height, width, tag, algorithm_at, algorithm_size, item_bytes, *_ = facts
        name = bytes(buffer[name_at : name_at + name_size])
        algorithm = bytes(buffer[algorithm_at : algorithm_at + algorithm_size])
        key = (name, algorithm, height, width, tag, item_bytes)
        form = self._forms.get(key)
        if form is None:
            form = _form_of(key, limits)
            if form is not None and len(self._forms) < _MAX_FORMS:
                self._forms[key] = form
        return form

    def _learn(self, buffer: memoryview, image: ImageMessage, limits: LimitSettings) -> None:
        """From an image that took the general way what the next ones must have in common with it."""
        if self._constants is None or limits is not self._constants.limits:
            self._forms.clear()
        self._constants = None
        fits = limits.max_nesting >= MIN_NESTING and limits.max_metadata_bytes >= MAX_BYTES
        appendix = image.user_data
        if image.problems or not fits or (isinstance(appendix, dict) and not _PROMOTED.isdisjoint(appendix)):
            return
        cells = np.empty((2, N_CELLS), np.int64)
        if self._scan(buffer, cells, learning=True) or len(image.roi_integrals) > limits.max_rois:
            return
        self._constants = Constants(
            image.series_unique_id, image.series_date, appendix, tuple(image.roi_integrals), limits
        )


def _spot_table(buffer: memoryview, offset: int, size: int) -> RawTable | None:
    return None if offset < 0 else raw_spots(buffer[offset : offset + size])


def _is_too_long(places: list[list[int]], limits: LimitSettings) -> bool:
    """Whether a profile has more bins than it may have."""
    return any(places[span][0] >= 0 and places[span][1] > 4 * limits.max_azint_bins for span in _PROFILES)


def _form_of(key: tuple[object, ...], limits: LimitSettings) -> _Form | None:
    name, algorithm, height, width, tag, item_bytes = key
    pixels: object = b""
    try:
        if algorithm:
            pixels = cbor2.CBORTag(tags.TAG_COMPRESSED, [algorithm.decode(), item_bytes, b""])  # type: ignore[attr-defined]
        content = cbor2.CBORTag(tag, pixels)  # type: ignore[arg-type]
        image = tags.image(
            cbor2.CBORTag(tags.TAG_ARRAY, [[height, width], content]),
            tags.IMAGE_DTYPES,
            limits.max_image_pixels,
        )
        text = fields.text(name.decode(), limits)  # type: ignore[attr-defined]
    except (Mismatch, UnicodeDecodeError, ProtocolError):
        return None
    return text, image.codec, image.dtype, image.shape
