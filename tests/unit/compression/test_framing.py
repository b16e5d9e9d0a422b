"""The framing check follows the rule of the two filters, and takes what other packages make."""

from __future__ import annotations

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jfwriter.compression import check_framing, compress
from jfwriter.errors import PayloadError
from jfwriter.payload import Codec, Payload
from tests.support.chunks import DTYPES, FLOATS, PACKED, bitshuffle_chunk, is_well_framed, lz4_chunk, payload

IMAGE = np.random.default_rng(3).poisson(2, (37, 43)).astype("<u2")


def passes(chunk: Payload) -> bool:
    try:
        check_framing(chunk)
    except PayloadError:
        return False
    return True


@pytest.mark.parametrize("codec", PACKED)
@pytest.mark.parametrize("dtype", [*DTYPES, *FLOATS], ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 4), (37, 43)])
def test_takes_what_the_filters_make(
    codec: Codec, dtype: np.dtype[np.generic], shape: tuple[int, int]
) -> None:
    image = np.zeros(shape, dtype)
    for block_elements in (0, 8, 104, 4096):
        check_framing(payload(compress(image, codec, block_elements), codec, image))


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        (Codec.BSLZ4, hdf5plugin.Bitshuffle(nelems=0, cname="lz4")),
        (Codec.BSLZ4, hdf5plugin.Bitshuffle(nelems=64, cname="lz4")),
        (Codec.BSZSTD, hdf5plugin.Bitshuffle(nelems=0, cname="zstd", clevel=1)),
        (Codec.LZ4, hdf5plugin.LZ4(nbytes=512)),
    ],
)
def test_takes_what_hdf5plugin_stores(codec: Codec, options: hdf5plugin.Bitshuffle) -> None:
    noise = np.random.default_rng(0).integers(0, 65536, IMAGE.shape, np.uint16)
    for image in (IMAGE, noise):
        with h5py.File("memory.h5", "w", driver="core", backing_store=False) as file:
            dataset = file.create_dataset("data", data=image, chunks=image.shape, **options)
            check_framing(payload(dataset.id.read_direct_chunk((0, 0))[1], codec, image))


@pytest.mark.parametrize("block_elements", [0, 8, 1024])
def test_takes_what_the_bitshuffle_package_makes(block_elements: int) -> None:
    bitshuffle = pytest.importorskip("bitshuffle")
    header = IMAGE.nbytes.to_bytes(8, "big") + (2 * block_elements).to_bytes(4, "big")
    blocks = bitshuffle.compress_lz4(IMAGE, block_elements).tobytes()
    check_framing(payload(header + blocks, Codec.BSLZ4, IMAGE))
    blocks = bitshuffle.compress_zstd(IMAGE, block_elements, 3).tobytes()
    check_framing(payload(header + blocks, Codec.BSZSTD, IMAGE))


def test_takes_plain_pixels_of_the_right_size_only() -> None:
    data = IMAGE.tobytes()
    check_framing(payload(data, Codec.NONE, IMAGE))
    for wrong in (b"", data[:-1], data + b"\0"):
        with pytest.raises(
            PayloadError, match=rf"none image of 37 x 43 uint16: {len(wrong)} bytes; expected 3182"
        ):
            check_framing(payload(wrong, Codec.NONE, IMAGE))


@pytest.mark.parametrize("codec", PACKED)
def test_refuses_every_truncation_and_any_byte_more(codec: Codec) -> None:
    data = compress(IMAGE, codec, 256)
    for n in range(len(data)):
        assert not passes(payload(data[:n], codec, IMAGE))
    assert not passes(payload(data + b"\0", codec, IMAGE))


def test_refuses_the_chunk_that_crashes_readers() -> None:
    header = IMAGE.nbytes.to_bytes(8, "big") + (8192).to_bytes(4, "big")
    for data in (header, header + b"\0"):
        with pytest.raises(PayloadError, match=r"at byte 12 of 1[23] it ends inside a block"):
            check_framing(payload(data, Codec.BSLZ4, IMAGE))


def edited(data: bytes, at: int, value: int, n: int = 4) -> bytes:
    return data[:at] + value.to_bytes(n, "big") + data[at + n :]


@pytest.mark.parametrize(
    ("at", "value", "n", "text"),
    [
        (0, 3180, 8, "header says 3180 bytes unpacked; expected 3182"),
        (0, (1 << 64) - 3182, 8, "header says 18446744073709548434 bytes unpacked"),
        (8, 520, 4, "blocks of 520 bytes; expected 0 or a multiple of 16"),
        (8, 0xFFFFFFF0, 4, "blocks of 4294967280 bytes"),
        (8, 2048, 4, "its last block ends at byte|ends inside a block"),
        (12, 0, 4, "at byte 12 of .* a block of 0 bytes"),
        (12, 531, 4, "at byte 12 of .* a block of 531 bytes"),
        (12, 0xFFFFFFFF, 4, "at byte 12 of .* a block of 4294967295 bytes"),
    ],
)
def test_says_which_length_is_wrong(at: int, value: int, n: int, text: str) -> None:
    data = edited(compress(IMAGE, Codec.BSLZ4, 256), at, value, n)
    with pytest.raises(PayloadError, match=text) as caught:
        check_framing(payload(data, Codec.BSLZ4, IMAGE))
    assert str(caught.value).startswith("bslz4 image of 37 x 43 uint16: ")
    assert caught.value.reason == "bad_payload"


def test_says_what_is_wrong_with_lz4() -> None:
    data = lz4_chunk(IMAGE, 1000)
    with pytest.raises(PayloadError, match="blocks of 0 bytes; expected 1 to"):
        check_framing(payload(edited(data, 8, 0), Codec.LZ4, IMAGE))
    with pytest.raises(PayloadError, match="with 1 bytes left; expected 0"):
        check_framing(payload(data + b"x", Codec.LZ4, IMAGE))


def test_refuses_an_image_without_pixels_and_scattered_bytes() -> None:
    empty = Payload(memoryview(b""), Codec.NONE, np.dtype("<u2"), (0, 5))
    with pytest.raises(PayloadError, match="an image without pixels"):
        check_framing(empty)
    scattered = Payload(memoryview(b"abcd")[::2], Codec.NONE, np.dtype("u1"), (1, 2))
    with pytest.raises(PayloadError, match="no contiguous bytes"):
        check_framing(scattered)


def test_takes_writable_memory_too() -> None:
    data = memoryview(bytearray(compress(IMAGE, Codec.BSLZ4)))
    check_framing(Payload(data, Codec.BSLZ4, IMAGE.dtype, (37, 43)))


@given(data=st.data())
@settings(max_examples=300)
def test_follows_the_rule_on_any_damage(data: st.DataObject) -> None:
    """Bytes replaced, cut out or put in anywhere: the verdict is that of the rule said plainly."""
    codec = data.draw(st.sampled_from(PACKED))
    dtype = data.draw(st.sampled_from([np.dtype("u1"), np.dtype("<u2"), np.dtype("<f4")]))
    image = np.zeros((data.draw(st.integers(1, 5)), data.draw(st.integers(1, 40))), dtype)
    if codec is Codec.LZ4:
        chunk = lz4_chunk(image, data.draw(st.integers(1, 300)))
    else:
        chunk = bitshuffle_chunk(image, data.draw(st.sampled_from([8, 16, 128])))
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(chunk)))
        n = data.draw(st.integers(0, 4))
        chunk = chunk[:at] + data.draw(st.binary(max_size=4)) + chunk[at + n :]
    damaged = payload(chunk, codec, image)
    assert passes(damaged) == is_well_framed(damaged)
