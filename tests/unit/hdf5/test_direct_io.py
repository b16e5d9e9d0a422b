"""Images past the page cache: the same files, where it works, where it does not, and where it stops to."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from jfwriter.hdf5 import async_writes, pixel_space
from jfwriter.hdf5.async_writes import AsyncWrites, Write
from jfwriter.hdf5.direct_io import DirectIO
from jfwriter.hdf5.image_dataset import ImageDataset
from jfwriter.hdf5.pixel_layout import Layout
from jfwriter.hdf5.pixel_space import LEAST_DIRECT_BYTES
from jfwriter.payload import Codec, Payload
from tests.support import messages
from tests.support.writer_run import Run

SHAPE = (400, 512)
N_IMAGES = 24
PIXELS = np.random.default_rng(3).integers(0, 60_000, (N_IMAGES, *SHAPE), np.uint16)
START = {
    "image_size_x": SHAPE[1],
    "image_size_y": SHAPE[0],
    "number_of_images": N_IMAGES,
    "images_per_file": N_IMAGES,
}
assert PIXELS[0].nbytes >= LEAST_DIRECT_BYTES

MakeRun = Callable[..., Run]
TOLD = "scan1_data_000001.h5: cannot be written past the page cache ({}); files.direct_io does nothing here"


def image(number: int, offset: int = 0, pixels: Any = None) -> Any:
    """Its pixels begin `offset` bytes behind a page."""
    pixels = PIXELS[number] if pixels is None else pixels
    memory = np.zeros(pixels.nbytes + 3 * 4096, np.uint8)
    start = -memory.__array_interface__["data"][0] % 4096 + offset
    memory[start : start + pixels.nbytes] = pixels.reshape(-1).view(np.uint8)
    payload = Payload(memory[start : start + pixels.nbytes].data, Codec.NONE, np.dtype("<u2"), pixels.shape)
    return messages.image(number, channels={"default": payload}, pixel_sum=number)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Write]:
    """What is written directly."""
    begun: list[Write] = []
    real = AsyncWrites.begin

    def begin(self: AsyncWrites, writes: Sequence[Write]) -> list[int]:
        tickets = real(self, writes)
        begun.extend(writes[: len(tickets)])
        return tickets

    monkeypatch.setattr(AsyncWrites, "begin", begin)
    return begun


def failing(monkeypatch: pytest.MonkeyPatch, code: int, which: Sequence[int]) -> None:
    """Of the parts that are written, `which` fail."""
    real, numbers = DirectIO.write, itertools.count()

    def write(self: DirectIO, descriptor: int, layouts: Sequence[Layout]) -> Iterator[OSError | None]:
        for came in real(self, descriptor, layouts):
            yield OSError(code, os.strerror(code)) if next(numbers) in which else came

    monkeypatch.setattr(DirectIO, "write", write)


def write_all(run: Run, n_together: int = 6, offsets: Sequence[int] = (0, 1, 511, 512, 4095)) -> None:
    images = [image(i, offsets[i % len(offsets)]) for i in range(N_IMAGES)]
    run.write_image(images[0])
    for first in range(1, N_IMAGES, n_together):
        run.write_together(images[first : first + n_together])


def assert_complete(run: Run, prefix: str = "scan1") -> h5py.Group:
    report = run.finish(N_IMAGES)
    assert (report.outcome, report.n_written, report.missing) == ("complete", N_IMAGES, ())
    with h5py.File(run.root / f"{prefix}_data_000001.h5") as file:
        np.testing.assert_array_equal(file["entry/data/data"][()], PIXELS)
        assert file["entry/image/pixel_sum"][()].tolist() == list(range(N_IMAGES))
    return report


def in_flight(run: Run) -> int:
    storage = run.writer._storage
    assert storage is not None
    writes = storage.direct_io._writes
    return 0 if writes is None else writes.n_in_flight


@pytest.mark.parametrize("n_together", [1, 2, 6, 23])
def test_a_run_is_the_same_as_through_the_cache(
    make_run: MakeRun, written: list[Write], n_together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixel_space, "PART_BYTES", 1 << 20)
    chunks: dict[str, Any] = {}
    for prefix, direct in (("cached", False), ("direct", True)):
        run = make_run(file_prefix=prefix, files={"direct_io": direct, "checksum": "crc32"}, **START)
        assert written == []
        write_all(run, n_together)
        assert_complete(run, prefix)
        with h5py.File(run.root / f"{prefix}_data_000001.h5") as file:
            data = file["entry/data/data"].id
            chunks[prefix] = [data.read_direct_chunk((row, 0, 0)) for row in range(N_IMAGES)]
        assert in_flight(run) == 0
    assert chunks["cached"] == chunks["direct"]
    n_bytes = sum(piece.size for write in written for piece in write.pieces)
    assert n_bytes > 23 * PIXELS[0].nbytes


def test_the_journal_knows_the_places(
    make_run: MakeRun, written: list[Write], entered: dict[int, tuple[int, int]]
) -> None:
    run = make_run(files={"direct_io": True}, source=memoryview(b"\xa0"), **START)
    write_all(run)
    assert_complete(run)
    assert written
    content = (run.root / "scan1_data_000001.h5").read_bytes()
    for row, (place, n_bytes) in entered.items():
        assert content[place : place + n_bytes] == PIXELS[row].tobytes()
    assert sorted(entered) == list(range(N_IMAGES))


def test_small_images_go_through_the_cache(make_run: MakeRun, written: list[Write]) -> None:
    run = make_run(files={"direct_io": True}, number_of_images=10)
    run.write_together([messages.image(i) for i in range(10)])
    assert run.finish(10).outcome == "complete"
    assert written == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EINVAL])
@pytest.mark.parametrize("which", [[0], [1, 2], range(100)])
def test_what_cannot_be_written_directly_is_written_otherwise(
    make_run: MakeRun,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    code: int,
    which: Sequence[int],
) -> None:
    monkeypatch.setattr(pixel_space, "PART_BYTES", 1 << 20)
    failing(monkeypatch, code, which)
    run = make_run(files={"direct_io": True}, **START)
    write_all(run)
    assert_complete(run)
    told = [record.getMessage() for record in caplog.records if "page cache" in record.getMessage()]
    assert told == ([TOLD.format("Invalid argument")] if code == errno.EINVAL else [])


def test_a_part_that_is_not_written_whole_is_written_again(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = AsyncWrites.wait
    monkeypatch.setattr(AsyncWrites, "wait", lambda self, ticket: real(self, ticket) - 4096)
    run = make_run(files={"direct_io": True}, **START)
    write_all(run)
    assert_complete(run)


def test_a_part_that_cannot_be_begun_is_written_otherwise(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixel_space, "PART_BYTES", 1 << 20)
    real, calls = AsyncWrites.begin, itertools.count()
    monkeypatch.setattr(
        AsyncWrites, "begin", lambda self, writes: real(self, writes[: 1 if next(calls) % 2 else 2])
    )
    run = make_run(files={"direct_io": True}, **START)
    write_all(run, n_together=23)
    assert_complete(run)
    assert in_flight(run) == 0


def test_where_there_are_no_such_writes_it_is_told_once(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none(_self: AsyncWrites) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(AsyncWrites, "__init__", none)
    run = make_run(files={"direct_io": True}, **START | {"images_per_file": 4})
    images = [image(i) for i in range(N_IMAGES)]
    for first in range(0, N_IMAGES, 4):
        run.write_together(images[first : first + 4])
    assert run.finish(N_IMAGES).outcome == "complete"
    told = [record.getMessage() for record in caplog.records if "page cache" in record.getMessage()]
    assert told == [TOLD.format("Function not implemented")]


def test_descriptors_are_given_back(make_run: MakeRun) -> None:
    def n_open() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = n_open()
    for prefix in ("a", "b"):
        run = make_run(file_prefix=prefix, files={"direct_io": True}, **START)
        write_all(run)
        assert_complete(run, prefix)
    run = make_run(file_prefix="c", files={"direct_io": True}, **START)
    write_all(run)
    run.writer.abandon()
    assert n_open() == before


def test_nothing_is_in_flight_after_a_failure(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is being written belongs to images that are let go of."""
    monkeypatch.setattr(pixel_space, "PART_BYTES", 1 << 20)
    real = async_writes.system_call

    def one_event(number: int, *arguments: int) -> int:
        if len(arguments) == 5:  # io_getevents: at least and at most so many
            arguments = (arguments[0], 1, 1, *arguments[3:])
        return real(number, *arguments)

    monkeypatch.setattr(async_writes, "system_call", one_event)
    run = make_run(files={"direct_io": True}, **START)
    write_all(run, n_together=2)
    seen: list[int] = []

    def was_written(*_: object) -> None:
        seen.append(in_flight(run))
        raise RuntimeError("a fault")

    run = make_run(file_prefix="other", files={"direct_io": True}, **START)
    run.write_image(image(0))
    monkeypatch.setattr(ImageDataset, "was_written", was_written)
    with pytest.raises(RuntimeError, match="a fault"):
        run.write_together([image(i) for i in range(1, N_IMAGES)])
    assert max(seen) > 0
    assert in_flight(run) == 0
