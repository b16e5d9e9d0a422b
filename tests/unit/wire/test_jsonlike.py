from __future__ import annotations

import json
import math

import cbor2
import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from jfwriter.wire import jsonlike
from jfwriter.wire.mismatch import Mismatch

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.characters(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=20,
)


@given(anything)
@settings(max_examples=500, deadline=None)
def test_what_comes_out_is_json(value):
    plain = jsonlike.clean(value, 50)
    text = json.dumps(plain, allow_nan=False)
    text.encode()
    assert json.loads(text) == plain


json_values = st.recursive(
    st.text(max_size=10) | st.integers(-(2**63), 2**64 - 1) | st.none(), st.lists, max_leaves=8
)


@given(st.dictionaries(st.text(max_size=10), json_values, max_size=5))
@settings(max_examples=200, deadline=None)
def test_json_objects_come_back(value):
    assert jsonlike.parse_object(f"  {json.dumps(value)} ", 50) == value


@pytest.mark.parametrize(
    "text", ["", "x", "{", "{broken", "[1]", "5", "null", '"a"', "{'a': 1}", "{}x", '{"a":' * 60_000]
)
def test_what_is_no_object(text):
    assert jsonlike.parse_object(text, 50) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NaN", None),
        ("-Infinity", None),
        ("1e999", None),
        ("1.5", 1.5),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ("18446744073709551616", 2.0**64),
        ("1" + "0" * 100, 1e100),
        ("9" * 5000, None),
        ('"\\ud800x"', "\ufffdx"),
        ('"\\ud83d\\udc99"', "\N{BLUE HEART}"),
        ("[[[[1]]]]", [[[None]]]),
    ],
)
def test_values_of_an_object(text, value):
    assert jsonlike.parse_object(f'{{"a": {text}}}', 4) == {"a": value}


def test_what_json_cannot_say_is_null():
    values = [
        b"abc",
        memoryview(b"abc"),
        math.nan,
        -math.inf,
        cbor2.CBORTag(64, b"a"),
        cbor2.CBORSimpleValue(5),
    ]
    assert jsonlike.clean(values, 5) == [None] * len(values)
    assert jsonlike.clean((1, True, {5: "x"}), 5) == [1, True, {"5": "x"}]


@pytest.mark.parametrize("item", ["[]", "{}", '{"a": 0}', "0.5"])
def test_text_with_too_many_values_is_not_read(item):
    with pytest.raises(Mismatch, match="at most 65536 values"):
        jsonlike.parse_object(f'{{"a": [{",".join([item] * 70_000)}]}}', 50)


@pytest.mark.parametrize("value", [[[]] * 70_000, {str(i): i for i in range(40_000)}, [[[0] * 300] * 300]])
def test_data_with_too_many_values_is_not_taken(value):
    assert jsonlike.n_values(value) > jsonlike.MAX_VALUES
    with pytest.raises(Mismatch, match="at most 65536 values"):
        jsonlike.clean(value, 50)


@given(json_values)
def test_values_are_counted(value):
    def count(item):
        if isinstance(item, dict):
            return 1 + len(item) + sum(map(count, item.values()))
        return 1 + (sum(map(count, item)) if isinstance(item, list) else 0)

    assert jsonlike.n_values(value) == count(value)
