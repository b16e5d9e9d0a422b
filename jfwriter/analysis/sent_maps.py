"""Masks and maps of the start message, unpacked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jfwriter.analysis.products import Products
from jfwriter.kernels.pixel_classes import Array
from jfwriter.nexus import packed
from jfwriter.payload import Codec, Payload


@dataclass(frozen=True, slots=True)
class _Unpacked:
    pixels: Array | None
    warnings: tuple[str, ...]


def sent_map(
    products: Products,
    payload: Payload,
    what: str,
    warnings: list[str],
    *,
    shape: tuple[int, int],
    dtype: np.dtype[np.generic],
) -> Array | None:
    """Pixels [y, x] as `dtype`, read-only; None, with a warning that names it as `what`, if `payload` is
    broken, of another shape, or not of numbers that fit."""
    if payload.codec is not Codec.NONE:
        found = products.product(_unpack, payload, what, shape, dtype)
        warnings.extend(found.warnings)
        return found.pixels
    # To hash the whole map would take longer than to unpack it.
    pixels = packed.unpacked(payload, what, shape, dtype, warnings)
    return None if pixels is None else products.compared(what, pixels)


def _unpack(payload: Payload, what: str, shape: tuple[int, int], dtype: np.dtype[np.generic]) -> _Unpacked:
    warnings: list[str] = []
    pixels = packed.unpacked(payload, what, shape, dtype, warnings)
    return _Unpacked(pixels, tuple(warnings))
