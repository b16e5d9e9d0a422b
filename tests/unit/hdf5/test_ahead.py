"""Pixels that are written ahead: the same files, the same journal, the same faults as one after another."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest

from jfwriter.errors import StorageError
from jfwriter.hdf5 import ahead
from jfwriter.hdf5.ahead import write_ahead
from jfwriter.hdf5.chunk_calls import Chunk, store_chunks
from jfwriter.hdf5.file_driver import Driver, driver
from jfwriter.hdf5.file_versions import DATA_FILE
from jfwriter.hdf5.image_dataset import ImageDataset, ImageFormat
from jfwriter.hdf5.new_file import new_file
from jfwriter.hdf5.pixel_space import PixelSpace
from jfwriter.hdf5.writeback import Writeback
from jfwriter.payload import Codec, Payload
from jfwriter.session.orders import WriteImage
from tests.support import messages
from tests.support.payloads import packed
from tests.support.writer_run import Run

SHAPE = (64, 64)
N_BYTES = SHAPE[0] * SHAPE[1] * 2
CHANNELS = ("default", "threshold_2")


def payload(number: int) -> Payload:
    pixels = np.random.default_rng(number).integers(0, 60_000, SHAPE, np.uint16)
    return Payload(memoryview(pixels.tobytes()), Codec.NONE, np.dtype("<u2"), SHAPE)


def order(row: int, channels: tuple[str, ...] = CHANNELS, **changed: Payload) -> WriteImage:
    images = {name: payload(10 * row + number) for number, name in enumerate(channels)}
    return WriteImage(0, row, messages.image(row, channels=images | changed))


@contextmanager
def datasets(path: Path) -> Iterator[tuple[PixelSpace, dict[str, ImageDataset]]]:
    own = driver()
    assert own is not None
    with new_file(str(path), DATA_FILE, own) as file:
        space = PixelSpace(file, path.name, own, own.made(), None)
        form = ImageFormat.of(payload(0))
        images = {name: ImageDataset(file.create_group(name), "data", form) for name in CHANNELS}
        yield space, images
        for dataset in images.values():
            dataset.close()


def all_of(
    space: PixelSpace, images: dict[str, ImageDataset], orders: Sequence[WriteImage]
) -> list[tuple[ahead.Place, ...]]:
    return list(itertools.chain.from_iterable(write_ahead(space, images, orders)))


def only(monkeypatch: pytest.MonkeyPatch, n_chunks: int) -> None:
    """HDF5 stores so many of the chunks of a call, and fails at the next."""

    def store(own: Driver, chunks: Sequence[Chunk], places: Sequence[int]) -> list[int]:
        return store_chunks(own, chunks[:n_chunks], places[:n_chunks])

    monkeypatch.setattr(ahead, "store_chunks", store)


def test_what_is_written_ahead_is_there(tmp_path: Path) -> None:
    path = tmp_path / "ahead.h5"
    with datasets(path) as (space, images):
        places = all_of(space, images, [order(row) for row in range(5)])
        for number, dataset in enumerate(images.values()):
            assert [dataset.has(row) for row in range(6)] == [True] * 5 + [False]
            assert (dataset.n_written, dataset.end_row) == (5, 5)
            for row in range(5):
                assert places[row][number] == (dataset.place(row), N_BYTES)
            dataset.finish(5, fill_gaps=False)
    assert_rows(path, 5)


def assert_rows(path: Path, n_rows: int) -> None:
    with h5py.File(path) as file:
        for number, name in enumerate(CHANNELS):
            for row in range(n_rows):
                assert file[f"{name}/data"][row].tobytes() == bytes(payload(10 * row + number).data)


@pytest.mark.parametrize(
    ("orders", "n_ahead"),
    [
        ([order(0)], 1),
        ([order(0), order(1), order(2)], 3),
        ([order(0), order(2), order(5)], 3),
        ([order(0), order(1), order(1)], 2),
        ([order(3), order(2), order(4)], 1),
        ([order(0), order(1), order(2, ("default",)), order(3)], 2),
        ([order(0), order(1), order(2, default=messages.pixels()), order(3)], 2),
        ([order(0), order(1), order(2, default=packed(np.zeros(SHAPE, np.uint16)))], 2),
    ],
)
def test_only_images_that_need_no_decision_are_ahead(
    tmp_path: Path, orders: list[WriteImage], n_ahead: int
) -> None:
    with datasets(tmp_path / "ahead.h5") as (space, images):
        assert len(all_of(space, images, orders)) == n_ahead
        assert [dataset.n_written for dataset in images.values()] == [n_ahead, n_ahead]


def test_no_image_is_none(tmp_path: Path) -> None:
    with datasets(tmp_path / "ahead.h5") as (space, images):
        assert all_of(space, images, []) == []


def test_rows_before_the_last_image_are_not_written_ahead(tmp_path: Path) -> None:
    with datasets(tmp_path / "ahead.h5") as (space, images):
        for dataset in images.values():
            dataset.write(4, payload(4))
        assert all_of(space, images, [order(2), order(3)]) == []
        assert len(all_of(space, images, [order(5), order(6)])) == 2
        assert all(
            [dataset.has(row) for row in range(4, 8)] == [True] * 3 + [False] for dataset in images.values()
        )


@pytest.mark.parametrize("n_chunks", [0, 1, 2, 3, 8, 15])
def test_what_could_not_be_written_ahead_is_written_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_chunks: int
) -> None:
    path = tmp_path / "ahead.h5"
    looked_again: list[ImageDataset] = []

    def look_again(dataset: ImageDataset) -> None:
        looked_again.append(dataset)

    only(monkeypatch, n_chunks)
    monkeypatch.setattr(ImageDataset, "look_again", look_again)
    with datasets(path) as (space, images):
        orders = [order(row) for row in range(8)]
        assert len(all_of(space, images, orders)) == n_chunks // 2
        assert looked_again == [list(images.values())[n_chunks % 2]]
        for dataset in images.values():
            assert dataset.n_written == n_chunks // 2
        for one in orders[n_chunks // 2 :]:
            for name, dataset in images.items():
                dataset.write(one.row, one.image.channels[name])
        for dataset in images.values():
            dataset.finish(8, fill_gaps=True)
    assert_rows(path, 8)


def test_what_is_not_whole_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ahead.h5"
    only(monkeypatch, 3)
    with datasets(path) as (space, images):
        assert len(all_of(space, images, [order(0), order(1), order(2)])) == 1
        assert all(dataset.cut() == 1 for dataset in images.values())
    with h5py.File(path) as file:
        assert [file[f"{name}/data"].id.get_num_chunks() for name in CHANNELS] == [1, 1]


def test_nothing_is_entered_where_a_dataset_cannot_be_used_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_again(_dataset: ImageDataset) -> None:
        raise StorageError("io_error", "again")

    only(monkeypatch, 5)
    monkeypatch.setattr(ImageDataset, "look_again", look_again)
    with datasets(tmp_path / "ahead.h5") as (space, images):
        with pytest.raises(StorageError, match="again"):
            all_of(space, images, [order(row) for row in range(3)])
        assert [dataset.n_written for dataset in images.values()] == [0, 0]
        assert [dataset.cut() for dataset in images.values()] == [0, 0]


def images_of(n: int) -> list[Any]:
    return [
        messages.image(i, channels={"default": packed(np.full((3, 4), i + 1, "u2"))}, pixel_sum=i)
        for i in range(n)
    ]


@pytest.mark.parametrize("checksum", ["none", "crc32"])
def test_a_run_is_the_same_as_one_by_one(
    make_run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checksum: str
) -> None:
    calls = []

    def counted(space: PixelSpace, images: dict[str, ImageDataset], orders: list[WriteImage]) -> Any:
        for places in write_ahead(space, images, orders):
            calls.append(len(places))
            yield places

    monkeypatch.setattr("jfwriter.hdf5.file_images.write_ahead", counted)
    found = []
    for name, together in (("one", False), ("many", True)):
        run = make_run(file_prefix=name, files={"checksum": checksum}, images_per_file=10)
        images = images_of(10)
        run.write_image(images[0])
        if together:
            run.write_together(images[1:])
        else:
            for image in images[1:]:
                run.write_image(image)
        report = run.finish(10)
        assert report.outcome == "complete"
        with h5py.File(run.root / f"{name}_data_000001.h5") as file:
            content: dict[str, Any] = {}
            file.visititems(lambda path, item, into=content: _note(into, path, item))
            chunks = [file["entry/data/data"].id.read_direct_chunk((row, 0, 0))[1] for row in range(10)]
            found.append((content, chunks))
    assert calls == [1] * 9 + [9]
    assert found[0] == found[1]


def test_images_of_several_files_that_come_by_turns(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    monkeypatch.setattr(Writeback, "wrote", lambda _self, n_bytes: begun.append(n_bytes))
    start = {"number_of_images": 20, "images_per_file": 10}
    run = make_run(source=memoryview(b"\xa0"), **start)
    images = images_of(20)
    run.write_image(images[0])
    run.write_image(images[10])
    run.write_together([images[i] for i in (1, 2, 13, 14, 3, 15, 16)])
    run.write_together([images[i] for i in (4, 5, 6, 7, 8, 9, 11, 12, 17, 18, 19)])
    assert run.finish(20).outcome == "complete"
    n_bytes = 0
    for k in range(2):
        with h5py.File(run.root / f"scan1_data_{k + 1:06d}.h5") as file:
            assert [row[0, 0] for row in file["entry/data/data"][()]] == list(range(10 * k + 1, 10 * k + 11))
            assert file["entry/image/pixel_sum"][()].tolist() == list(range(10 * k, 10 * k + 10))
            chunks = file["entry/data/data"].id
            n_bytes += sum(chunks.get_chunk_info_by_coord((row, 0, 0)).size for row in range(10))
    assert sum(begun) == n_bytes


def _note(content: dict[str, Any], path: str, item: Any) -> None:
    if isinstance(item, h5py.Dataset):
        content[path] = (item.dtype.str, item[()].tobytes() if item.shape else os.fspath(path))


def test_a_call_that_fails_at_once_leaves_all_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with datasets(tmp_path / "ahead.h5") as (space, images):
        only(monkeypatch, 0)
        assert all_of(space, images, [order(0), order(1)]) == []
        for row in range(2):
            for name, dataset in images.items():
                dataset.write(row, order(row).image.channels[name])
        assert all(dataset.n_written == 2 for dataset in images.values())


@pytest.mark.parametrize("n_pixels", [8, 64, 200])
def test_the_journal_knows_where_each_chunk_lies(
    make_run: Callable[..., Run], entered: dict[int, tuple[int, int]], n_pixels: int
) -> None:
    """Of images whose first and last bytes are the same, and that differ in between."""
    start = {"image_size_x": n_pixels, "image_size_y": n_pixels, "images_per_file": 200}
    run = make_run(number_of_images=200, source=memoryview(b"\xa0"), **start)
    images = []
    for i in range(200):
        pixels = np.zeros((n_pixels, n_pixels), np.uint16)
        pixels[n_pixels // 2, n_pixels // 2] = i
        raw = Payload(memoryview(pixels.tobytes()), Codec.NONE, np.dtype("<u2"), pixels.shape)
        images.append(messages.image(i, channels={"default": raw}))
    run.write_image(images[0])
    for first in range(1, 200, 16):
        run.write_together(images[first : first + 16])
    assert run.finish(200).outcome == "complete"
    with h5py.File(run.root / "scan1_data_000001.h5") as file:
        chunks = file["entry/data/data"].id
        places = {row: chunks.get_chunk_info_by_coord((row, 0, 0)) for row in range(200)}
    assert entered == {row: (place.byte_offset, place.size) for row, place in places.items()}
