"""The pixels of one image as they came: where the bytes are, and how they are packed.

Plain data below every room, because the wire finds payloads, compression checks them and HDF5 stores them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np


class Codec(enum.StrEnum):
    """How pixel bytes are packed (DECTRIS Stream V2, tag 56500; `BSZSTD` is Jungfraujoch's)."""

    NONE = "none"
    BSLZ4 = "bslz4"
    BSZSTD = "bszstd"
    LZ4 = "lz4"


@dataclass(frozen=True, slots=True)
class Payload:
    """One two-dimensional image, still packed.

    `data` is a read-only view into the received message: it is valid as long as somebody holds it, and
    nobody copies or changes it. `dtype` carries the byte order of the sender. `shape` is (height, width).
    """

    data: memoryview
    codec: Codec
    dtype: np.dtype[np.generic]
    shape: tuple[int, int]

    @property
    def n_pixels(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def raw_bytes(self) -> int:
        """Size of the unpacked image in bytes."""
        return self.n_pixels * self.dtype.itemsize
