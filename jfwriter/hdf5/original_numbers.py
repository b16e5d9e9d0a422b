"""The numbers that images had before the sender rejected some, by image: 8 bytes each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

BLOCK = 4096
_ABSENT = int(np.iinfo(np.int64).min)


class OriginalNumbers(Mapping[int, int]):
    """image_id -> original number, of the images for which one was sent. Memory: 32 KiB per 4096 images."""

    def __init__(self) -> None:
        self._blocks: dict[int, npt.NDArray[np.int64]] = {}
        self._size = 0

    def add(self, image_id: int, original: int) -> None:
        """Enter an image; a number beyond 63 bits is not kept."""
        if not 0 <= original < -_ABSENT:
            return
        number, place = divmod(image_id, BLOCK)
        block = self._blocks.get(number)
        if block is None:
            block = self._blocks[number] = np.full(BLOCK, _ABSENT)
        self._size += bool(block[place] == _ABSENT)
        block[place] = original

    def __getitem__(self, image_id: int) -> int:
        number, place = divmod(image_id, BLOCK)
        block = self._blocks.get(number)
        if block is None or block[place] == _ABSENT:
            raise KeyError(image_id)
        return int(block[place])

    def __iter__(self) -> Iterator[int]:
        for number in sorted(self._blocks):
            for place in np.flatnonzero(self._blocks[number] != _ABSENT):
                yield number * BLOCK + int(place)

    def __len__(self) -> int:
        return self._size
