"""Pixels of twice the size, and pixels beside gaps, make no spots."""

from __future__ import annotations

import numpy as np
import pytest

from jfwriter.kernels.edges import CHIP_EDGE, MODULE_EDGE, map_of_edges
from jfwriter.kernels.pixel_classes import PixelRules, excluded_pixels
from jfwriter.kernels.spots import SpotFinder, SpotSettings, prepare_spots

LARGE_COLUMNS, LARGE_ROWS = (255, 256, 511, 512, 767, 768), (255, 256)


def n_spots(image, excluded):
    rules = PixelRules(excluded.astype(np.uint8), -32768, 32767)
    settings = SpotSettings(signal_to_noise_threshold=4.0, photon_count_threshold=1)
    return SpotFinder(prepare_spots(settings, rules, None), 10).find(image).n_unfiltered


@pytest.mark.parametrize(("rate", "n_false"), [(5.0, 15), (30.0, 500)])
def test_large_pixels_between_chips_make_no_spots(rate, n_false):
    """Two modules one above the other in uniform light; large pixels collect twice as much, corners four
    times."""
    area = np.ones((1024, 1024))
    area[:, LARGE_COLUMNS] *= 2
    for first in (0, 512):
        area[np.add(LARGE_ROWS, first)] *= 2
    image = np.random.default_rng(5).poisson(rate * area).astype(np.int16)
    edges = map_of_edges(image.shape, None, has_bare_modules=True)
    assert np.array_equal(edges == CHIP_EDGE, area > 1)
    assert n_spots(image, np.zeros(image.shape, np.uint8)) > n_false
    assert n_spots(image, edges) == 0


def test_bright_rims_beside_gaps_make_no_spots():
    mask = np.zeros((300, 260), np.uint32)
    mask[140:160] = 1
    mask[:, 120:128] = 1
    mask[40, 40] = 1 << 1  # a dead pixel is no gap
    rate = np.full(mask.shape, 4.0)
    rate[[139, 160]] *= 3
    rate[:, [119, 128]] *= 3
    image = np.random.default_rng(6).poisson(rate).astype(np.int16)
    image[mask != 0] = -32768
    edges = map_of_edges(mask.shape, mask, has_bare_modules=False)
    assert np.array_equal(edges == MODULE_EDGE, (rate > 4) & (mask == 0))
    gaps = excluded_pixels(mask, mask.shape)
    assert n_spots(image, gaps) > 20
    assert n_spots(image, gaps | (edges != 0)) == 0


def test_interpolated_pixels_are_edges_of_chips():
    mask = np.zeros((6, 8), np.uint32)
    mask[2, 3] = 1 << 31
    edges = map_of_edges(mask.shape, mask, has_bare_modules=False)
    assert np.argwhere(edges).tolist() == [[2, 3]]
    assert edges[2, 3] == CHIP_EDGE


@pytest.mark.parametrize("shape", [(514, 1030), (1024, 1028), (500, 1024)])
def test_images_that_are_no_stack_of_bare_modules_have_no_large_pixels(shape):
    assert not map_of_edges(shape, None, has_bare_modules=True).any()
