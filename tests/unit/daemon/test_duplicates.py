"""An image that comes again, on real files: the first one stays, and log and status compare the second."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.support import stream
from tests.support.plain_dcu import image
from tests.support.real_rig import real_rig


def again(pixels: npt.NDArray[Any], channel: str = "default", codec: str | None = "bslz4") -> bytes:
    """Another image 0."""
    return stream.image_message(0, data={channel: image(pixels, codec)})


def cut_short() -> bytes:
    """Image 0 with a payload that is no whole block."""
    tag = image(stream.pixels(0), "bslz4")
    tag.value[1].value.value[2] = tag.value[1].value.value[2][:-3]
    return stream.image_message(0, data={"default": tag})


FIRST = stream.pixels(0)
OTHERS = {
    "other pixels": again(stream.pixels(5)),
    "another channel": again(FIRST, channel="other"),
    "another shape": again(stream.pixels(0, width=8)),
    "another type": again(FIRST.astype(np.uint32)),
    "a broken payload": cut_short(),
    "other pixels under another codec": again(stream.pixels(5), codec=None),
}


async def counts_of(root: Path, *messages: bytes, before: tuple[bytes, ...] = (), **files: Any) -> Any:
    """Counts of a run of images 0, 1 and `messages`, before its end."""
    rig = real_rig(root, files={"checksum": "crc32", **files})
    try:
        first = before or (stream.start(channels=["default"]),)
        rig.feed(*first, stream.image_message(0), stream.image_message(1), *messages)
        await rig.settled()
        counts = dict(rig.board.run_duplicates)
        assert rig.session.snapshot().dropped == {"duplicate": len(messages)}
        rig.feed(stream.start(2))
        await rig.settled()
        assert rig.board.run_duplicates == {}
        return counts
    finally:
        await rig.close()


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(line.levelno, line.getMessage()) for line in caplog.records if "image 0 came" in line.message]


async def test_the_same_bytes_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert await counts_of(tmp_path, again(FIRST), again(FIRST)) == {"same": 2}
    assert [text for _, text in said(caplog)] == [
        "dropped (duplicate): image 0 came again; the first one stays; how it compares is told next",
        "image 0 came again with the same bytes as the first one",
    ]


async def test_the_same_image_under_another_codec(tmp_path: Path) -> None:
    assert await counts_of(tmp_path, again(FIRST, codec=None)) == {"same": 1}


@pytest.mark.parametrize("what", OTHERS)
async def test_it_is_said_whether_a_duplicate_differs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    caplog.set_level(logging.INFO)
    messages = (OTHERS[what], OTHERS[what], again(FIRST))
    start = stream.start(image_dtype="uint16")
    assert await counts_of(tmp_path, *messages, before=(start,)) == {"differs": 2, "same": 1}
    assert [(level, text.partition(" and ")[2]) for level, text in said(caplog) if "differs" in text] == [
        (
            logging.WARNING,
            "differs from the first one, which stays: crc32 of the bytes as they are stored",
        )
    ]


async def test_a_file_that_is_closed_cannot_tell(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    messages = (stream.start(user_data={"images_per_file": 2}),)
    assert await counts_of(tmp_path, again(FIRST), before=messages) == {"unknown": 1}
    assert any("whether it differs is unknown" in text for _, text in said(caplog))


@pytest.mark.parametrize(
    ("files", "user_data", "why"),
    [
        ({"checksum": "none"}, {}, "files.checksum is off"),
        ({}, {"file_prefix": ""}, "no files are written"),
    ],
)
async def test_without_checksums_nothing_is_compared(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    files: dict[str, Any],
    user_data: dict[str, Any],
    why: str,
) -> None:
    start = stream.start(user_data=user_data)
    assert await counts_of(tmp_path, again(stream.pixels(5)), before=(start,), **files) == {}
    (only,) = said(caplog)
    assert only[1].endswith(f"the first one stays; not compared ({why})")


async def test_of_a_run_that_has_failed_nothing_is_compared(tmp_path: Path) -> None:
    """The order waits behind the failure: it neither raises nor counts."""
    rig = real_rig(tmp_path, files={"checksum": "crc32"})
    (tmp_path / "run1_data_000001.h5").mkdir()
    try:
        rig.feed(stream.start(), stream.image_message(0), again(FIRST))
        await rig.settled()
        assert rig.board.run_duplicates == {}
        rig.feed(*stream.run(2))
        await rig.settled()
    finally:
        await rig.close()
    assert rig.board.last_run is not None
    assert rig.board.last_run.outcome == "complete"
