"""What messages hold in memory is never more than what they are charged for."""

from __future__ import annotations

import sys
import tracemalloc

import cbor2
import pytest

from jfwriter.settings import LimitSettings
from jfwriter.wire.decode import decode
from jfwriter.wire.plain_image import PlainImage
from jfwriter.wire.weight import held_bytes
from tests.support.plain_images import LIMITS, counts, learned, plain_message, singles, view
from tests.support.wire_fields import smallest

N = 60_000
GREEDY = {
    "empty lists": ("image", "user_data", [[]] * N),
    "small maps": ("start", "user", [{"a": 0} for _ in range(N // 3)]),
    "small numbers": ("image", "user_data", list(range(1000, 1000 + N))),
    "short texts": ("start", "user", [f"{i:04d}" for i in range(N)]),
    "names": ("start", "user", {f"{i:05d}": 0 for i in range(N // 2)}),
    "profile of ones": ("image", "az_int_profile", [1] * N),
    "counts of ones": ("image", "az_int_profile_count", [1] * N),
    "bins of ones": ("start", "az_int_bin_to_q", [1] * N),
}


@pytest.mark.parametrize(("kind", "name", "value"), GREEDY.values(), ids=GREEDY)
def test_greedy_messages_are_charged(kind: str, name: str, value: object) -> None:
    data = cbor2.dumps({**smallest(kind), name: value})
    decode(data, LimitSettings())
    tracemalloc.start()
    try:
        message = decode(data, LimitSettings())
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not message.problems
    assert held <= held_bytes(message) + len(data) + 4096


def test_a_plain_message_is_charged_for_its_bytes_alone() -> None:
    assert held_bytes(decode(cbor2.dumps(smallest("image")), LimitSettings())) == 0
    assert held_bytes(decode(cbor2.dumps(smallest("end")), LimitSettings())) == 0


GREEDY_PLAIN: dict[str, dict[str, object]] = {
    "as usual": {},
    "spots": {"spots": [{"x": i, "y": 1} for i in range(3000)]},
    "profiles": {"az_int_profile": singles(*range(20_000)), "az_int_profile_count": counts(*range(20_000))},
    "names": {"series_unique_id": "n" * 900},
}


@pytest.mark.parametrize("changes", GREEDY_PLAIN.values(), ids=GREEDY_PLAIN)
def test_plain_images_are_charged_for_what_they_hold(changes: dict[str, object]) -> None:
    both, data = learned(**changes), plain_message(6, **changes)
    buffer = view(data)
    tracemalloc.start()
    try:
        image = both.decoder.decode(buffer, LIMITS)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(image, PlainImage)
    assert image.spot_table is not None
    parts = (image.cells, image.spot_table.numbers)
    span_bytes = sum(map(sys.getsizeof, (image.spans, *image.spans)))
    n_pixel_bytes = sum(len(payload.data) for payload in image.channels.values())
    assert held_bytes(image) >= sum(part.nbytes for part in parts) + span_bytes + len(data) - n_pixel_bytes
    assert held <= held_bytes(image) + 4096
