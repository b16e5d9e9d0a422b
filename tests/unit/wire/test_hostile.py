"""Nothing that arrives does more than be refused."""

from __future__ import annotations

import tracemalloc

import cbor2
import pytest

from jfwriter.errors import ProtocolError
from jfwriter.settings import LimitSettings
from jfwriter.wire.decode import decode
from tests.support.hostile import INSANE, MALFORMED, REASONS, outcome
from tests.support.wire_fields import MESSAGES, message

LIMITS = LimitSettings()


@pytest.mark.parametrize(
    "data", [pytest.param(data, id=name) for name, data in MALFORMED if "at byte" not in name]
)
def test_malformed_messages_are_refused(data):
    with pytest.raises(ProtocolError) as caught:
        decode(data, LIMITS)
    assert caught.value.reason in REASONS
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
