"""What became of each image of a run, from what is in the files and what was told of the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from jfwriter.session.image_status import IN_A_FILE, ImageStatus, Marks, Statuses
from jfwriter.session.ledger import Bits
from jfwriter.session.orders import FinishRun, Range

_BLOCK = 1 << 20

Mask = npt.NDArray[np.bool_]
Bounds = npt.NDArray[np.int64]


class ImageStatuses:
    """Status of each of the first `n_images` images, in blocks: a few MB whatever the length of the run.

    `written` are the images in the files as the files were counted when they were closed. `order` says which
    images this writer should have and has not, those of unfinished files and of the files `gone` (ranges of
    images) included. Of several writers (`only_writer` False) the others' images are neither.
    """

    def __init__(
        self, n_images: int, written: Bits, order: FinishRun, gone: Iterable[Range], *, only_writer: bool
    ) -> None:
        self.n_images = n_images
        self._only_writer = only_writer
        self._written = written
        self._missing = _bounds(order.missing)
        self._gone = _bounds(gone)
        self._marks: Marks = order.marks
        self._absent = ImageStatus.REJECTED_BY_SENDER if order.gaps_are_wanted else ImageStatus.NEVER_CAME

    def block(self, start: int, stop: int) -> Statuses:
        """Statuses of the images start ... stop - 1; `start` is a multiple of 8. uint8 [stop - start]"""
        usual = ImageStatus.NEVER_CAME if self._only_writer else ImageStatus.OTHER_WRITER
        out = np.full(stop - start, usual, np.uint8)
        missing = _inside(self._missing, start, stop)
        out[missing] = self._absent
        marks = self._marks.block(start, stop)
        # What came twice and is in no file is not called a duplicate: nothing of it stayed.
        np.copyto(out, marks, where=(marks != 0) & (marks != ImageStatus.DUPLICATE))
        written = self._written.block(start, stop)
        there = written & ~missing
        out[there] = ImageStatus.WRITTEN
        out[there & (marks == ImageStatus.DUPLICATE)] = ImageStatus.DUPLICATE
        out[written & _inside(self._gone, start, stop)] = ImageStatus.FILE_GONE
        return out

    def counts(self) -> Mapping[str, int]:
        """Images by the word of their status; words without an image are left out."""
        found = np.zeros(256, np.int64)
        for start, stop in _blocks(self.n_images):
            found += np.bincount(self.block(start, stop), minlength=256)
        return {ImageStatus(number).word: int(found[number]) for number in np.flatnonzero(found).tolist()}

    def unexplained(self) -> tuple[Range, ...]:
        """Images of a writer's own run that are in no file and that nobody has called missing."""
        if not self._only_writer:
            return ()
        edges: list[Bounds] = [np.zeros(0, np.int64)]
        inside = False
        for start, stop in _blocks(self.n_images):
            odd = ~self._written.block(start, stop) & ~_inside(self._missing, start, stop)
            edges.append(np.flatnonzero(np.diff(odd, prepend=inside)) + start)
            inside = bool(odd[-1])
        if inside:
            edges.append(np.array([self.n_images]))
        return tuple((first, stop - 1) for first, stop in np.concatenate(edges).reshape(-1, 2).tolist())


def n_in_files(counts: Mapping[str, int]) -> int:
    """Images that stand in a file, of `ImageStatuses.counts`."""
    return sum(counts.get(status.word, 0) for status in IN_A_FILE)


def _blocks(n_images: int) -> Iterator[tuple[int, int]]:
    for start in range(0, n_images, _BLOCK):
        yield start, min(start + _BLOCK, n_images)


def _bounds(ranges: Iterable[Range]) -> Bounds:
    """First and one behind the last of ascending ranges. [r, 2]"""
    bounds = np.array(sorted(ranges), np.int64).reshape(-1, 2)
    bounds[:, 1] += 1
    return bounds


def _inside(bounds: Bounds, start: int, stop: int) -> Mask:
    """Which of start ... stop - 1 lie in `bounds`."""
    low = np.searchsorted(bounds[:, 1], start, side="right")
    high = np.searchsorted(bounds[:, 0], stop, side="left")
    here = np.clip(bounds[low:high], start, stop) - start
    steps = np.bincount(here[:, 0], minlength=stop - start + 1)
    steps -= np.bincount(here[:, 1], minlength=stop - start + 1)
    inside: Mask = np.cumsum(steps[:-1]) > 0
    return inside
