"""Whatever the data: valid JSON comes out."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.daemon.jsontext import dumps, json_safe, parsed_or_text

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
    max_leaves=20,
)


def no_constants(name: str) -> object:
    raise AssertionError(f"{name} is no JSON")


@given(anything)
def test_anything_becomes_strict_json(value: object) -> None:
    text = dumps(value)
    text.decode("ascii")
    json.loads(text, parse_constant=no_constants)


json_data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_data)
def test_json_data_stays_what_it_is(value: object) -> None:
    assert json.loads(dumps(value)) == value


@pytest.mark.parametrize(
    ("value", "safe"),
    [
        (math.nan, None),
        (-math.inf, None),
        ("\ud800x", "\ufffdx"),
        ({"\udfff": 1, 2: (3,)}, {"\ufffd": 1, "2": [3]}),
        (np.float64(1.5), 1.5),
        (np.array([[1, 2]], np.uint16), [[1, 2]]),
        (b"\x00", "b'\\x00'"),
        (2**64, 2**64),
    ],
)
def test_what_json_cannot_say(value: object, safe: object) -> None:
    assert json_safe(value) == safe


def test_depth_is_bounded() -> None:
    value: object = 1
    for _ in range(100_000):
        value = [value]
    assert dumps(value).count(b"[") == 64


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ('{"a": [1, null]}', {"a": [1, None]}),
        ("12", 12),
        ("hello", "hello"),
        ('{"broken', '{"broken'),
        ("NaN", "NaN"),
        ("[1, Infinity]", "[1, Infinity]"),
        ("", ""),
        ("[" * 100_000, "[" * 100_000),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_a_string_is_data_only_if_it_is_json(text: str, data: object) -> None:
    assert parsed_or_text(text) == data
