"""Noise alone gives no more strong pixels than the statistics of the thresholds predict."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from jfwriter.kernels.pixel_classes import PixelRules
from jfwriter.kernels.ring_noise import RingNoise
from jfwriter.kernels.rings import NO_RING, number_rings
from jfwriter.kernels.spots import SpotFinder, SpotSettings, prepare_spots

Array = npt.NDArray[Any]
SHAPE = (700, 900)


def poisson_pmf(mean: float, n: int) -> Array:
    """P(X = 0 ... n - 1)."""
    k = np.arange(n)
    return np.exp(k * math.log(mean) - mean - np.array([math.lgamma(i + 1) for i in k]))


def tail(mean: float) -> Array:
    """P(X >= t) for t = 0, 1, ..."""
    pmf = poisson_pmf(mean, int(mean + 30 * math.sqrt(mean) + 60))
    return np.append(pmf[::-1].cumsum()[::-1], 0.0)


def probability(rate: float, neighbours: int, signal_to_noise: float, threshold: int) -> float:
    """P(X >= threshold and X > m + s sqrt(m)) of a pixel X whose window has the mean m without it.

    The neighbours are independent of the pixel and their sum is Poisson distributed as well.
    """
    total = np.arange(int(neighbours * rate + 12 * math.sqrt(neighbours * rate) + 40))
    weights = poisson_pmf(neighbours * rate, len(total))
    mean = total / neighbours
    needed = np.maximum(np.floor(mean + signal_to_noise * np.sqrt(mean)).astype(int) + 1, threshold)
    tails = tail(rate)
    return float((weights * tails[np.minimum(needed, len(tails) - 1)]).sum())


def neighbours_of_pixels(shape: tuple[int, int]) -> Array:
    """Pixels in the window of each pixel, without itself."""
    rows, columns = (np.minimum(np.arange(n), 3) + np.minimum(np.arange(n)[::-1], 3) + 1 for n in shape)
    return np.outer(rows, columns) - 1


def expected(rate: float, signal_to_noise: float, threshold: int) -> float:
    """Expected number of pixels that pass the count threshold and the signal-to-noise test."""
    numbers, counts = np.unique(neighbours_of_pixels(SHAPE), return_counts=True)
    shares = [probability(rate, int(n), signal_to_noise, threshold) for n in numbers]
    return float((np.array(shares) * counts).sum())


def passing_signal_test(image: Array, signal_to_noise: float, threshold: int) -> int:
    """The same, counted in NumPy."""
    padded = np.pad(image.astype(np.int64), 3)
    sums = sum(padded[y : y + SHAPE[0], x : x + SHAPE[1]] for y in range(7) for x in range(7))
    mean = (sums - image) / neighbours_of_pixels(SHAPE)
    return int(((image >= threshold) & (image > mean + signal_to_noise * np.sqrt(mean) + 1e-9)).sum())


@pytest.mark.parametrize("signal_to_noise", [3.0, 5.0])
@pytest.mark.parametrize("rate", [0.05, 0.5, 2.0, 8.0, 60.0])
def test_uniform_poisson_noise(rate: float, signal_to_noise: float) -> None:
    image = np.random.default_rng(5).poisson(rate, SHAPE).astype(np.uint16)
    bound = expected(rate, signal_to_noise, 2)
    spread = math.sqrt(bound) + 1
    assert abs(passing_signal_test(image, signal_to_noise, 2) - bound) < 5 * spread

    settings = SpotSettings(
        signal_to_noise_threshold=signal_to_noise, photon_count_threshold=2, min_pix_per_spot=2
    )
    prepared = prepare_spots(settings, PixelRules(np.zeros(SHAPE, np.uint8), 65535, 65534), None)
    found = SpotFinder(prepared, 100).find(image)
    assert found.n_strong_pixels <= bound + 5 * spread
    # The index of dispersion takes most of them away; spots of two pixels are then rare.
    assert found.n_unfiltered <= 1 + 0.2 * found.n_strong_pixels


@pytest.mark.parametrize("per_frame", [1.0, 100.0, 5000.0])
@pytest.mark.parametrize("rate", [0.01, 0.3, 4.0, 50.0, 3000.0])
def test_adaptive_threshold_is_the_poisson_quantile(rate: float, per_frame: float) -> None:
    rng = np.random.default_rng(6)
    image = rng.poisson(rate, SHAPE).astype(np.int32)
    rules = PixelRules(np.zeros(SHAPE, np.uint8), -(1 << 31), 1 << 30)
    q = np.hypot(*(np.indices(SHAPE) - 300)).astype(np.float32) / 200
    rings = number_rings(q, np.ones(SHAPE, bool))
    assert 40 < rings.max() < 64
    thresholds = RingNoise(rings).thresholds(image, rules, per_frame)
    exact = int(np.flatnonzero(tail(rate) <= per_frame / image.size)[0])
    slack = 0.1 * math.sqrt(rate) + 0.02 * exact + 1
    assert np.abs(thresholds - exact).max() <= 3 * slack
    above = int((image >= thresholds[rings]).sum())
    assert above <= 1.35 * per_frame + 5 * math.sqrt(per_frame)


def test_adaptive_threshold_finds_weak_spots_where_the_background_is_low() -> None:
    rng = np.random.default_rng(7)
    q = (np.indices(SHAPE)[1] / 300 + 0.1).astype(np.float32)
    rate = np.where(q < 1.6, 30.0, 0.1)
    image = rng.poisson(rate).astype(np.int16)
    for y in range(20, 680, 40):
        image[y, 700:703] += 5
        image[y, 200:203] += 5
    rules = PixelRules(np.zeros(SHAPE, np.uint8), -32768, 32767)
    adaptive = SpotSettings(adaptive_threshold=True, false_pixels_per_frame=20, photon_count_threshold=1000)
    found = SpotFinder(prepare_spots(adaptive, rules, q), 1000).find(image)
    assert (found.x > 690).sum() >= 16
    assert found.n_unfiltered <= 20
    fixed = replace(adaptive, adaptive_threshold=False)
    assert SpotFinder(prepare_spots(fixed, rules, q), 1000).find(image).n_unfiltered == 0


def test_spots_do_not_raise_the_threshold_of_their_ring() -> None:
    rng = np.random.default_rng(8)
    image = rng.poisson(2.0, SHAPE).astype(np.int16)
    rules = PixelRules(np.zeros(SHAPE, np.uint8), -32768, 32767)
    rings = number_rings(None, np.ones(SHAPE, bool))
    quiet = RingNoise(rings).thresholds(image, rules, 100)
    image[rng.integers(0, 700, 300), rng.integers(0, 900, 300)] = 20_000
    image[:10, :10] = 32767
    image[10:20, :10] = -32768
    assert RingNoise(rings).thresholds(image, rules, 100).tolist() == quiet.tolist()


def test_rings_leave_out_what_is_not_looked_at_and_join_small_ones() -> None:
    looked_at = np.ones(SHAPE, bool)
    looked_at[:, :100] = False
    q = np.hypot(*(np.indices(SHAPE) - 350)).astype(np.float32)
    rings = number_rings(q, looked_at)
    assert (rings[:, :100] == NO_RING).all()
    assert rings[looked_at].max() < NO_RING
    sampled = np.bincount(rings[::8][looked_at[::8]])
    assert sampled.min() >= 500
    assert (np.diff(rings[350, 351:].astype(int)) >= 0).all()
    assert (number_rings(q, np.zeros(SHAPE, bool)) == NO_RING).all()
