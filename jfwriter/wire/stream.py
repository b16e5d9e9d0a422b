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
from jfwriter.wire.spots import raw_spots

PATIENCE: Final = 8
"""After so many images that were not plain, one after another, only each `SELDOM`-th is tried."""
SELDOM: Final = 64
_MAX_FORMS: Final = 64
_PROMOTED: Final = frozenset({*FIELDS, *LISTS, *aliases.IMAGE, aliases.LATTICE_TYPE})
"""Keys of `user_data` that are fields of the message."""
_SERIES_ID, _IMAGE_ID = PLACES["series_id"].place, PLACES["image_id"].place
_UNIQUE_ID, _DATE, _USER_DATA = (CONSTANTS.index(name) for name in CONSTANTS[1:])
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
        for constant in (self._names, self._keys):
            constant.flags.writeable = False
        self._hints = np.zeros(len(self._keys) + 1, np.int64)
        self._constant_bytes = np.zeros((len(CONSTANTS), MAX_CONSTANT_BYTES), np.uint8)
        self._constant_sizes = np.zeros(len(CONSTANTS), np.int64)
        self._regions = np.zeros((MAX_REGIONS, MAX_NAME_BYTES), np.uint8)
        self._region_sizes = np.zeros(MAX_REGIONS + 1, np.int64)
        self._channels = np.zeros((MAX_CHANNELS, N_CHANNEL_FACTS), np.int64)
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
        constants = self._constants
        if constants is None or limits is not constants.limits or len(buffer) > limits.max_message_bytes:
            return None
        cells, spans = np.empty((2, N_CELLS), np.int64), np.empty((N_SPANS, 2), np.int64)
        if self._scan(buffer, cells, spans, learning=False):
            return None
        n_channels, n_other_bytes = self._result.tolist()
        if not (cells[1, _SERIES_ID] and cells[1, _IMAGE_ID]) or n_channels > limits.max_channels:
            return None
        if any(spans[span, 1] > 4 * limits.max_azint_bins for span in _PROFILES if spans[span, 0] >= 0):
            return None
        channels: dict[str, Payload] = {}
        cuts = []
        for facts in self._channels[:n_channels].tolist():
            form = self._form(buffer, facts, limits)
            if form is None:
                return None
            offset, size = cut = facts[8:]
            channels[form[0]] = Payload(buffer[offset : offset + size], *form[1:])
            cuts.append(cut)
        if len(channels) < n_channels:
            return None
        values: dict[str, object] = {
            "series_id": int(cells[0, _SERIES_ID]),
            "image_id": int(cells[0, _IMAGE_ID]),
            "channels": channels,
            "source": buffer,
            "cuts": cuts,
            "cells": cells,
            "spans": spans,
            "spot_table": None,
            "constants": constants,
            "n_other_bytes": n_other_bytes,
        }
        places = spans.tolist()
        if places[_UNIQUE_ID][0] >= 0:
            values["series_unique_id"] = constants.series_unique_id
        if places[_DATE][0] >= 0:
            values["series_date"] = constants.series_date
        if places[_USER_DATA][0] >= 0:
            values["user_data"] = constants.user_data
        offset, size = places[_SPOTS]
        if offset >= 0:
            values["spot_table"] = table = raw_spots(buffer[offset : offset + size])
            if table is None or table.n_rows > limits.max_spots:
                return None
        return new(values)

    def _scan(
        self, buffer: memoryview, cells: np.ndarray[tuple[int, int], np.dtype[np.int64]],
        spans: np.ndarray[tuple[int, int], np.dtype[np.int64]], *, learning: bool,
    ) -> int:  # fmt: skip
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
            spans,
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
        cells, spans = np.empty((2, N_CELLS), np.int64), np.empty((N_SPANS, 2), np.int64)
        if self._scan(buffer, cells, spans, learning=True) or len(image.roi_integrals) > limits.max_rois:
            return
        self._constants = Constants(
            image.series_unique_id, image.series_date, appendix, tuple(image.roi_integrals), limits
        )


def _form_of(key: tuple[object, ...], limits: LimitSettings) -> _Form | None:
    name, algorithm, height, width, tag, item_bytes = key
    pixels: object = b""
    try:
        if algorithm:
            pixels = cbor2.CBORTag(tags.TAG_COMPRESSED, [algorithm.decode(), item_bytes, b""])  # type: ignore[attr-defined]
        content = cbor2.CBORTag(tag, pixels)  # type: ignore[arg-type]
        image = tags.image(
            cbor2.CBORTag(tags.TAG_ARRAY, [[height, width], content]), tags.IMAGE_DTYPES, limits.max_image_pixels
        )
        text = fields.text(name.decode(), limits)  # type: ignore[attr-defined]
    except (Mismatch, UnicodeDecodeError, ProtocolError):
        return None
    return text, image.codec, image.dtype, image.shape
