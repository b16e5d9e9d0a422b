"""A quantity that is computed from pixels: what the analyser needs of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from jfwriter.kernels.pixel_classes import Image, PixelRules
from jfwriter.wire.messages import StartMessage

Fields = Mapping[str, object]
"""Fields of the image message and their values; None: there is none."""

Compute = Callable[[Image], Fields]


class Unavailable(Exception):
    """This run lacks what the quantity needs; `str()` says what."""


class Quantity(Protocol):
    """Made once per run by a class of its own; that raises Unavailable where it cannot be computed."""

    name: str

    def complete(self, start: StartMessage) -> StartMessage:
        """The start message with what belongs to the quantity: bins, maps, regions."""

    def prepare(self, rules: PixelRules) -> Callable[[], Compute]:
        """Prepare for images of one pixel type, once per run. The result is called once per thread and makes
        what that thread computes with: the buffers in it are used again."""
