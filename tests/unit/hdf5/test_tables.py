"""Small tables of the run writer: original numbers, ranges of images."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.hdf5.original_numbers import OriginalNumbers
from jfwriter.hdf5.run_ranges import n_images_in, with_images


@given(numbers=st.dictionaries(st.integers(0, 20_000), st.integers(0, 2**63 - 1), max_size=50))
def test_original_numbers_are_a_mapping(numbers: dict[int, int]) -> None:
    table = OriginalNumbers()
    for image_id, number in numbers.items():
        table.add(image_id, number)
    assert dict(table) == numbers
    assert list(table) == sorted(numbers)
    assert list(table.values()) == [numbers[image_id] for image_id in sorted(numbers)]
    assert len(table) == len(numbers)


@given(
    numbers=st.dictionaries(st.integers(0, 20_000), st.integers(0, 2**63 - 1), max_size=50),
    others=st.sets(st.integers(0, 30_000), max_size=20),
)
def test_the_original_numbers_of_some_images(numbers: dict[int, int], others: set[int]) -> None:
    table = OriginalNumbers()
    for image_id, number in numbers.items():
        table.add(image_id, number)
    asked = sorted({*list(numbers)[::2], *others})
    expected = tuple((image_id, numbers[image_id]) for image_id in asked if image_id in numbers)
    assert table.pairs(np.array(asked, np.int64)) == expected


@pytest.mark.parametrize("number", [-1, 2**63, 2**64 - 1])
def test_numbers_beyond_the_type_are_not_kept(number: int) -> None:
    table = OriginalNumbers()
    table.add(3, number)
    assert 3 not in table
    assert 90_000_000 not in table


@given(
    ranges=st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 9)).map(lambda r: (r[0], r[0] + r[1])), max_size=8
    ),
    images=st.sets(st.integers(0, 60), max_size=10),
)
def test_ranges_are_the_union_in_the_fewest_pieces(ranges: list[tuple[int, int]], images: set[int]) -> None:
    merged = with_images(ranges, images)
    wanted = images | {i for first, last in ranges for i in range(first, last + 1)}
    assert [i for first, last in merged for i in range(first, last + 1)] == sorted(wanted)
    assert n_images_in(merged) == len(wanted)
    assert all(second[0] > first[1] + 1 for first, second in itertools.pairwise(merged))
