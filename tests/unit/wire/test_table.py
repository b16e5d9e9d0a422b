"""The kernel for spots and reflections gives what the general way gives."""

from __future__ import annotations

import math
import struct
from concurrent.futures import ThreadPoolExecutor

import cbor2
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from jfwriter.settings import LimitSettings
from jfwriter.wire import columns
from jfwriter.wire.collect import Problems
from jfwriter.wire.columns import Columns
from jfwriter.wire.item import read_item
from jfwriter.wire.mismatch import Mismatch
from jfwriter.wire.spots import REFLECTION_COLUMNS, SPOT_COLUMNS
from jfwriter.wire.table import MAX_ROWS, TableReader
from tests.support.wire_fields import REFLECTIONS, SPOTS, assert_same

LIMITS = LimitSettings()
SPELLINGS = [text for spec in SPOT_COLUMNS.values() for text in spec.spellings]


def general(data: bytes) -> Columns | None:
    problems = Problems()
    try:
        found = columns.gather(read_item(data, LIMITS), SPOT_COLUMNS, "spots", problems)
    except Mismatch:
        return None
    return None if problems.found else found


def by_kernel(data: bytes) -> Columns | None:
    return TableReader(SPOT_COLUMNS).read(memoryview(data).toreadonly())


def half(value: float) -> bytes:
    return b"\xf9" + struct.pack(">e", value)


number = (
    st.integers(-(2**33), 2**33)
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats()
    | st.floats(width=32)
    | st.integers(0, 1)
    | st.booleans()
    | st.none()
    | st.sampled_from((cbor2.undefined, "text", b"bytes", [1], {"a": 1}, cbor2.CBORTag(30, (1, 2))))
)
plain_number = st.integers(0, 200) | st.floats(width=32) | st.integers(0, 1)
keys = st.sampled_from([*SPELLINGS, "other", "xx", ""])


@given(st.lists(st.dictionaries(keys, number, max_size=6), max_size=4))
@settings(max_examples=500, deadline=None)
def test_kernel_and_general_way_agree_on_anything(rows):
    compare(cbor2.dumps(rows))


@given(st.lists(st.dictionaries(keys, plain_number, max_size=14), max_size=20), st.booleans())
@settings(max_examples=500, deadline=None)
def test_kernel_and_general_way_agree_on_plain_rows(rows, canonical):
    compare(cbor2.dumps(rows, canonical=canonical))


def compare(data: bytes) -> None:
    fast = by_kernel(data)
    if fast is None:
        return
    slow = general(data)
    assert slow is not None, "the kernel accepted what the general way refuses"
    assert fast.n_rows == slow.n_rows
    assert fast.present == slow.present
    assert_same(dict(sorted(fast.columns.items())), dict(sorted(slow.columns.items())))


@pytest.mark.parametrize("indefinite", [False, True])
def test_the_kernel_takes_the_usual_case(indefinite):
    data = cbor2.dumps(SPOTS, indefinite_containers=indefinite)
    fast = by_kernel(data)
    assert fast is not None
    assert fast.present == {
        "x": 2, "y": 2, "I": 2, "maxc": 2, "ice_ring": 2, "indexed": 2, "lattice": 1, "h": 1, "k": 1, "l": 1,
        "dist_ewald": 1,
    }  # fmt: skip
    compare(data)


def test_the_kernel_takes_reflections():
    fast = TableReader(REFLECTION_COLUMNS).read(memoryview(cbor2.dumps(REFLECTIONS)))
    assert fast is not None
    assert fast.present["h"] == 2
    assert fast.present["lp"] == 1


@pytest.mark.parametrize(
    "value", [0.0, -0.0, 1.0, -2.5, 65504.0, 5.960464477539063e-08, 6.103515625e-05, math.inf]
)
def test_half_precision(value):
    data = b"\x81\xa2\x61x" + half(value) + b"\x61y" + half(-value)
    fast = by_kernel(data)
    assert fast is not None
    assert (fast.columns["x"][0], fast.columns["y"][0]) == (value, -value)
    nan = by_kernel(b"\x81\xa1\x61x" + half(math.nan))
    assert nan is not None
    assert np.isnan(nan.columns["x"][0])


def test_unknown_entries_are_passed_over():
    rows = [{"x": 1.5, "new": "text", "y": 2.5, "bytes": b"abc", "flag": True, "none": None, "I": 5, "n": -1}]
    fast = by_kernel(cbor2.dumps(rows))
    assert fast is not None
    assert set(fast.columns) == {"x", "y", "I"}


@pytest.mark.parametrize(
    "rows",
    [
        [{"x": True}],
        [{"h": 1.5}],
        [{"h": 2**31}],
        [{"ice_ring": 2**8}],
        [{"maxc": 2**60}],
        [{"x": 1e300}],
        [{"x": "1"}],
        [{"x": [1]}],
        [{"unknown": [1]}],
        [{"I": 1, "intensity": 2}],
        [{"I": 1}, {"intensity": 2}],
        [1],
        [{1: 2}],
        [{"x": 1.0}] * (MAX_ROWS + 1),
    ],
)
def test_the_kernel_leaves_odd_rows_to_the_general_way(rows):
    assert by_kernel(cbor2.dumps(rows)) is None


def test_a_key_twice_is_left_to_the_general_way():
    assert by_kernel(b"\x81\xa2\x61x\x01\x61x\x02") is None


@given(st.lists(st.dictionaries(keys, plain_number, max_size=14), max_size=6))
@settings(max_examples=500, deadline=None)
def test_raw_numbers_are_those_of_the_columns(rows):
    reader = TableReader(SPOT_COLUMNS, required=("x", "y"))
    data = memoryview(cbor2.dumps(rows)).toreadonly()
    columns_ = reader.read(data)
    for raw in (reader.read_raw(data), reader.read_raw(data)):  # the second time it knows what came
        if columns_ is None or any(columns_.present.get(name, 0) != len(rows) for name in ("x", "y")):
            assert raw is None
            continue
        assert raw is not None
        names = [name for number, name in enumerate(SPOT_COLUMNS) if number in raw.came]
        assert set(names) == set(columns_.columns)
        assert raw.n_rows == len(rows)
        cast = reader.cast(raw.numbers)
        for number in raw.came:
            np.testing.assert_array_equal(cast[number], columns_.columns[list(SPOT_COLUMNS)[number]])


def test_what_came_is_kept_of_a_few_kinds_of_rows_alone():
    reader = TableReader(SPOT_COLUMNS)
    names = [name for name in SPOT_COLUMNS if name != "I"]
    for kind in range(1 << 8):
        row = {name: 1 for i, name in enumerate(names) if kind & (1 << i)}
        raw = reader.read_raw(memoryview(cbor2.dumps([row])).toreadonly())
        assert raw is not None
        assert {list(SPOT_COLUMNS)[number] for number in raw.came} == set(row)
    assert len(reader._columns_of) <= 64


def test_no_rows():
    assert by_kernel(b"\x80") == Columns(0, {}, {})
    assert by_kernel(b"\x9f\xff") == Columns(0, {}, {})


def test_each_thread_has_its_own_memory():
    from jfwriter.wire.decode import decode
    from tests.support.wire_fields import smallest

    def one(seed: int) -> bool:
        n = 50 + seed
        rows = [{"x": float(seed + i), "y": 1.0} for i in range(n)]
        message = cbor2.dumps(
            {**smallest("image"), "image_id": seed, "spots": rows, "text": "a" * (seed * 2000)}
        )
        for _ in range(100):
            got = decode(message, LIMITS)
            if got.image_id != seed or not np.array_equal(got.spots.x, np.arange(seed, seed + n)):
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, range(8)))
