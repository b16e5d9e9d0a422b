"""What became of each image of a run: one word per image, kept only where it is not the usual one.

The names are stored with the run (`image_status`, `docs/reference/layout.md`); their numbers never change.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

Statuses = npt.NDArray[np.uint8]

_PAGE = 1 << 12


class ImageStatus(enum.IntEnum):
    """One of these for each image below the length of the run."""

    NEVER_CAME = 0
    WRITTEN = 1
    DUPLICATE = 2
    """Written; it came again, and the first one stayed."""
    REJECTED_BY_SENDER = 3
    """Left out by the sender on purpose (data reduction)."""
    BAD_PAYLOAD = 4
    """Came with broken packing only."""
    WRONG_SHAPE = 5
    WRONG_DTYPE = 6
    WRONG_CHANNEL = 7
    WRITE_FAILED = 8
    """Came and could not be stored."""
    LATE = 9
    """Came after its data file had been closed."""
    RUN_FAILED = 10
    """Came, and is in no finished file because the run failed."""
    FILE_GONE = 11
    """Was written; its file was taken away before the end of the run."""
    OTHER_WRITER = 12
    """Not this writer's image: of several writers each answers for its own."""

    @property
    def word(self) -> str:
        return self.name.lower()


IN_A_FILE = (ImageStatus.WRITTEN, ImageStatus.DUPLICATE)

NUMBER_OF: Mapping[str, int] = {status.word: status.value for status in ImageStatus}
"""Name -> stored number."""


class Marks:
    """Statuses of the images that are not simply written or absent, in pages: a run without faults has none.

    Memory: 4 KiB per 4096 images of which at least one is marked, so never more than a byte per image.
    """

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}

    def __getitem__(self, image_id: int) -> int:
        page = self._pages.get(image_id // _PAGE)
        return 0 if page is None else page[image_id % _PAGE]

    def set(self, image_ids: Iterable[int], status: ImageStatus) -> None:
        """Enter `status`; a later one replaces an earlier one."""
        for image_id in image_ids:
            page = self._pages.get(image_id // _PAGE)
            if page is None:
                page = self._pages[image_id // _PAGE] = bytearray(_PAGE)
            page[image_id % _PAGE] = status

    @property
    def n_bytes(self) -> int:
        return len(self._pages) * _PAGE

    def block(self, start: int, stop: int) -> Statuses:
        """Statuses of the images start ... stop - 1, 0 where none is entered. uint8 [stop - start]"""
        out = np.zeros(stop - start, np.uint8)
        if not self._pages:
            return out
        for number in range(start // _PAGE, -(-stop // _PAGE)):
            page = self._pages.get(number)
            if page is not None:
                first = number * _PAGE
                low, high = max(first, start), min(first + _PAGE, stop)
                out[low - start : high - start] = np.frombuffer(page, np.uint8)[low - first : high - first]
        return out
