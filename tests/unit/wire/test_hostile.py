"""Nothing that arrives does more than be refused."""

from __future__ import annotations

import tracemalloc

import cbor2
import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from jfwriter.errors import ProtocolError
from jfwriter.settings import LimitSettings
from jfwriter.wire.decode import decode
from tests.support.hostile import INSANE, MALFORMED, REASONS, WRONG, outcome, reason_of
from tests.support.wire_fields import MESSAGES, message

LIMITS = LimitSettings()


@pytest.mark.parametrize(
    ("name", "data"), [pytest.param(name, data, id=name) for name, data in MALFORMED if "at byte" not in name]
)
def test_malformed_messages_are_refused(name, data):
    with pytest.raises(ProtocolError) as caught:
        decode(data, LIMITS)
    assert caught.value.reason == reason_of(name)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


def test_messages_cut_at_any_byte_are_refused():
    for name, data in MALFORMED:
        if "at byte" in name:
            with pytest.raises(ProtocolError):
                decode(data, LIMITS)


def test_insane_messages_are_read_or_refused():
    for name, data in INSANE:
        got = outcome(data, LIMITS)
        said = [str(problem) for problem in getattr(got, "problems", ())]
        if isinstance(got, ProtocolError):
            assert got.reason in REASONS, name
            said = [str(got)]
        assert all(len(text) < 400 and text.isprintable() for text in said), name


PARTS = ("x", "y", "I", "h", "sum", "name", "start", "axis", "default", "energy", "data", "n_fast", "type")
wrong = st.recursive(
    st.sampled_from(range(len(WRONG))).map(lambda i: WRONG[i][1]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(PARTS), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", MESSAGES)
@given(st.data())
@settings(max_examples=150, deadline=None)
def test_several_wrong_fields_at_once(kind, data):
    fields = data.draw(st.dictionaries(st.sampled_from(sorted(MESSAGES[kind])), wrong, max_size=6))
    got = outcome(cbor2.dumps({**message(kind), **fields}), LIMITS)
    assert getattr(got, "reason", "bad_field") == "bad_field"


def test_a_channel_name_that_is_a_map():
    fields = {
        **message("start"),
        "channels": [{}],
        "pixel_mask": MESSAGES["start"]["pixel_mask"].sent["default"],
    }
    got = outcome(cbor2.dumps(fields), LIMITS)
    assert list(got.pixel_mask) == ["default"]
    assert [problem.field for problem in got.problems] == ["channels[0]"]


@pytest.mark.parametrize("kind", MESSAGES)
def test_messages_with_a_damaged_byte_are_read_or_refused(kind):
    data = bytearray(cbor2.dumps(message(kind)))
    for at in range(0, len(data), 3):
        for bit in (1, 32, 128):
            data[at] ^= bit
            assert getattr(outcome(bytes(data), LIMITS), "reason", "bad_field") in REASONS
            data[at] ^= bit


def test_a_lie_about_sizes_allocates_nothing():
    lies = [data for name, data in MALFORMED if "2^" in name]
    assert len(lies) >= 5
    tracemalloc.start()
    try:
        for data in lies:
            with pytest.raises(ProtocolError):
                decode(data, LIMITS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize("head", [0x9B, 0xBB], ids=["array", "map"])
@pytest.mark.parametrize("count", [4, 1 << 62, (1 << 62) + 1, (1 << 63) - 1])
def test_a_count_beyond_the_message_is_refused_where_it_stands(head, count):
    """Twice the larger ones, for keys and values, are no 64-bit integers any more."""
    data = bytes([head]) + count.to_bytes(8, "big") + b"\x61a"
    with pytest.raises(ProtocolError, match="byte 0 of") as caught:
        decode(data, LIMITS)
    assert caught.value.reason == "truncated"
