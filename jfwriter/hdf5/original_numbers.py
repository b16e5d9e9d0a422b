"""The numbers that images had before the sender rejected some, by image: 8 bytes each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, ValuesView

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
        for number, block in sorted(self._blocks.items()):
            yield from (number * BLOCK + np.flatnonzero(block != _ABSENT)).tolist()

    def values(self) -> ValuesView[int]:
        """In the order of the images."""
        return _Values(self)

    def __len__(self) -> int:
        return self._size

    def pairs(self, image_ids: npt.NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
        """(image_id, original number) of those of `image_ids`, ascending, for which one was sent."""
        originals = np.full(image_ids.size, _ABSENT)
        numbers, starts = np.unique(image_ids // BLOCK, return_index=True)
        borders = itertools.pairwise([*starts.tolist(), image_ids.size])
        for number, (start, stop) in zip(numbers.tolist(), borders, strict=True):
            block = self._blocks.get(number)
            if block is not None:
                originals[start:stop] = block[image_ids[start:stop] % BLOCK]
        known = originals != _ABSENT
        return tuple(zip(image_ids[known].tolist(), originals[known].tolist(), strict=True))

    def sent(self) -> Iterator[int]:
        """The original numbers in the order of the images."""
        for _, block in sorted(self._blocks.items()):
            yield from block[block != _ABSENT].tolist()


class _Values(ValuesView[int]):
    """Those of a mapping ask it for each key, a hundred times as slow."""

    _mapping: OriginalNumbers

    def __iter__(self) -> Iterator[int]:
        return self._mapping.sent()
