"""Maps put together are maps, for every size of head."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.simulator.splice import map_body, splice, without_type

PREFIX = b"\xd9\xd9\xf7"


def numbered(first: int, n_pairs: int) -> dict[str, int]:
    return {f"k{i}": i for i in range(first, first + n_pairs)}


@given(st.integers(0, 300), st.integers(0, 300))
def test_two_maps_are_one(n_first: int, n_second: int) -> None:
    first, second = numbered(0, n_first), numbered(1000, n_second)
    joined = splice(*(map_body(PREFIX + cbor2.dumps(part)) for part in (first, second)))
    assert joined == PREFIX + cbor2.dumps(first | second)


def test_the_type_can_be_taken_off() -> None:
    body = map_body(PREFIX + cbor2.dumps({"type": "image", "a": 1}))
    assert splice(without_type(body, "image")) == PREFIX + cbor2.dumps({"a": 1})
    with pytest.raises(ValueError, match="type end"):
        without_type(body, "end")


@pytest.mark.parametrize(
    "message",
    [b"", PREFIX, cbor2.dumps({"a": 1}), PREFIX + b"\x80", PREFIX + b"\xbf\xff", PREFIX + b"\xba\0\0\0\0"],
)
def test_other_items_are_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match="expected"):
        map_body(message)
