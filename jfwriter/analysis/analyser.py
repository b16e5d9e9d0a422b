"""Completes the images of one run. Several threads may use one analyser, each with a Scratch of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from jfwriter.analysis.conditions import Conditions
from jfwriter.analysis.quantity import Compute, Quantity
from jfwriter.analysis.wishes import Wish, Wishes
from jfwriter.compression import decompress
from jfwriter.errors import PayloadError
from jfwriter.kernels.pixel_classes import Image
from jfwriter.wire.messages import ImageMessage

_log = logging.getLogger(__name__)


class Scratch:
    """What one thread keeps from image to image of one run: pixels and the kernels' buffers."""

    def __init__(self) -> None:
        self.pixels: Image | None = None
        self.computes: dict[str, Compute] = {}


class Analyser:
    """A quantity that raises is switched off for the run; `failures` says why."""

    def __init__(self, quantities: tuple[Quantity, ...], wishes: Wishes, conditions: Conditions) -> None:
        self._quantities = quantities
        self._wishes = wishes
        self._conditions = conditions
        self._lock = threading.Lock()
        self._dtype: np.dtype[np.generic] | None = None
        self._makers: Mapping[str, Callable[[], Compute]] = {}
        self.failures: dict[str, str] = {}
        """Name of a quantity -> what it raised."""

    def wants(self, image: ImageMessage) -> bool:
        """Whether `complete` would unpack the pixels. Cheap; any thread."""
        return self._wishes.wants(image)

    def prepare(self, dtype: np.dtype[np.generic]) -> None:
        """For images of this type, if that was not done yet. All images of a run have one type."""
        if self._is_prepared():
            return
        with self._lock:
            if self._is_prepared():
                return  # another thread was faster
            rules = self._conditions.rules(dtype)
            makers = {}
            for quantity in self._quantities:
                try:
                    makers[quantity.name] = quantity.prepare(rules)
                except Exception as error:  # noqa: BLE001 one quantity, never the run
                    self._switch_off(quantity.name, error)
            self._conditions.products.keep()
            self._makers = makers
            self._dtype = dtype

    def complete(self, image: ImageMessage, scratch: Scratch) -> ImageMessage:
        """`image` with the fields that its message lacks, or that are always computed.

        Raises PayloadError if its pixels do not unpack; then the image is still good for storing as it is.
        """
        wanted = self._wanted(image)
        if not wanted:
            return image
        pixels = _pixels(image, scratch)
        self.prepare(pixels.dtype)
        fields: dict[str, Any] = {}
        for wish in wanted:
            try:
                found = self._compute(wish.name, scratch)(pixels)
            except Exception as error:  # noqa: BLE001 one quantity, never the image
                self._switch_off(wish.name, error)
                continue
            fields |= {
                name: value
                for name, value in found.items()
                if wish.always or not _is_there(getattr(image, name))
            }
        return replace(image, **fields) if fields else image

    def _is_prepared(self) -> bool:
        return self._dtype is not None

    def _wanted(self, image: ImageMessage) -> list[Wish]:
        wishes = self._wishes
        needing = [wish for wish in wishes.needing if wish.wants(image)]
        return [*needing, *(wish for wish in wishes.with_pixels if wish.wants(image))] if needing else []

    def _compute(self, name: str, scratch: Scratch) -> Compute:
        compute = scratch.computes.get(name)
        if compute is None:
            compute = scratch.computes[name] = self._makers[name]()
        return compute

    def _switch_off(self, name: str, error: Exception) -> None:
        """Several threads may come here with the same one."""
        self._wishes = self._wishes.without(frozenset({name}))
        if name not in self.failures:
            self.failures[name] = f"{type(error).__name__}: {error}"
            _log.error("%s is not computed any more in this run", name, exc_info=error)


def _pixels(image: ImageMessage, scratch: Scratch) -> Image:
    """Pixels [y, x] of the first channel, in memory that is used again for the next image."""
    payload = next(iter(image.channels.values()), None)
    if payload is None:
        raise PayloadError("bad_payload", f"image {image.image_id}: no channel")
    native = payload.dtype.newbyteorder("=")
    pixels = scratch.pixels
    if pixels is None or (pixels.shape, pixels.dtype) != (payload.shape, native):
        pixels = scratch.pixels = np.empty(payload.shape, native)
    return decompress(payload, pixels)


def _is_there(value: object) -> bool:
    return value is not None and value != {}
