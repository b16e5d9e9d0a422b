"""Other packages that unpack the payloads, as far as they are installed: found, checked, never required."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import cast

import hdf5plugin
import numpy as np
import numpy.typing as npt

from jfwriter.compression import decompress
from jfwriter.payload import Codec, Payload

Image = npt.NDArray[np.generic]
Call = Callable[[], object]
Contestant = Callable[[Payload, Image], Call]

HEADER_BYTES = 12


def peers(payload: Payload) -> dict[str, Contestant]:
    """Those that unpack `payload` to the right pixels, by name."""
    candidates: dict[str, Contestant | None] = {
        "dectris-compression": _dectris(),
        "bitshuffle package": _bitshuffle(payload.codec),
        "hdf5plugin's library by ctypes": _plugin(payload.codec),
        "imagecodecs": _imagecodecs(payload.codec),
    }
    expected = decompress(payload)
    found = {}
    for name, contestant in candidates.items():
        if contestant is None:
            continue
        out = np.zeros_like(expected)
        result = contestant(payload, out)()
        pixels = out if result is None else np.frombuffer(memoryview(cast("bytes", result)), expected.dtype)
        if pixels.tobytes() == expected.tobytes():
            found[name] = contestant
    return found


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _dectris() -> Contestant | None:
    module = _module("dectris.compression")
    if module is None:
        return None

    def make(payload: Payload, _out: Image) -> Call:
        names = {Codec.BSLZ4: "bslz4", Codec.LZ4: "lz4", Codec.BSZSTD: "bszstd"}
        name, data, item = names[payload.codec], bytes(payload.data), payload.dtype.itemsize
        return lambda: _or_none(lambda: module.decompress(data, name, elem_size=item))

    return make


def _or_none(call: Call) -> object:
    try:
        return call()
    except ValueError:
        return b""


def _bitshuffle(codec: Codec) -> Contestant | None:
    module = _module("bitshuffle")
    if module is None or codec is Codec.LZ4:
        return None
    function = module.decompress_lz4 if codec is Codec.BSLZ4 else module.decompress_zstd

    def make(payload: Payload, _out: Image) -> Call:
        blocks = np.frombuffer(payload.data, np.uint8)[HEADER_BYTES:]
        return lambda: function(blocks, payload.shape, payload.dtype, _block_elements(payload))

    return make


def _plugin(codec: Codec) -> Contestant | None:
    name = {Codec.BSLZ4: "bshuf_decompress_lz4", Codec.BSZSTD: "bshuf_decompress_zstd"}.get(codec)
    library = ctypes.CDLL(str(hdf5plugin.get_config().registered_filters["bshuf"]))
    function = getattr(library, name, None) if name else None
    if function is None:
        return None
    function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_size_t)

    def make(payload: Payload, out: Image) -> Call:
        source = np.frombuffer(payload.data, np.uint8)[HEADER_BYTES:]

        def call() -> None:
            function(source.ctypes.data, out.ctypes.data, out.size, out.itemsize, _block_elements(payload))

        return call

    return make


def _imagecodecs(codec: Codec) -> Contestant | None:
    module = _module("imagecodecs")
    if module is None or codec is not Codec.LZ4:
        return None

    def make(payload: Payload, out: Image) -> Call:
        target = out.reshape(-1).view(np.uint8)

        def call() -> None:
            module.lz4h5_decode(payload.data, out=target)

        return call

    return make


def _block_elements(payload: Payload) -> int:
    return int.from_bytes(payload.data[8:HEADER_BYTES], "big") // payload.dtype.itemsize
