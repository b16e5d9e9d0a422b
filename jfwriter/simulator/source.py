"""Where the images of a simulated run come from, made ready to send: packed, with what goes beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from jfwriter.compression import compress
from jfwriter.errors import UsageError
from jfwriter.payload import Codec
from jfwriter.simulator.analysis import (
    ObservedSpots,
    RadialProfile,
    RoiSums,
    Statistics,
    find_candidates,
    measure_spots,
    radial_profile,
    roi_sums,
    statistics,
)
from jfwriter.simulator.geometry import FloatArray
from jfwriter.simulator.images import Pixels, SyntheticImages
from jfwriter.simulator.options import RunOptions
from jfwriter.simulator.prediction import ExpectedSpots
from jfwriter.simulator.tables import Tables


class ImageSource(Protocol):
    """The distinct images of a run, by number from 0."""

    pixel_mask: npt.NDArray[np.uint32]

    def pixels(self, number: int) -> Pixels:
        """[height, width]; the same for the same number."""

    def stored(self, number: int) -> bytes | None:
        """The image as it is packed already with the run's codec, None if it has to be packed."""

    def expected(self, number: int) -> tuple[ExpectedSpots, FloatArray] | None:
        """The spots put in and the reciprocal basis [3, 3]; None if nobody knows."""


class SyntheticSource:
    """Images that are computed."""

    def __init__(self, options: RunOptions) -> None:
        self._images = SyntheticImages(options)
        self.pixel_mask = self._images.pixel_mask

    def pixels(self, number: int) -> Pixels:
        return self._images.image(number).pixels

    def stored(self, _number: int) -> bytes | None:
        return None

    def expected(self, number: int) -> tuple[ExpectedSpots, FloatArray]:
        return self._images.predict(number)


class StoredFrames(Protocol):
    """Images of a file, as `reader.frames` gives them. `codec` None: no chunk can be sent as it is stored."""

    n_frames: int
    shape: tuple[int, int]
    dtype: np.dtype[np.generic]
    codec: Codec | None

    def pixels(self, number: int) -> Pixels: ...

    def chunk(self, number: int) -> bytes: ...


class StoredSource:
    """Images of a file. Chunks that are packed with the codec of the run are sent as they are stored."""

    def __init__(
        self, frames: StoredFrames, codec: Codec, pixel_mask: npt.NDArray[np.uint32] | None = None
    ) -> None:
        if frames.n_frames < 1:
            raise UsageError("the data set to send holds no image")
        if pixel_mask is not None and pixel_mask.shape != frames.shape:
            raise UsageError(f"pixel mask of shape {pixel_mask.shape}: the images have {frames.shape}")
        self._frames = frames
        self._as_stored = frames.codec is codec
        self.pixel_mask = np.zeros(frames.shape, np.uint32) if pixel_mask is None else pixel_mask

    def pixels(self, number: int) -> Pixels:
        return self._frames.pixels(number % self._frames.n_frames)

    def stored(self, number: int) -> bytes | None:
        return self._frames.chunk(number % self._frames.n_frames) if self._as_stored else None

    def expected(self, _number: int) -> None:
        return None


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """A distinct image, packed once per channel, and what was measured on it.

    `hkl` int32 [n, 3] and `distance_ewald` [n] belong to the observed spots; None without a known lattice.
    """

    payloads: tuple[bytes, ...]
    profile: RadialProfile
    rois: dict[str, RoiSums]
    statistics: Statistics
    spots: ObservedSpots
    hkl: npt.NDArray[np.int32] | None
    distance_ewald: FloatArray | None
    reciprocal: FloatArray | None


def channel_pixels(pixels: Pixels, channel: int, valid: npt.NDArray[np.bool_]) -> Pixels:
    """Image of a channel: the first is the image itself, each further threshold counts half as much."""
    if channel == 0:
        return pixels
    lower = pixels // (2**channel) if pixels.dtype.kind != "f" else np.floor(pixels / 2**channel)
    return np.where(valid, lower, pixels).astype(pixels.dtype)


def prepare_image(source: ImageSource, number: int, options: RunOptions, tables: Tables) -> PreparedImage:
    """Make, measure and pack one distinct image. Any thread."""
    pixels = source.pixels(number)
    stored = source.stored(number)
    profile = radial_profile(pixels, tables)
    expected = source.expected(number)
    if expected is None:
        y, x = find_candidates(pixels, tables, profile)
    else:
        y, x = (np.rint(v).astype(np.int64) for v in (expected[0].y, expected[0].x))
    spots = measure_spots(pixels, tables, profile, y, x)
    payloads = tuple(
        stored
        if channel == 0 and stored is not None
        else compress(channel_pixels(pixels, channel, tables.valid), options.codec)
        for channel in range(options.n_channels)
    )
    return PreparedImage(
        payloads=payloads,
        profile=profile,
        rois=dict(roi_sums(pixels, tables)),
        statistics=statistics(pixels, tables.valid),
        spots=spots,
        hkl=None if expected is None else expected[0].hkl[spots.source],
        distance_ewald=None if expected is None else expected[0].distance_ewald[spots.source],
        reciprocal=None if expected is None else expected[1],
    )
