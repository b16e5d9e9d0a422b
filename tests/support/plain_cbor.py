"""Messages as others read them: plain cbor2, tags by hand, pixels through HDF5's own filters."""

from __future__ import annotations

import io
from typing import Any

import cbor2
import h5py
import hdf5plugin
import numpy as np

DTYPES = {
    64: "u1", 65: ">u2", 66: ">u4", 67: ">u8", 69: "<u2", 70: "<u4", 71: "<u8", 72: "i1", 73: ">i2",
    74: ">i4", 75: ">i8", 77: "<i2", 78: "<i4", 79: "<i8", 81: ">f4", 82: ">f8", 85: "<f4", 86: "<f8",
}  # fmt: skip
FILTERS = {
    "bslz4": hdf5plugin.Bitshuffle(cname="lz4"),
    "bszstd": hdf5plugin.Bitshuffle(cname="zstd"),
    "lz4": hdf5plugin.LZ4(),
}


def load(message: bytes) -> dict[str, Any]:
    """The fields; typed arrays and images as NumPy arrays, images as (codec, packed bytes, dtype, shape)."""
    assert message[:3] == b"\xd9\xd9\xf7"
    fields = _plain(cbor2.loads(message[3:]))
    assert next(iter(fields)) == "type"
    return fields


def _plain(value: Any) -> Any:
    if isinstance(value, cbor2.CBORTag):
        if value.tag == 40:
            shape, content = value.value
            return _image(content, tuple(shape))
        dtype = np.dtype(DTYPES[value.tag])
        return np.frombuffer(value.value, dtype)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _image(typed: cbor2.CBORTag, shape: tuple[int, int]) -> tuple[str, bytes, np.dtype, tuple[int, int]]:
    dtype = np.dtype(DTYPES[typed.tag])
    if isinstance(typed.value, cbor2.CBORTag):
        assert typed.value.tag == 56500
        codec, _size, data = typed.value.value
        return codec, data, dtype, shape
    return "none", typed.value, dtype, shape


def unpack(image: tuple[str, bytes, np.dtype, tuple[int, int]]) -> np.ndarray:
    """Pixels of an image, unpacked by the filter that HDF5 has for its codec."""
    codec, data, dtype, shape = image
    if codec == "none":
        return np.frombuffer(data, dtype).reshape(shape)
    with h5py.File(io.BytesIO(), "w") as file:
        dataset = file.create_dataset("x", (1, *shape), dtype, chunks=(1, *shape), **FILTERS[codec])
        dataset.id.write_direct_chunk((0, 0, 0), data)
        return dataset[0]
