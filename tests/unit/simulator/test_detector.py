import numpy as np
import pytest

from jfwriter.errors import UsageError
from jfwriter.simulator.detector import (
    DETECTORS,
    MASK_DEAD,
    MASK_GAP,
    MASK_NOISY,
    custom_detector,
    find_detector,
    gap_pixels,
    make_pixel_mask,
)

# Sizes that the manufacturers and beamlines publish (width, height).
PUBLISHED = {
    "jungfrau-4m": (2068, 2164),
    "jungfrau-1m": (1030, 1064),
    "eiger2-1m": (1028, 1062),
    "eiger2-4m": (2068, 2162),
    "eiger2-9m": (3108, 3262),
    "eiger2-16m": (4148, 4362),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_named_detectors_have_their_published_size(name: str) -> None:
    model = DETECTORS[name]
    assert (model.width, model.height) == PUBLISHED[name]
    assert model.shape == PUBLISHED[name][::-1]


@pytest.mark.parametrize("name", DETECTORS)
def test_pixels_outside_the_gaps_are_whole_modules(name: str) -> None:
    model = DETECTORS[name]
    live = ~gap_pixels(model)
    columns, rows = live.any(axis=0).sum(), live.any(axis=1).sum()
    assert columns % model.module_width == 0
    assert rows % model.module_height == 0
    assert live.sum() == columns * rows
    assert live[0, 0]
    assert live[-1, -1]


def test_gaps_stand_between_the_modules() -> None:
    gaps = gap_pixels(DETECTORS["jungfrau-4m"])
    np.testing.assert_array_equal(np.flatnonzero(gaps[0]), np.arange(1030, 1038))
    np.testing.assert_array_equal(np.flatnonzero(gaps[:, 0])[:36], np.arange(514, 550))


def test_the_mask_has_the_bits_of_nxmx() -> None:
    model = DETECTORS["jungfrau-1m"]
    mask = make_pixel_mask(model, np.random.default_rng(1))
    assert mask.dtype == np.uint32
    np.testing.assert_array_equal((mask & MASK_GAP) != 0, gap_pixels(model))
    assert set(np.unique(mask)) == {0, MASK_GAP, MASK_DEAD, MASK_NOISY}
    assert 20 < (mask == MASK_DEAD).sum() < 200


def test_find_detector_takes_names_and_sizes() -> None:
    assert find_detector("JUNGFRAU-4M") is DETECTORS["jungfrau-4m"]
    assert find_detector("300x200").shape == (200, 300)


@pytest.mark.parametrize(
    "text", ["eiger3", "0x10", "10x0", "100000x100000", "10x", "x", "10x10x10", "-1x5", "٣x٣"]
)
def test_find_detector_says_what_it_expects(text: str) -> None:
    with pytest.raises(UsageError, match="expected"):
        find_detector(text)


def test_a_custom_detector_of_one_module_has_no_gap() -> None:
    assert not gap_pixels(custom_detector(512, 300)).any()
