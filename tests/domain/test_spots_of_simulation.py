"""Simulated spots are found where they were put in, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from jfwriter.kernels.background import BackgroundEstimate
from jfwriter.kernels.pixel_classes import PixelRules, default_error_value, excluded_pixels
from jfwriter.kernels.spots import SpotFinder, SpotSettings, prepare_spots
from jfwriter.simulator import RunOptions, default_geometry, default_sample, find_detector
from jfwriter.simulator.images import SyntheticImages, saturation_value


@pytest.mark.parametrize(
    "settings", [SpotSettings(), SpotSettings(adaptive_threshold=True)], ids=["fixed", "adaptive"]
)
def test_recall_precision_and_centres(settings: SpotSettings) -> None:
    detector = find_detector("jungfrau-1m")
    options = RunOptions(detector=detector, geometry=default_geometry(detector),
                         sample=default_sample(detector), n_images=3)  # fmt: skip
    images = SyntheticImages(options)
    excluded = excluded_pixels(images.pixel_mask, detector.shape)
    rules = PixelRules(excluded, default_error_value(options.dtype), saturation_value(options.dtype))
    q = options.geometry.q_map()
    finder = SpotFinder(prepare_spots(settings, rules, q), 10_000)
    estimate = BackgroundEstimate(rules, q)
    expected = images.expected_background[(excluded == 0) & (q > 2 * np.pi / 5) & (q < 2 * np.pi / 3)].mean()
    for number in range(3):
        image = images.image(number)
        found, truth = finder.find(image.pixels), image.spots
        own, put_in = np.stack([found.x, found.y], 1), np.stack([truth.x, truth.y], 1)
        distance = np.hypot(*(own[:, None] - put_in[None]).transpose(2, 0, 1))
        masked = np.pad(excluded, 4, constant_values=1)
        clear = np.array([not masked[y : y + 9, x : x + 9].any() for x, y in np.rint(put_in).astype(int)])
        strong = clear & (truth.photons > 100)
        assert strong.sum() > 100
        assert (distance.min(axis=0)[strong] < 0.75).mean() > 0.97
        assert (distance.min(axis=1) < 1.5).mean() > 0.99
        which = distance.argmin(axis=0)
        near = strong & (distance.min(axis=0) < 0.75)
        np.testing.assert_allclose((own[which] - put_in)[near].mean(axis=0), 0.0, atol=0.03)
        d = 2 * np.pi / q[np.rint(own[:, 1]).astype(int), np.rint(own[:, 0]).astype(int)]
        np.testing.assert_allclose(found.d_angstrom, d, rtol=0.02)
        assert estimate.estimate(image.pixels) == pytest.approx(expected, rel=0.1)
        assert 1.5 < found.resolution_estimate_angstrom < 2.6
