"""Messages that are used again say the same as messages that are made anew."""

from __future__ import annotations

import dataclasses

import pytest

from jfwriter.bench.stream import MessageRing, Size, is_image, run_options
from jfwriter.settings import LimitSettings
from jfwriter.simulator import SimulatedRun
from jfwriter.wire.decode import decode
from jfwriter.wire.messages import ImageMessage, StartMessage

SMALL = Size("64x48", "int16", 17)


@pytest.fixture(scope="module")
def run() -> SimulatedRun:
    return SimulatedRun(run_options(SMALL))


def decoded(message: bytes | bytearray) -> ImageMessage:
    found = decode(memoryview(bytes(message)), LimitSettings())
    assert isinstance(found, ImageMessage)
    assert found.problems == ()
    return found


@pytest.mark.parametrize("image_id", [0, 1, 23, 24, 70_000, 99_999_999, 5])
def test_a_message_that_is_used_again(run: SimulatedRun, image_id: int) -> None:
    ring = MessageRing(run, 34)
    ring.message(image_id + 34)
    again, anew = decoded(ring.message(image_id)), decoded(run.image(image_id))
    for field in dataclasses.fields(ImageMessage):
        # The sender's buffers are told by the number of the template.
        if field.compare and field.name not in {"channels", "receiver_free_send_buf"}:
            one, other = getattr(again, field.name), getattr(anew, field.name)
            assert repr(one) == repr(other), field.name
    assert bytes(again.channels["default"].data) == run.payload(image_id)


def test_images_are_told_from_the_rest(run: SimulatedRun) -> None:
    assert is_image(run.image(3))
    assert is_image(MessageRing(run, 3).message(3))
    assert not is_image(run.start())
    assert not is_image(run.end([1, 2]))


def test_a_lengthened_run_says_its_length(run: SimulatedRun) -> None:
    longer = run.lengthened(1234, 100)
    start = decode(memoryview(longer.start()), LimitSettings())
    assert isinstance(start, StartMessage)
    assert start.number_of_images == 1234
    assert longer.payload(7) == run.payload(7)
    assert run.options.n_images == SMALL.n_distinct
