"""Images of any HDF5 file, and of finished runs."""

from __future__ import annotations

from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from jfwriter.compression import decompress
from jfwriter.errors import StorageUnavailable, UsageError
from jfwriter.payload import Codec, Payload
from jfwriter.reader.frames import FrameFile
from jfwriter.reader.images import RunImages
from tests.support.plain_runs import plain_run

IMAGES = np.random.default_rng(1).poisson(3, (5, 40, 60)).astype(np.int32)
WHOLE = (1, 40, 60)

STORED = {
    "bslz4": (Codec.BSLZ4, {"chunks": WHOLE, **hdf5plugin.Bitshuffle(cname="lz4")}),
    "bszstd": (Codec.BSZSTD, {"chunks": WHOLE, **hdf5plugin.Bitshuffle(cname="zstd")}),
    "lz4": (Codec.LZ4, {"chunks": WHOLE, **hdf5plugin.LZ4()}),
    "none": (Codec.NONE, {"chunks": WHOLE}),
    "gzip": (None, {"chunks": WHOLE, "compression": "gzip"}),
    "two filters": (None, {"chunks": WHOLE, "shuffle": True, "compression": "gzip"}),
    "small chunks": (None, {"chunks": (1, 20, 60), **hdf5plugin.Bitshuffle(cname="lz4")}),
    "contiguous": (None, {}),
}


@pytest.mark.parametrize("name", STORED)
def test_images_come_as_arrays_and_as_stored(tmp_path: Path, name: str) -> None:
    codec, how = STORED[name]
    with h5py.File(tmp_path / "x.h5", "x") as file:
        file.create_dataset("/a/frames", data=IMAGES, **how)
    with FrameFile(tmp_path / "x.h5", "/a/frames") as frames:
        assert (frames.n_frames, frames.shape, frames.dtype) == (5, (40, 60), np.dtype(np.int32))
        assert frames.codec is codec
        np.testing.assert_array_equal(frames.pixels(3), IMAGES[3])
        if codec is not None:
            chunk = Payload(memoryview(frames.chunk(3)), codec, frames.dtype, frames.shape)
            np.testing.assert_array_equal(decompress(chunk), IMAGES[3])


def test_one_image_and_foreign_byte_order(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "x") as file:
        file["one"] = IMAGES[0].astype(">u2")
        file.create_dataset("big", data=IMAGES.astype(">i4"), chunks=WHOLE)
    with FrameFile(tmp_path / "x.h5", "one") as frames:
        assert (frames.n_frames, frames.codec) == (1, None)
        assert frames.pixels(0).dtype == np.dtype("u2")
        np.testing.assert_array_equal(frames.pixels(0), IMAGES[0])
    with FrameFile(tmp_path / "x.h5", "big") as frames:
        assert frames.codec is None
        np.testing.assert_array_equal(frames.pixels(4), IMAGES[4])


def test_what_is_no_stack_of_images_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "x") as file:
        file["vector"] = np.arange(3)
        file["text"] = "hello"
        file["empty"] = np.zeros((0, 3, 3))
        file["complex"] = np.zeros((2, 3, 3), complex)
        file["group/x"] = 1
    for name in ("vector", "text", "empty", "complex", "group", "absent", ""):
        with pytest.raises(UsageError, match=f"x.h5:{name}"):
            FrameFile(tmp_path / "x.h5", name)
    with pytest.raises(StorageUnavailable, match=r"y\.h5"):
        FrameFile(tmp_path / "y.h5", "frames")


def test_chunks_that_are_not_there_or_not_filtered_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "x") as file:
        dataset = file.create_dataset(
            "frames", (3, 40, 60), np.int32, chunks=WHOLE, **hdf5plugin.Bitshuffle(cname="lz4")
        )
        dataset.id.write_direct_chunk((1, 0, 0), IMAGES[1].tobytes(), filter_mask=1)
    with FrameFile(tmp_path / "x.h5", "frames") as frames:
        np.testing.assert_array_equal(frames.pixels(1), IMAGES[1])
        for number in (0, 1, 7):
            with pytest.raises(StorageUnavailable, match=f"image {number}"):
                frames.chunk(number)
        with pytest.raises(StorageUnavailable, match="image 7"):
            frames.pixels(7)


@pytest.mark.parametrize("layout", ["NXmxLegacy", "NXmxVDS", "NXmxIntegrated"])
def test_a_run_is_read_through_its_master(tmp_path: Path, layout: str) -> None:
    with RunImages(plain_run(tmp_path, layout, IMAGES, 2)) as images:
        assert len(images) == 5
        for number in (4, 0, 2, 1, 3):
            np.testing.assert_array_equal(images.image(number), IMAGES[number])
        for number in (-1, 5):
            with pytest.raises(StorageUnavailable, match="5 images"):
                images.image(number)


def test_a_run_with_an_absent_file_is_refused(tmp_path: Path) -> None:
    master = plain_run(tmp_path, "NXmxLegacy", IMAGES, 2)
    (tmp_path / "run_data_000001.h5").unlink()
    with pytest.raises(StorageUnavailable, match="run_master"):
        RunImages(master)
    with pytest.raises(StorageUnavailable, match=r"nothing\.h5"):
        RunImages(tmp_path / "nothing.h5")
