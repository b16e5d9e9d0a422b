"""Packed images of messages (masks, maps, calibration) as arrays or as stored chunks.

A bad one costs itself, never the run: it is left out and said in the warnings.
"""

from __future__ import annotations

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.compression import check_framing, compress, decompress
from jfwriter.compression.filters import Filter, filter_for, filter_of
from jfwriter.errors import PayloadError
from jfwriter.payload import Codec, Payload

Image = npt.NDArray[np.generic]


def unpacked(
    payload: Payload, what: str, shape: tuple[int, int], dtype: npt.DTypeLike, warnings: list[str]
) -> Image | None:
    """Pixels [y, x] as `dtype`; None if `payload` is broken, of another shape, or not of numbers that fit."""
    target = np.dtype(dtype)
    if not _fits(payload, what, shape, target, warnings):
        return None
    try:
        return _converted(decompress(payload), target)
    except PayloadError as error:
        warnings.append(f"{what}: {error}; it is left out")
        return None


def store(
    group: h5py.Group,
    name: str,
    payload: Payload,
    what: str,
    warnings: list[str],
    *,
    shape: tuple[int, int] | None = None,
    dtype: npt.DTypeLike | None = None,
) -> None:
    """Write an image as one chunk, in the bytes that came if they can stand there.

    Raw, big-endian or differently typed pixels are packed anew (bslz4). `shape` and `dtype` None: as sent.
    """
    target = (payload.dtype if dtype is None else np.dtype(dtype)).newbyteorder("<")
    if not _fits(payload, what, shape or payload.shape, target, warnings):
        return
    try:
        packing, chunk = _chunk(payload, target)
    except PayloadError as error:
        warnings.append(f"{what}: {error}; it is left out")
        return
    dataset = group.create_dataset(
        name,
        shape=payload.shape,
        dtype=target,
        chunks=payload.shape,
        compression=None if packing is None else packing.filter_id,
        compression_opts=None if packing is None else packing.options,
    )
    dataset.id.write_direct_chunk((0, 0), chunk)


def _chunk(payload: Payload, target: np.dtype[np.generic]) -> tuple[Filter | None, memoryview | bytes]:
    check_framing(payload)
    packing = filter_of(payload)
    if packing is not None and payload.dtype == target:
        return packing, payload.data
    pixels = _converted(decompress(payload), target)
    return filter_for(Codec.BSLZ4, target), compress(pixels, Codec.BSLZ4)


def _converted(pixels: Image, target: np.dtype[np.generic]) -> Image:
    with np.errstate(over="ignore"):
        return pixels.astype(target, copy=False)


def _fits(
    payload: Payload, what: str, shape: tuple[int, int], target: np.dtype[np.generic], warnings: list[str]
) -> bool:
    if payload.shape != shape:
        warnings.append(f"{what}: {_size(payload.shape)} pixels, expected {_size(shape)}; it is left out")
        return False
    if target.kind in "iu" and payload.dtype.kind not in "iu":
        warnings.append(f"{what}: {payload.dtype.name} pixels, expected integers; it is left out")
        return False
    return True


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]}"
