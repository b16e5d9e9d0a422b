"""Unpacking: the meaning of every byte of the formats, and nothing touched outside on hostile ones."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import h5py
import hdf5plugin
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jfwriter.compression import _zstd, check_framing, compress, decompress
from jfwriter.errors import PayloadError
from jfwriter.payload import Codec, Payload
from tests.support.chunks import (
    DTYPES,
    FLOATS,
    PACKED,
    Sequence_,
    bitshuffle_chunk,
    lz4_block,
    lz4_chunk,
    payload,
    unpacked,
)

Pixels = npt.NDArray[np.generic]


def same(left: Pixels, right: Pixels) -> bool:
    """Equal in every bit, whatever the byte order; NaN included."""
    native = right.dtype.newbyteorder("=")
    return left.dtype == native and left.tobytes() == right.astype(native).tobytes()


@given(
    array=st.sampled_from([*DTYPES, *FLOATS]).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=2, max_dims=2, max_side=70))
    ),
    codec=st.sampled_from(list(Codec)),
    block_elements=st.sampled_from([0, 8, 64, 136, 4096]),
)
@settings(max_examples=200)
def test_decompress_undoes_compress(array: Pixels, codec: Codec, block_elements: int) -> None:
    assert same(decompress(payload(compress(array, codec, block_elements), codec, array)), array)


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", "<u4", ">f4", "<u8", ">f8"])
def test_large_images(codec: Codec, dtype: str) -> None:
    rng = np.random.default_rng(7)
    image = (rng.poisson(3, (301, 411)) * (rng.random((301, 411)) < 0.3)).astype(dtype)
    image[100:150] = rng.integers(0, 120, (50, 411)).astype(dtype)
    assert same(decompress(payload(compress(image, codec), codec, image)), image)


@pytest.mark.parametrize("item_bytes", [1, 2, 4])
@pytest.mark.parametrize("n", [1, 7, 8, 9, 248, 256, 264, 512, 520, 1000, 5000])
@pytest.mark.parametrize("block_elements", [8, 256, 264, 4096])
def test_bit_planes_follow_their_description(item_bytes: int, n: int, block_elements: int) -> None:
    image = np.random.default_rng(n).integers(0, 1 << 8 * item_bytes, (1, n), dtype=f"u{item_bytes}")
    assert same(decompress(payload(bitshuffle_chunk(image, block_elements), Codec.BSLZ4, image)), image)


def test_a_block_size_of_zero_means_the_default() -> None:
    for item_bytes, elements in ((1, 8192), (2, 4096), (4, 2048)):
        image = np.arange(10_000, dtype=f"u{item_bytes}" if item_bytes > 1 else "u2").astype(f"u{item_bytes}")
        image = image.reshape(100, 100)
        chunk = bitshuffle_chunk(image, elements, header_block_bytes=0)
        assert same(decompress(payload(chunk, Codec.BSLZ4, image)), image)


@st.composite
def sequences(draw: st.DrawFn) -> list[Sequence_]:
    """Sequences of one LZ4 block: all distances, with a preference for those that overlap."""
    chosen: list[Sequence_] = []
    n = 0
    for _ in range(draw(st.integers(0, 12))):
        literals = draw(st.binary(min_size=0 if n else 1, max_size=40))
        n += len(literals)
        distance = draw(st.integers(1, min(n, 40)) | st.integers(1, min(n, 65535)))
        length = draw(st.integers(4, 40) | st.integers(4, 600))
        chosen.append((literals, distance, length))
        n += length
    return [*chosen, (draw(st.binary(min_size=0 if n else 1, max_size=40)), 0, 0)]


@given(first=sequences(), second=sequences())
@settings(max_examples=250)
def test_lz4_blocks_follow_their_description(first: list[Sequence_], second: list[Sequence_]) -> None:
    """Two blocks in one chunk, so that the first has room behind it and the second has none."""
    images = [unpacked(first), unpacked(second)]
    n = max(len(image) for image in images)
    blocks = [lz4_block([*chosen[:-1], (chosen[-1][0] + bytes(n - len(image)), 0, 0)])
              for chosen, image in zip((first, second), images, strict=True)]  # fmt: skip
    data = b"".join(image.ljust(n, b"\0") for image in images)
    array = np.frombuffer(data, np.uint8).reshape(2, n)
    packer = iter(blocks)
    chunk = lz4_chunk(array, n, lambda _: next(packer))
    # A block as long as its content would count as stored.
    if all(len(block) != n for block in blocks):
        assert same(decompress(payload(chunk, Codec.LZ4, array)), array)


def test_other_packages_read_ours_and_we_theirs() -> None:
    bitshuffle = pytest.importorskip("bitshuffle")
    image = np.random.default_rng(5).poisson(1, (97, 101)).astype("<i4")
    for codec, unpack, pack in (
        (Codec.BSLZ4, bitshuffle.decompress_lz4, bitshuffle.compress_lz4),
        (Codec.BSZSTD, bitshuffle.decompress_zstd, bitshuffle.compress_zstd),
    ):
        ours = np.frombuffer(compress(image, codec, 512), np.uint8)
        assert (unpack(ours[12:], image.shape, image.dtype, 512) == image).all()
        theirs = ours[:12].tobytes() + pack(image, 512).tobytes()
        assert same(decompress(payload(theirs, codec, image)), image)


def test_the_sender_s_own_library_reads_ours() -> None:
    dectris = pytest.importorskip("dectris.compression")
    image = np.random.default_rng(5).poisson(1, (97, 101)).astype("<u4")
    for codec in (Codec.BSLZ4, Codec.LZ4):
        assert dectris.decompress(compress(image, codec), str(codec), elem_size=4) == image.tobytes()


def test_fills_the_array_it_is_given() -> None:
    image = np.random.default_rng(5).poisson(1, (20, 30)).astype(">u2")
    out = np.empty((20, 30), np.uint16)
    for codec in Codec:
        out.fill(9)
        assert decompress(payload(compress(image, codec), codec, image), out) is out
        assert (out == image).all()


@pytest.mark.parametrize(
    "out",
    [
        np.empty((30, 20), "u2"),
        np.empty((20, 30), ">u2"),
        np.empty((20, 30), "i2"),
        np.empty((20, 60), "u2")[:, ::2],
        np.frombuffer(bytes(1200), "u2").reshape(20, 30),
    ],
    ids=["shape", "byte order", "type", "strides", "read-only"],
)
def test_refuses_an_array_that_does_not_fit(out: Pixels) -> None:
    image = np.zeros((20, 30), "<u2")
    with pytest.raises(ValueError, match=r"out: .*expected C-contiguous, writable uint16"):
        decompress(payload(compress(image, Codec.BSLZ4), Codec.BSLZ4, image), out)


def test_refuses_what_cannot_be_packed() -> None:
    with pytest.raises(ValueError, match="block_elements: 12; expected 0 or a multiple of 8"):
        compress(np.zeros((2, 2), "u1"), Codec.BSLZ4, 12)
    for array in (np.zeros(5, "u1"), np.zeros((0, 5), "u1")):
        with pytest.raises(ValueError, match=r"array: shape .*; expected \[y, x\]"):
            compress(array, Codec.BSLZ4)


@pytest.mark.parametrize(
    "block",
    [
        b"\x00",
        b"\x10",
        b"\xf0",
        b"\xf0\xff\xff",
        b"\x1f\x07\x00\x00",
        b"\x1f\x07\x02\x00\x00",
        lz4_block([(b"a", 1, 63), (b"", 0, 0)]) + b"\x00",
        lz4_block([(b"a", 1, 64), (b"", 0, 0)]),
        lz4_block([(b"a", 1, 62), (b"", 0, 0)]),
        lz4_block([(bytes(65), 0, 0)]),
        lz4_block([(bytes(20), 21, 30), (bytes(14), 0, 0)]),
        lz4_block([(bytes(20), 0, 30), (bytes(14), 0, 0)]),
        b"\x1f\x00\x01\x00" + b"\xff" * 20,
    ],
)
def test_refuses_a_block_that_does_not_unpack_to_its_size(block: bytes) -> None:
    image = np.zeros((8, 8), "u1")
    for chunk in (bitshuffle_chunk(image, 64, lambda _: block), lz4_chunk(image, 64, lambda _: block)):
        for codec in (Codec.BSLZ4, Codec.LZ4):
            bad = payload(chunk, codec, image)
            check_framing(bad)
            with pytest.raises(PayloadError, match=r"the block at byte 12 of .* does not unpack") as caught:
                decompress(bad)
            assert caught.value.reason == "bad_payload"


def test_a_match_never_reaches_into_the_block_before() -> None:
    image = np.zeros((2, 64), "u1")
    blocks = iter([lz4_block([(b"a", 1, 60), (b"bcd", 0, 0)]), lz4_block([(b"a", 2, 60), (b"bcd", 0, 0)])])
    chunk = lz4_chunk(image, 64, lambda _: next(blocks))
    with pytest.raises(PayloadError, match="does not unpack"):
        decompress(payload(chunk, Codec.LZ4, image))


@pytest.fixture
def guarded() -> Iterator[Callable[[int], npt.NDArray[np.uint8]]]:
    """Makes arrays of n bytes whose end is the end of the memory that may be touched: one more is a crash."""
    libc = ctypes.CDLL(None, use_errno=True)
    held: list[tuple[mmap.mmap, int]] = []

    def make(n: int) -> npt.NDArray[np.uint8]:
        n_pages = -(-n // mmap.PAGESIZE)
        area = mmap.mmap(-1, (n_pages + 1) * mmap.PAGESIZE)
        array = np.frombuffer(area, np.uint8)
        fence = array.ctypes.data + n_pages * mmap.PAGESIZE
        assert libc.mprotect(ctypes.c_void_p(fence), mmap.PAGESIZE, 0) == 0
        held.append((area, fence))
        return array[n_pages * mmap.PAGESIZE - n : n_pages * mmap.PAGESIZE]

    yield make
    for _, fence in held:
        libc.mprotect(ctypes.c_void_p(fence), mmap.PAGESIZE, 3)


@pytest.mark.parametrize("codec", PACKED)
@pytest.mark.parametrize("dtype", ["u1", "<i2", "<u4"])
def test_touches_nothing_outside_whatever_is_flipped(
    codec: Codec, dtype: str, guarded: Callable[[int], npt.NDArray[np.uint8]]
) -> None:
    rng = np.random.default_rng(11)
    image = rng.poisson(0.3, (23, 29)).astype(dtype)
    packed = np.frombuffer(compress(image, codec, 128), np.uint8)
    source, out = guarded(packed.size), guarded(image.nbytes).view(dtype).reshape(image.shape)
    damaged = Payload(memoryview(source), codec, image.dtype, (23, 29))
    source[:] = packed
    assert same(decompress(damaged, out), image)
    n_unpacked = n_refused = 0
    for _ in range(1500):
        source[:] = packed
        for at in rng.integers(12, packed.size, rng.integers(1, 4)):
            source[at] = rng.choice([source[at] ^ (1 << rng.integers(8)), 0, 255])
        try:
            decompress(damaged, out)
            n_unpacked += 1
        except PayloadError:
            n_refused += 1
    assert n_refused > 0
    assert codec is Codec.BSZSTD or n_unpacked > 0


def test_threads_do_not_share_anything() -> None:
    images = [np.random.default_rng(i).poisson(1, (256, 256)).astype("<u2") for i in range(4)]
    chunks = [payload(compress(image, codec), codec, image) for image in images for codec in PACKED]

    def work(chunk: Payload) -> list[Pixels]:
        return [decompress(chunk) for _ in range(10)]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(work, chunks))
        packed = list(pool.map(lambda i: compress(images[i % 4], Codec.BSLZ4), range(40)))
    for i, result in enumerate(results):
        assert all(same(pixels, images[i // len(PACKED)]) for pixels in result)
    assert packed == [bytes(chunks[len(PACKED) * (i % 4)].data) for i in range(40)]


def test_bszstd_without_the_filter_s_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where hdf5plugin does not show libzstd's functions, HDF5 unpacks."""
    monkeypatch.setattr(_zstd, "decoder", lambda: None)
    image = np.random.default_rng(5).poisson(1, (97, 101)).astype(">i4")
    packed = compress(image, Codec.BSZSTD)
    assert same(decompress(payload(packed, Codec.BSZSTD, image)), image)
    broken = bitshuffle_chunk(image, 2048, lambda part: b"\xff" * len(part))
    with pytest.raises(PayloadError, match="does not unpack"):
        decompress(payload(broken, Codec.BSZSTD, image))


def test_the_decoder_is_searched_where_the_filter_is(monkeypatch: pytest.MonkeyPatch) -> None:
    config = hdf5plugin.get_config()
    _zstd.decoder.cache_clear()
    monkeypatch.setattr(hdf5plugin, "get_config", lambda: config._replace(registered_filters={}))
    try:
        assert _zstd.decoder() is None
    finally:
        _zstd.decoder.cache_clear()


def test_hdf5_reads_what_we_pack_down_to_one_pixel() -> None:
    image = np.array([[5]], "u1")
    chunk = compress(image, Codec.BSLZ4)
    assert len(chunk) == 13
    with h5py.File("memory.h5", "w", driver="core", backing_store=False) as file:
        dataset = file.create_dataset("data", (1, 1), "u1", chunks=(1, 1), **hdf5plugin.Bitshuffle())
        dataset.id.write_direct_chunk((0, 0), chunk)
        assert dataset[0, 0] == 5
