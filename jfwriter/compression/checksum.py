"""Checksum of stored chunks: CRC-32 as zlib, gzip and PNG have it (ISO 3309, ITU-T V.42)."""

from __future__ import annotations

import zlib
from collections.abc import Callable

try:
    from isal import isal_zlib
except ImportError:  # no build of ISA-L for this processor
    _crc32: Callable[[memoryview | bytes, int], int] = zlib.crc32
else:
    _crc32 = isal_zlib.crc32


def crc32(data: memoryview | bytes, before: int = 0) -> int:
    """CRC-32 of contiguous bytes, 0 to 2**32 - 1; they follow others whose CRC-32 is `before`.

    Releases the GIL for all but a few bytes.
    """
    return _crc32(data, before)
