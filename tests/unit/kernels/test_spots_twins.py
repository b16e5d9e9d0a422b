"""The kernels of spot finding agree with their plain twins on random images of every pixel type."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jfwriter.kernels.background import BackgroundEstimate
from jfwriter.kernels.pixel_classes import PIXEL_TYPES, PixelRules, default_error_value
from jfwriter.kernels.spots import SpotFinder, SpotSettings, prepare_spots
from tests.unit.kernels import spot_twins as twins

Array = npt.NDArray[Any]


def random_image(dtype: str, seed: int, shape: tuple[int, int]) -> tuple[Array, PixelRules]:
    """Noise, spots, masked and error pixels, saturated pixels; counts of 32 bits far above 16 bits."""
    rng = np.random.default_rng(seed)
    height, width = shape
    kind = np.dtype(dtype)
    expected = np.full(shape, rng.uniform(0, 8))
    for _ in range(rng.integers(0, 12)):
        y, x = rng.uniform(-1, height), rng.uniform(-1, width)
        distance = (np.arange(height)[:, None] - y) ** 2 + (np.arange(width)[None, :] - x) ** 2
        expected += 10 ** rng.uniform(1, 6 if kind.itemsize == 4 else 4) * np.exp(-distance / 1.5)
    counts = rng.poisson(expected).astype(np.float64)
    if kind.kind != "u":
        counts += np.rint(rng.normal(0, rng.choice([0.0, 1.0]), shape))
    top = 1 << 20 if kind.kind == "f" else int(np.iinfo(kind).max)
    saturation = int(rng.integers(max(20, top // 3), top + 2))
    image = np.clip(counts, -100, min(saturation, top)).astype(kind)
    if kind.kind == "f":
        image += rng.uniform(-0.4, 0.4, shape).astype(np.float32)
    error = default_error_value(kind)
    holes = rng.random(shape) < rng.choice([0.0, 0.02, 0.3])
    image[holes] = np.nan if kind.kind == "f" else error
    excluded = (rng.random(shape) < rng.choice([0.0, 0.05])).astype(np.uint8)
    excluded[:, width // 2 : width // 2 + rng.integers(0, 4)] = 1
    image[excluded == 1] = rng.choice([0, 100])
    return image, PixelRules(excluded, error, saturation)


@given(
    dtype=st.sampled_from(PIXEL_TYPES),
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from([(23, 31), (40, 40), (5, 300), (1, 9), (64, 3), (1, 1)]),
    signal_to_noise=st.sampled_from([0.0, 2.0, 3.0, 6.5]),
    threshold=st.sampled_from([0, 1, 4, 10, 100, 50000]),
    min_pixels=st.integers(1, 4),
)
@settings(max_examples=150, deadline=None)
def test_kernels_equal_their_twins(  # noqa: PLR0917 hypothesis
    dtype: str, seed: int, shape: tuple[int, int], signal_to_noise: float, threshold: int, min_pixels: int
) -> None:
    image, rules = random_image(dtype, seed, shape)
    image.flags.writeable = False
    wanted = SpotSettings(
        signal_to_noise_threshold=signal_to_noise, photon_count_threshold=threshold,
        min_pix_per_spot=min_pixels, max_pix_per_spot=30,
    )  # fmt: skip
    finder = SpotFinder(prepare_spots(wanted, rules, None), 10_000)
    finder.find(np.full(shape, 7, image.dtype))
    found = finder.find(image)

    valid, saturated = twins.classes(image, rules.excluded, rules.error_value, rules.saturation_value)
    strong = twins.strong_pixels(image, valid, saturated, threshold, signal_to_noise)
    assert found.n_strong_pixels == len(strong)
    expected = []
    for members in twins.components(strong):
        if min_pixels <= len(members) <= 30:
            values = [min(float(image[at]), rules.saturation_value) for at in members]
            background = twins.frame_mean(image, valid, strong, members)
            expected.append((*twins.centre(values, members, background), max(values), len(members)))
    assert found.n_unfiltered == len(found.x) == len(expected)
    columns = np.array(expected, np.float64).reshape(-1, 5)
    order = np.argsort(-columns[:, 2].astype(np.float32), kind="stable")
    np.testing.assert_allclose(found.intensity, columns[order, 2], rtol=1e-6, atol=1e-4)
    own = np.stack([found.x, found.y, found.n_pixels], axis=1)
    if len(own):
        distance = np.abs(own[:, np.newaxis] - columns[np.newaxis, :, [0, 1, 4]]).max(axis=2)
        assert distance.min(axis=0).max() < 2e-4
        assert distance.min(axis=1).max() < 2e-4
    assert sorted(found.max_count.tolist()) == sorted(int(value) for value in columns[:, 3])
    assert np.isnan(found.d_angstrom).all()


@pytest.mark.parametrize("dtype", PIXEL_TYPES)
@pytest.mark.parametrize("seed", range(4))
def test_background_is_the_mean_of_the_valid_pixels_between_3_and_5_angstrom(dtype: str, seed: int) -> None:
    image, rules = random_image(dtype, seed, (60, 70))
    q = np.hypot(np.arange(60)[:, None] - 20.3, np.arange(70)[None, :] - 31.8).astype(np.float32) / 16
    valid, _ = twins.classes(image, rules.excluded, rules.error_value, rules.saturation_value)
    d = np.divide(2 * np.pi, q, out=np.full(q.shape, np.inf), where=q > 0)
    chosen = image[valid & (d >= 3) & (d <= 5)].astype(np.float64)
    assert BackgroundEstimate(rules, q).estimate(image) == pytest.approx(chosen.mean(), rel=1e-9)


def test_background_without_valid_pixels_is_nan() -> None:
    image = np.zeros((8, 8), np.int16)
    far = np.full((8, 8), 9.0, np.float32)
    ring = np.full((8, 8), 1.5, np.float32)
    rules = PixelRules(np.ones((8, 8), np.uint8), -32768, 32767)
    assert np.isnan(BackgroundEstimate(PixelRules(rules.excluded * 0, -32768, 32767), far).estimate(image))
    assert np.isnan(BackgroundEstimate(rules, ring).estimate(image))
