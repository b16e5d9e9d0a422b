"""What the images of a run are, as far as its NeXus description depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoredImages:
    """`shape` is (height, width), `dtype` the pixel type of `/entry/data/data` (None: never learnt), and
    `channels` the names of the image channels, the first of which is `/entry/data/data`.
    """

    shape: tuple[int, int]
    dtype: np.dtype[np.generic] | None
    channels: tuple[str, ...] = ()

    def of_first_channel(self, values: Mapping[str, T]) -> T | None:
        """The per-channel value of the first channel; where it is not named, the first value sent."""
        if self.channels and self.channels[0] in values:
            return values[self.channels[0]]
        return next(iter(values.values()), None)
