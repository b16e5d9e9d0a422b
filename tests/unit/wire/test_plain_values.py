"""What is taken as it comes without asking its converter is what the converter would have given."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.settings import LimitSettings
from jfwriter.wire import collect, fields, image, spots
from jfwriter.wire.collect import Problems
from jfwriter.wire.mismatch import Mismatch

LIMITS = LimitSettings()
PLAIN = [name for name, field in image.FIELDS.items() if fields.plain_of(field.converter)]
NUMBERS = st.one_of(
    st.integers(-(2**65), 2**65),
    st.floats(),
    st.booleans(),
    st.sampled_from([2**64 - 1, 2**64, 2**63, 2**32 - 1, 2**32, 255, 256, -1, -(2**63) - 1, 1e300, math.inf]),
)
SUMS = ("sum", "sum_square", "max", "pixels", "x_weighted", "y_weighted")


def test_most_fields_are_plain() -> None:
    assert len(PLAIN) > 40


@pytest.mark.parametrize("name", PLAIN)
@given(value=NUMBERS)
def test_a_plain_number_is_what_its_converter_gives(name: str, value: object) -> None:
    problems = Problems()
    values = collect.convert({name: value}, image.FIELDS, LIMITS, problems)
    converter = image.FIELDS[name].converter
    if values:
        expected = converter(value, LIMITS)
        assert values == {name: expected}
        assert type(values[name]) is type(expected)
        assert not problems.found
        return
    with pytest.raises(Mismatch) as caught:
        converter(value, LIMITS)
    assert [(p.field, p.expected) for p in problems.found] == [(name, caught.value.expected)]


@given(
    sums=st.dictionaries(
        st.sampled_from([*SUMS, "x", "y", "other"]),
        st.one_of(NUMBERS, st.integers(-(2**53), 2**53), st.none(), st.text(max_size=3)),
        max_size=8,
    )
    | st.fixed_dictionaries({name: st.integers(-(2**65), 2**65) | st.integers(-100, 100) for name in SUMS})
)
def test_sums_of_a_region_are_the_same_either_way(sums: dict[str, object]) -> None:
    plain = spots.plain_integral(sums)
    if plain is not None:
        assert plain == spots.general_integral(sums, LIMITS)


def test_the_usual_sums_are_plain() -> None:
    sums = dict(zip(SUMS, (10, 100, 9, 4, 25, 35), strict=True))
    plain = spots.plain_integral(sums)
    assert plain is not None
    assert (plain.x, plain.y, plain.max, plain.pixels) == (2.5, 3.5, 9, 4)
    assert spots.plain_integral(sums | {"sum": 0}) is None
    assert spots.plain_integral(sums | {"max": True}) is None
