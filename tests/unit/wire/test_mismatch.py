from __future__ import annotations

import cbor2
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from jfwriter.wire.mismatch import Mismatch, Said, describe


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        (True, "true"),
        (5, "integer 5"),
        (1.5, "float 1.5"),
        ("a\nb\N{BLUE HEART}", r"text 'a\nb\U0001f499'"),
        (b"abc", "byte string of 3 bytes"),
        (memoryview(b"abc"), "byte string of 3 bytes"),
        ([1, 2], "array of 2 items"),
        ((1, 2), "array of 2 items"),
        ({"a": 1}, "map of 1 entries"),
        (cbor2.CBORTag(77, b""), "tag 77"),
        (np.zeros((2, 3), "u2"), "uint16 array [2, 3]"),
        (Said("2 of 3"), "2 of 3"),
    ],
)
def test_descriptions(value, words):
    assert describe(value) == words


@given(st.text() | st.integers() | st.floats() | st.binary() | st.integers(-(10**40), 10**40))
@settings(max_examples=200, deadline=None)
def test_descriptions_are_short_and_printable(value):
    assert len(describe(value)) <= 60
    assert describe(value).isprintable()


def test_places_are_joined_from_the_inside():
    mismatch = Mismatch("a number", "x", ".start").inside(".omega")
    assert (mismatch.part, mismatch.expected, mismatch.got) == (".omega.start", "a number", "text 'x'")
