"""Images that are not synthetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jfwriter.compression import compress
from jfwriter.errors import UsageError
from jfwriter.payload import Codec
from jfwriter.reader.frames import FrameFile
from jfwriter.simulator import SimulatedRun
from jfwriter.simulator.detector import custom_detector
from jfwriter.simulator.source import StoredSource, channel_pixels
from tests.support.plain_cbor import load, unpack
from tests.support.simulated import small_options

REAL_FRAMES = Path(__file__).parents[4] / "shared/data/jungfrau_module_frames.h5"


class Frames:
    """Images in memory, as a file would give them."""

    n_frames, shape, dtype = 3, (240, 260), np.dtype(np.int16)

    def __init__(self, codec: Codec | None) -> None:
        self.codec = codec

    def pixels(self, number: int) -> np.ndarray:
        return np.random.default_rng(number).poisson(2, self.shape).astype(self.dtype)

    def chunk(self, number: int) -> bytes:
        assert self.codec is not None
        return compress(self.pixels(number), self.codec, 1024)


@pytest.mark.parametrize("codec", [None, Codec.BSLZ4, Codec.LZ4, Codec.NONE])
def test_chunks_are_sent_as_stored_where_the_codec_fits(codec: Codec | None) -> None:
    frames = Frames(codec)
    run = SimulatedRun(small_options(n_images=5, n_distinct=3), StoredSource(frames, Codec.BSLZ4))
    for number in range(5):
        image = load(run.image(number))["data"]["default"]
        np.testing.assert_array_equal(unpack(image), frames.pixels(number % 3))
        if codec is Codec.BSLZ4:
            assert image[1] == frames.chunk(number % 3)
    fields = load(run.image(0))
    assert "indexing_lattice" not in fields
    assert fields["indexing_result"] is False


def test_a_mask_must_fit() -> None:
    mask = np.zeros((240, 260), np.uint32)
    mask[0, 0] = 2
    run = SimulatedRun(small_options(n_images=1), StoredSource(Frames(None), Codec.BSLZ4, mask))
    np.testing.assert_array_equal(unpack(load(run.start())["pixel_mask"]["default"]), mask)
    with pytest.raises(UsageError, match="mask"):
        StoredSource(Frames(None), Codec.BSLZ4, mask[:-1])
    empty = Frames(None)
    empty.n_frames = 0
    with pytest.raises(UsageError, match="no image"):
        StoredSource(empty, Codec.BSLZ4)


def test_further_channels_count_less() -> None:
    pixels = np.array([[8, 5], [-32768, 3]], np.int16)
    valid = np.array([[True, True], [False, True]])
    assert channel_pixels(pixels, 0, valid) is pixels
    np.testing.assert_array_equal(channel_pixels(pixels, 1, valid), [[4, 2], [-32768, 1]])
    floats = channel_pixels(np.array([[np.nan, 5.0]], np.float32), 1, np.array([[False, True]]))
    np.testing.assert_array_equal(floats, np.array([[np.nan, 2.0]], np.float32))


@pytest.mark.skipif(not REAL_FRAMES.exists(), reason="the real frames are not here")
def test_real_frames_are_sent_as_stored_and_have_spots() -> None:
    with FrameFile(REAL_FRAMES, "/frames") as frames:
        height, width = frames.shape
        options = small_options(detector=custom_detector(width, height), n_images=10, n_distinct=10)
        run = SimulatedRun(options, StoredSource(frames, Codec.BSLZ4))
        for number in (0, 9):
            image = load(run.image(number))["data"]["default"]
            assert image[1] == frames.chunk(number)
            np.testing.assert_array_equal(unpack(image), frames.pixels(number))
        assert all(20 < len(prepared.spots.x) < 1000 for prepared in run.prepared)
