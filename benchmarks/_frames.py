"""Real JUNGFRAU frames as a source for the simulator's runs."""

from __future__ import annotations

import numpy as np

from benchmarks._stream import FRAMES, N_DISTINCT, Image, Size, compose, module_frames
from jfwriter.bench.stream import SourceOf
from jfwriter.payload import Codec
from jfwriter.simulator import RunOptions
from jfwriter.simulator.source import StoredSource


class ComposedFrames:
    """Images of modules side by side (`simulator.source.StoredFrames`)."""

    n_frames = N_DISTINCT
    codec: Codec | None = None

    def __init__(self, shape: tuple[int, int], dtype: np.dtype[np.generic]) -> None:
        self.shape, self.dtype = shape, dtype
        self._size = Size(*shape, dtype.name)
        self._frames = module_frames()

    def pixels(self, number: int) -> Image:
        return compose(self._size, number, self._frames)

    def chunk(self, _number: int) -> bytes:
        raise NotImplementedError("composed images are not stored anywhere")


def composed(options: RunOptions) -> StoredSource:
    """The images of a run, from the real frames."""
    return StoredSource(ComposedFrames(options.detector.shape, options.dtype), options.codec)


def source() -> SourceOf | None:
    """Real frames if the checkout has them beside it, else None: synthetic images."""
    return composed if FRAMES.exists() else None
