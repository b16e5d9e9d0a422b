from __future__ import annotations

import dataclasses

import h5py
import numpy as np
import pytest

from jfwriter.nexus import packed
from jfwriter.payload import Codec, Payload
from tests.support import payloads

PIXELS = np.arange(24 * 40).reshape(24, 40)
SHAPE = PIXELS.shape


def raw_chunk(dataset: h5py.Dataset) -> bytes:
    return bytes(dataset.id.read_direct_chunk((0, 0))[1])


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("dtype", ["<u4", ">u4", "<i2", "u1", "<u8"])
def test_unpacked_as_the_wanted_type(codec: Codec, dtype: str, warnings: list[str]) -> None:
    pixels = (PIXELS % 100).astype(dtype)
    image = packed.unpacked(payloads.packed(pixels, codec), "mask", SHAPE, "u4", warnings)
    assert image is not None
    assert image.dtype == np.dtype("u4")
    np.testing.assert_array_equal(image, pixels)
    assert warnings == []


@pytest.mark.parametrize(
    "payload",
    [payloads.packed(PIXELS.T.astype("u4")), payloads.packed(PIXELS.astype("f4")), payloads.broken(SHAPE)],
    ids=["shape", "type", "broken"],
)
def test_a_bad_image_is_left_out(file: h5py.File, warnings: list[str], payload: Payload) -> None:
    assert packed.unpacked(payload, "mask", SHAPE, "u4", warnings) is None
    packed.store(file, "map", payload, "map", warnings, shape=SHAPE, dtype="u4")
    assert list(file) == []
    assert [warning.split(":")[0] for warning in warnings] == ["mask", "map"]


def test_a_block_that_does_not_unpack_is_left_out(warnings: list[str]) -> None:
    whole = payloads.packed(np.random.default_rng(1).integers(0, 2**31, (64, 64), "u4"))
    data = bytearray(whole.data)
    data[16:200] = bytes([255]) * 184
    payload = dataclasses.replace(whole, data=memoryview(bytes(data)))
    assert packed.unpacked(payload, "mask", (64, 64), "u4", warnings) is None
    assert len(warnings) == 1


@pytest.mark.parametrize("codec", [Codec.BSLZ4, Codec.BSZSTD, Codec.LZ4])
def test_packed_bytes_are_stored_as_they_came(file: h5py.File, warnings: list[str], codec: Codec) -> None:
    payload = payloads.packed(PIXELS.astype("<u2"), codec)
    packed.store(file, "pedestal", payload, "pedestal", warnings)
    assert raw_chunk(file["pedestal"]) == bytes(payload.data)
    assert file["pedestal"].chunks == SHAPE
    np.testing.assert_array_equal(file["pedestal"], PIXELS)
    assert warnings == []


@pytest.mark.parametrize(
    ("pixels", "codec", "dtype"),
    [
        (PIXELS.astype("<u2"), Codec.NONE, None),
        (PIXELS.astype(">u2"), Codec.BSLZ4, None),
        (PIXELS.astype("<i8"), Codec.BSLZ4, "u4"),
        (PIXELS.astype("<f4"), Codec.NONE, None),
    ],
)
def test_what_cannot_stand_as_it_came_is_packed_anew(
    file: h5py.File, warnings: list[str], pixels: np.ndarray, codec: Codec, dtype: str | None
) -> None:
    packed.store(file, "map", payloads.packed(pixels, codec), "map", warnings, shape=SHAPE, dtype=dtype)
    stored = file["map"]
    creation = stored.id.get_create_plist()
    assert stored.dtype == np.dtype(dtype or pixels.dtype.newbyteorder("<"))
    assert creation.get_nfilters() == 1
    assert creation.get_filter(0)[0] == 32008
    np.testing.assert_array_equal(stored, pixels)
    assert warnings == []
