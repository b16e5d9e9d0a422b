"""The spots of real frames are those that DIALS finds with the same thresholds."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from jfwriter.kernels.pixel_classes import PixelRules
from jfwriter.kernels.spots import FoundSpots, SpotFinder, SpotSettings, prepare_spots
from tests.support.dials_spots import dials_spots, write_stills
from tests.support.plain_dcu import FRAMES

Array = npt.NDArray[Any]
N_FRAMES = 4
SAME_THRESHOLDS = (
    "spotfinder.threshold.algorithm=dispersion",
    "spotfinder.threshold.dispersion.sigma_background=3",
    "spotfinder.threshold.dispersion.sigma_strong=3",
    "spotfinder.threshold.dispersion.global_threshold=7",
    "spotfinder.filter.min_spot_size=2",
    "spotfinder.filter.max_spot_size=50",
)

pytestmark = [
    pytest.mark.skipif(not shutil.which("dials.find_spots"), reason="DIALS is not installed"),
    pytest.mark.skipif(not FRAMES.exists(), reason="the frames are not there"),
]


def find(frame: Array, bad_pixels: Array) -> FoundSpots:
    rules = PixelRules((bad_pixels != 0).astype(np.uint8), -32768, 32767)
    settings = SpotSettings(
        signal_to_noise_threshold=3.0, photon_count_threshold=8, min_pix_per_spot=2, max_pix_per_spot=50
    )
    return SpotFinder(prepare_spots(settings, rules, None), 10_000).find(frame)


def offsets(of: Array, to: Array) -> Array:
    """Vector (pixels) from each point [n, 2] to the nearest of [m, 2]."""
    vectors = to[np.newaxis] - of[:, np.newaxis]
    return np.asarray(vectors[np.arange(len(of)), np.hypot(*vectors.transpose(2, 0, 1)).argmin(axis=1)])


def test_spots_are_those_of_dials(tmp_path: Path) -> None:
    with h5py.File(FRAMES) as file:
        frames, bad_pixels = file["frames"][:N_FRAMES], file["bad_pixels"][:]
    theirs = dials_spots(tmp_path, write_stills(tmp_path, frames, bad_pixels), *SAME_THRESHOLDS)
    assert len(theirs) == N_FRAMES
    covered, shared, between = [], [], []
    for frame, others in zip(frames, theirs, strict=True):
        found = find(frame, bad_pixels)
        own = np.stack([found.x, found.y], axis=1)
        nearest = offsets(others, own)
        covered.append(np.hypot(*nearest.T) < 1)
        between.append(nearest[covered[-1]])
        shared.append(np.hypot(*offsets(own, others).T) < 1)
        # Those that DIALS lacks have two pixels or little more, which touch at a corner or whose own counts
        # raise the mean of their window, which has them in it in DIALS.
        assert np.median(found.n_pixels[~shared[-1]]) <= 2
        assert found.n_pixels[~shared[-1]].max() <= 6
    assert np.concatenate(covered).mean() > 0.995
    assert np.concatenate(shared).mean() > 0.92
    np.testing.assert_allclose(np.concatenate(between).mean(axis=0), 0.0, atol=0.02)
    assert np.concatenate(between).std() < 0.1
