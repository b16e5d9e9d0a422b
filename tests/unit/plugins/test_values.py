"""Foreign values: stored exactly, or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.plugins.values import Unfit, ascii_text, fitted, floating, integer, rows_of, vector
from jfwriter.wire.messages import Rational

HOSTILE = [None, "7", b"7", [], {}, object(), 1.5, float("nan"), 1j, np.array([1, 2])]


@pytest.mark.parametrize("dtype", ["u1", "u4", "u8", "i4", "i8"])
@given(value=st.integers(-(2**70), 2**70))
def test_integers_are_stored_exactly_or_not_at_all(dtype: str, value: int) -> None:
    limits = np.iinfo(dtype)
    if limits.min <= value <= limits.max:
        assert np.array(integer(dtype)(value), dtype).item() == value
    else:
        with pytest.raises(Unfit):
            integer(dtype)(value)


@pytest.mark.parametrize("value", HOSTILE)
def test_other_things_are_no_integers(value: Any) -> None:
    with pytest.raises(Unfit):
        integer("i8")(value)


def test_booleans_are_integers() -> None:
    assert integer("u1")(True) == 1


@pytest.mark.parametrize("value", [1e39, -1e39, float("inf"), 10**400, None, "7", b"7", [], Rational(1, 0)])
def test_floats_beyond_the_type_are_not_stored(value: Any) -> None:
    with pytest.raises(Unfit):
        floating("f4")(value)


def test_nan_is_a_float_value() -> None:
    assert np.isnan(floating("f4")(float("nan")))


@pytest.mark.parametrize("value", ["tPx", "é", "a\0", 5, None, b"tP"])
def test_text_must_be_short_ascii(value: Any) -> None:
    with pytest.raises(Unfit):
        ascii_text(3)(value)
    assert ascii_text(3)("tP") == b"tP"


def test_vectors_need_their_length() -> None:
    np.testing.assert_array_equal(vector("f4", 3)([1, 2, 3]), [1, 2, 3])
    for wrong in ([1, 2], [[1, 2, 3]], 5, ["a", "b", "c"]):
        with pytest.raises(Unfit):
            vector("f4", 3)(wrong)


def test_missing_rows_are_nan_and_rows_too_many_are_cut() -> None:
    convert = rows_of("f4", 2, 3)
    padded = convert(np.ones((1, 3)))
    np.testing.assert_array_equal(padded, [[1, 1, 1], [np.nan] * 3])
    with pytest.raises(Unfit) as caught:
        convert(np.ones((5, 3)))
    np.testing.assert_array_equal(caught.value.kept, np.ones((2, 3)))


@given(
    values=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20),
    dtype=st.sampled_from(["u1", "u4", "i4", "u8"]),
)
def test_integer_arrays_never_wrap(values: list[int], dtype: str) -> None:
    result, n_bad = fitted(np.array(values, np.int64), np.dtype(dtype), 0)
    limits = np.iinfo(dtype)
    inside = [limits.min <= value <= limits.max for value in values]
    assert n_bad == inside.count(False)
    assert result.tolist() == [value if ok else 0 for value, ok in zip(values, inside, strict=True)]
    assert result.dtype == np.dtype(dtype)


def test_large_unsigned_and_float_arrays() -> None:
    result, n_bad = fitted(np.array([0, 2**32 - 1, 2**32, 2**64 - 1], np.uint64), np.dtype("u4"), 0)
    assert (result.tolist(), n_bad) == ([0, 2**32 - 1, 0, 0], 2)
    result, n_bad = fitted(np.array([1.0, 1.5, np.nan, 2.0**32, -1.0]), np.dtype("u4"), 9)
    assert (result.tolist(), n_bad) == ([1, 9, 9, 9, 9], 4)
    result, n_bad = fitted(np.array([1.0, np.nan, 1e300, -np.inf]), np.dtype("f4"), np.nan)
    np.testing.assert_array_equal(result, np.array([1, np.nan, np.nan, np.nan], "f4"))
    assert n_bad == 2


def test_an_array_of_the_right_type_is_not_copied() -> None:
    array = np.arange(3, dtype="f4")
    assert fitted(array, np.dtype("f4"), 0)[0] is array


def test_an_array_of_something_else_is_all_sentinel() -> None:
    result, n_bad = fitted(np.array(["a", "b"]), np.dtype("i4"), -1)
    assert (result.tolist(), n_bad) == ([-1, -1], 2)
