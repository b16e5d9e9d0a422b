from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.nexus.image_numbers import image_numbers


def test_without_image_rejection_it_is_the_image_id() -> None:
    assert image_numbers(4, {}).tolist() == [0, 1, 2, 3]
    assert image_numbers(0, {}).tolist() == []


@pytest.mark.parametrize(
    ("original", "wanted"),
    [
        ({0: 100, 1: 101, 3: 103}, [100, 101, 102, 103, 104]),
        ({2: 7}, [5, 6, 7, 8, 9]),
        ({1: 10, 3: 40}, [9, 10, 11, 40, 41]),
        ({99: 5, -1: 5}, [0, 1, 2, 3, 4]),
        ({0: 2**64}, [2.0**64 + i for i in range(5)]),
    ],
)
def test_with_it_unknown_rows_count_on(original: dict[int, int], wanted: list[float]) -> None:
    assert image_numbers(5, original).tolist() == wanted


@given(st.dictionaries(st.integers(0, 50), st.integers(0, 2**50)), st.integers(0, 40))
def test_known_numbers_are_kept(original: dict[int, int], n_images: int) -> None:
    numbers = image_numbers(n_images, original)
    assert numbers.shape == (n_images,)
    assert numbers.dtype == np.float64
    for image_id, number in original.items():
        if image_id < n_images:
            assert numbers[image_id] == number
