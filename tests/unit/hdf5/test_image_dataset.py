"""Image datasets hold what was sent, gaps say so, and every reader gets one codec and exact rows."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jfwriter.compression import compress
from jfwriter.errors import PayloadError, StorageError
from jfwriter.hdf5.image_dataset import STEP_ROWS, ImageDataset, ImageFormat, Scratch, fill_chunk
from jfwriter.payload import Codec, Payload
from tests.support.chunks import PACKED, bitshuffle_chunk, lz4_chunk, payload

Pixels = npt.NDArray[np.generic]
DTYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "f4")
FILL = {"i1": -128, "u1": 255, "i2": -32768, "u2": 65535, "i4": -(2**31), "u4": 2**32 - 1, "f4": np.nan}


@pytest.fixture
def file() -> Iterator[h5py.File]:
    with memory_file() as opened:
        yield opened


def memory_file() -> h5py.File:
    return h5py.File("memory.h5", "w", driver="core", backing_store=False, libver=("earliest", "v108"))


def picture(dtype: str = "i2", seed: int = 0, shape: tuple[int, int] = (13, 17)) -> Pixels:
    return np.random.default_rng(seed).poisson(3, shape).astype(dtype)


def packed(image: Pixels, codec: Codec = Codec.BSLZ4, block_elements: int = 0) -> Payload:
    return payload(compress(image, codec, block_elements), codec, image)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("codec", "filter_id", "options"),
    [
        (Codec.BSLZ4, 32008, lambda size: (64, 2)),
        (Codec.BSZSTD, 32008, lambda size: (64, 3, 3)),
        (Codec.LZ4, 32004, lambda size: (64 * size,)),
        (Codec.NONE, None, None),
    ],
)
def test_is_created_for_its_first_image(  # type: ignore[no-untyped-def]
    file: h5py.File, dtype: str, codec: Codec, filter_id: int | None, options
) -> None:
    first = packed(picture(dtype).astype(np.dtype(dtype).newbyteorder(">")), codec, 64)
    ImageDataset(file, "data", ImageFormat.of(first)).close()
    dataset = file["data"]
    creation = dataset.id.get_create_plist()
    assert dataset.dtype == np.dtype(dtype).newbyteorder("<")
    assert (dataset.shape, dataset.maxshape, dataset.chunks) == ((0, 13, 17), (None, 13, 17), (1, 13, 17))
    np.testing.assert_equal(dataset.fillvalue, np.dtype(dtype).type(FILL[dtype]))
    assert creation.get_fill_time() == h5py.h5d.FILL_TIME_IFSET
    assert creation.get_alloc_time() == h5py.h5d.ALLOC_TIME_INCR
    if filter_id is None:
        assert creation.get_nfilters() == 0
        return
    assert creation.get_nfilters() == 1
    number, flags, values, _ = creation.get_filter(0)
    size = np.dtype(dtype).itemsize
    assert (number, flags) == (filter_id, h5py.h5z.FLAG_MANDATORY)
    assert values[-len(options(size)) :] == options(size)
    assert len(values) == {Codec.BSLZ4: 5, Codec.BSZSTD: 6, Codec.LZ4: 1}[codec]
    if codec is not Codec.LZ4:
        assert values[2] == size


@pytest.mark.parametrize("codec", Codec)
def test_bytes_go_to_the_file_as_they_came(file: h5py.File, codec: Codec) -> None:
    payloads = [packed(picture(seed=row), codec, 8 * (row + 1)) for row in range(4)]
    images = ImageDataset(file, "data", ImageFormat.of(payloads[0]))
    assert [images.write(row, payloads[row]) for row in (2, 0, 3, 1)] == [
        len(payloads[row].data) for row in (2, 0, 3, 1)
    ]
    images.finish(4, fill_gaps=True)
    images.close()
    for row in range(4):
        mask, chunk = file["data"].id.read_direct_chunk((row, 0, 0))
        assert (mask, chunk) == (0, bytes(payloads[row].data))
        assert (file["data"][row] == picture(seed=row)).all()


@pytest.mark.parametrize("first", Codec)
@pytest.mark.parametrize("later", Codec)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "f4"])
def test_another_packing_is_packed_anew(
    file: h5py.File, first: Codec, later: Codec, order: str, dtype: str
) -> None:
    images = ImageDataset(file, "data", ImageFormat.of(packed(picture(dtype), first, 24)))
    images.write(0, packed(picture(dtype), first, 24))
    other = picture(dtype, seed=1).astype(np.dtype(dtype).newbyteorder(order))
    images.write(1, packed(other, later))
    images.finish(2, fill_gaps=True)
    images.close()
    dataset = file["data"]
    assert (dataset[0] == picture(dtype)).all()
    assert (dataset[1] == other).all()
    mask, chunk = dataset.id.read_direct_chunk((1, 0, 0))
    assert mask == 0
    if first is Codec.NONE:
        assert chunk == other.astype(dtype).tobytes()
    elif first is not Codec.LZ4:
        block_bytes = 24 * np.dtype(dtype).itemsize if (first, dtype) != (later, other.dtype) else 0
        assert int.from_bytes(chunk[8:12], "big") in {block_bytes, *_own_block(other, later)}


def _own_block(image: Pixels, codec: Codec) -> tuple[int, ...]:
    return (int.from_bytes(compress(image, codec)[8:12], "big"),)


def test_plain_pixels_are_packed_if_asked_for(file: h5py.File) -> None:
    first = packed(picture(), Codec.NONE)
    images = ImageDataset(file, "data", ImageFormat.of(first, Codec.BSLZ4), scratch=Scratch())
    n_bytes = images.write(0, first)
    images.write(1, packed(picture(seed=1)))
    images.finish(2, fill_gaps=True)
    images.close()
    assert n_bytes == len(compress(picture(), Codec.BSLZ4)) < 2 * 13 * 17
    assert (file["data"][0] == picture()).all()
    assert (file["data"][1] == picture(seed=1)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("codec", Codec)
def test_a_gap_holds_fill_values(file: h5py.File, dtype: str, codec: Codec) -> None:
    images = ImageDataset(file, "data", ImageFormat.of(packed(picture(dtype), codec)))
    images.write(1, packed(picture(dtype), codec))
    chunk = fill_chunk(images.format)
    assert images.finish(4, fill_gaps=True) == 3 * len(chunk)
    images.close()
    dataset = file["data"]
    assert dataset.shape == (4, 13, 17)
    assert dataset.id.get_num_chunks() == 4
    for row in (0, 2, 3):
        assert dataset.id.read_direct_chunk((row, 0, 0)) == (0, bytes(chunk))
        np.testing.assert_array_equal(dataset[row], np.full((13, 17), FILL[dtype], dtype))
    assert (dataset[1] == picture(dtype)).all()


def test_gaps_can_stay_absent_chunks(file: h5py.File) -> None:
    images = ImageDataset(file, "data", ImageFormat.of(packed(picture())))
    images.write(2, packed(picture()))
    assert images.finish(5, fill_gaps=False) == 0
    images.close()
    assert file["data"].id.get_num_chunks() == 1
    assert (file["data"][4] == -32768).all()


def test_a_file_without_any_image(file: h5py.File) -> None:
    image_format = ImageFormat.of(packed(picture("u2")))
    images = ImageDataset(file, "data", image_format)
    assert images.finish(3, fill_gaps=True, first_image_nr=41) == 3 * len(fill_chunk(image_format))
    images.close()
    assert (file["data"][:] == 65535).all()
    assert dict(file["data"].attrs) == {"image_nr_low": 41, "image_nr_high": 43}


def test_numbers_of_images_are_32_bit_scalars(file: h5py.File) -> None:
    images = ImageDataset(file, "data", ImageFormat.of(packed(picture())))
    images.finish(2, fill_gaps=False, first_image_nr=(1 << 31) - 1)
    images.close()
    for name in ("image_nr_low", "image_nr_high"):
        attribute = file["data"].attrs.get_id(name)
        assert (attribute.dtype, attribute.shape) == (np.dtype("<i4"), ())
        assert file["data"].attrs[name] == 2**31 - 1


def test_grows_in_steps_to_any_row(file: h5py.File) -> None:
    images = ImageDataset(file, "data", ImageFormat.of(packed(picture())))
    for row in (0, STEP_ROWS - 1, STEP_ROWS, 10 * STEP_ROWS + 5):
        images.write(row, packed(picture()))
    assert file["data"].shape[0] == 11 * STEP_ROWS
    assert (images.n_written, images.end_row) == (4, 10 * STEP_ROWS + 6)
    images.finish(images.end_row, fill_gaps=False)
    assert file["data"].shape[0] == 10 * STEP_ROWS + 6


def test_refuses_what_does_not_belong_here(file: h5py.File) -> None:
    images = ImageDataset(file, "data", ImageFormat.of(packed(picture())))
    with pytest.raises(PayloadError, match=r"/data: an image of \(17, 13\); expected \(13, 17\)") as caught:
        images.write(0, packed(picture(shape=(17, 13))))
    assert caught.value.reason == "wrong_shape"
    with pytest.raises(PayloadError, match="/data: an image of uint16; expected int16") as caught:
        images.write(0, packed(picture("u2")))
    assert caught.value.reason == "wrong_dtype"
    damaged = payload(lz4_chunk(picture(), 442, lambda part: b"\xff" * 20), Codec.LZ4, picture())
    with pytest.raises(PayloadError, match="does not unpack") as caught:
        images.write(0, damaged)
    assert caught.value.reason == "bad_payload"
    assert (images.n_written, images.end_row, images.has(0)) == (0, 0, False)


def test_an_image_that_hdf5_cannot_store(file: h5py.File) -> None:
    image_format = ImageFormat((70_000, 70_000), np.dtype("u1"), Codec.NONE, None)
    with pytest.raises(StorageError, match="images of 4900000000 bytes; HDF5 stores 1 to 4294967295"):
        ImageDataset(file, "data", image_format)


@pytest.mark.parametrize("codec", [Codec.BSLZ4, Codec.BSZSTD])
def test_an_absurd_block_size_costs_nothing(file: h5py.File, codec: Codec) -> None:
    """A block larger than the image is allowed by the framing; packing anew keeps it out of allocations."""
    block_elements = 0x7E000000 // 2 // 8 * 8
    first = packed(picture(), codec)
    header = first.data[:8].tobytes() + (2 * block_elements).to_bytes(4, "big")
    first = payload(header + first.data[12:].tobytes(), codec, picture())
    images = ImageDataset(file, "data", ImageFormat.of(first))
    images.write(0, first)
    images.write(1, packed(picture(seed=1), Codec.LZ4))
    images.finish(3, fill_gaps=True)
    images.close()
    assert (file["data"][0] == picture()).all()
    assert (file["data"][1] == picture(seed=1)).all()
    assert (file["data"][2] == -32768).all()


def test_an_image_taken_back_is_a_gap(file: h5py.File) -> None:
    images = ImageDataset(file, "data", ImageFormat.of(packed(picture())))
    for row in (0, 3, 200_000):
        images.write(row, packed(picture()))
    images.erase(200_000)
    assert (images.n_written, images.end_row) == (2, 4)
    images.erase(0)
    assert (images.n_written, images.end_row) == (1, 4)
    images.erase(3)
    assert (images.n_written, images.end_row) == (0, 0)
    images.finish(4, fill_gaps=False)
    assert (file["data"][:] == -32768).all()


@contextmanager
def full_disk(n_bytes: int) -> Iterator[None]:
    """No file may grow beyond `n_bytes`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.BSLZ4])
@pytest.mark.parametrize("libver", ["v108", "v110"])
@pytest.mark.parametrize("n_good", [0, 1, 3])
@pytest.mark.parametrize("n_failed", [1, 2])
def test_a_row_that_could_not_be_written_is_cut(
    tmp_path: Path, codec: Codec, libver: str, n_good: int, n_failed: int
) -> None:
    image = np.random.default_rng(0).integers(0, 1 << 32, (100, 100), "u4")
    sent = packed(image, codec)
    with h5py.File(tmp_path / "data.h5", "x", libver=("earliest", libver)) as file:
        images = ImageDataset(file, "data", ImageFormat.of(sent))
        file.flush()
        with full_disk(file.id.get_filesize() + n_good * len(sent.data) + len(sent.data) // 2):
            for row in range(n_good):
                images.write(row, sent)
            for row in range(n_good, n_good + n_failed):
                with pytest.raises(StorageError, match=f"write row {row} of /data: File too large") as caught:
                    images.write(row, sent)
                assert caught.value.reason == "file_too_large"
                assert caught.value.__context__ is None
            assert (images.n_written, images.has(n_good)) == (n_good, False)
            assert images.cut() == n_good
        images.close()
    with h5py.File(tmp_path / "data.h5") as file:
        assert file["data"].shape == (n_good, 100, 100)
        assert file["data"].id.get_num_chunks() == n_good
        assert all((file["data"][row] == image).all() for row in range(n_good))


def test_a_second_attempt_stores_the_image(tmp_path: Path) -> None:
    sent = packed(picture("u4", shape=(100, 100)), Codec.NONE)
    with h5py.File(tmp_path / "data.h5", "x") as file:
        images = ImageDataset(file, "data", ImageFormat.of(sent))
        images.write(0, sent)
        with full_disk(60_000), pytest.raises(StorageError):
            images.write(1, sent)
        images.write(1, sent)
        images.finish(2, fill_gaps=True)
        images.close()
    with h5py.File(tmp_path / "data.h5") as file:
        assert (file["data"][1] == picture("u4", shape=(100, 100))).all()


def test_a_closed_file_is_a_storage_error() -> None:
    with memory_file() as file:
        images = ImageDataset(file, "data", ImageFormat.of(packed(picture())))
    for call in (
        lambda: images.write(0, packed(picture())),
        lambda: images.finish(3, fill_gaps=True),
        images.cut,
    ):
        with pytest.raises(StorageError) as caught:
            call()
        assert caught.value.reason == "io_error"
        assert caught.value.__context__ is None


@given(
    steps=st.lists(st.tuples(st.sampled_from(["write", "write", "erase"]), st.integers(0, 12)), max_size=30),
    more=st.integers(0, 3),
    fill_gaps=st.booleans(),
    codec=st.sampled_from([*PACKED, Codec.NONE]),
)
@settings(max_examples=100)
def test_any_order_of_rows(steps: list[tuple[str, int]], more: int, fill_gaps: bool, codec: Codec) -> None:
    """Against a dictionary: what was written last stands there, everything else is the fill value."""
    expected: dict[int, Pixels] = {}
    with memory_file() as file:
        images = ImageDataset(file, "data", ImageFormat.of(packed(picture(), codec)))
        for number, (what, row) in enumerate(steps):
            if what == "write":
                expected[row] = picture(seed=number)
                images.write(row, packed(expected[row], codec))
            elif row in expected:
                images.erase(row)
                del expected[row]
            assert images.n_written == len(expected)
            assert images.end_row == max(expected, default=-1) + 1
            assert [row for row in range(14) if images.has(row)] == sorted(expected)
        n_rows = images.end_row + more
        images.finish(n_rows, fill_gaps=fill_gaps)
        images.close()
        dataset = file["data"]
        assert dataset.shape == (n_rows, 13, 17)
        assert not fill_gaps or dataset.id.get_num_chunks() == n_rows
        for row in range(n_rows):
            np.testing.assert_array_equal(dataset[row], expected.get(row, np.full((13, 17), -32768)))


def test_block_sizes_may_differ_from_chunk_to_chunk(file: h5py.File) -> None:
    """The filter reads the block size from the chunk; the dataset's option says what the first one had."""
    images = ImageDataset(file, "data", ImageFormat.of(packed(picture())))
    for row, block_elements in enumerate((8, 64, 4096)):
        chunk = bitshuffle_chunk(picture(seed=row), block_elements)
        assert images.write(row, payload(chunk, Codec.BSLZ4, picture())) == len(chunk)
    images.finish(3, fill_gaps=True)
    for row in range(3):
        assert (file["data"][row] == picture(seed=row)).all()
