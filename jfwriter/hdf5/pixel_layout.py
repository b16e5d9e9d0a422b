"""Where chunks lie in a file so that their bytes can go to the disk from where they are in memory. Pure.

A direct write(2) (`O_DIRECT`) takes whole blocks of the file, from addresses that are multiples of what the
device wants. Chunks come at any address, and with any length. So each begins where its bytes have the same
place within a block as in memory, but for whole blocks; the two ends of its bytes, that fill no block, are
copied. The end of one chunk and the beginning of the next share a block, a seam, if both have room in it.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

MAX_CHUNKS = 256
"""At a time: then there are fewer pieces than a system call takes (1024)."""


class Alignment(NamedTuple):
    """`file_bytes`: writes begin and end at its multiples; `memory_bytes`, which divides it: at its multiples
    lies what is written. Both are powers of two."""

    file_bytes: int
    memory_bytes: int


class Layout(NamedTuple):
    """`pieces`, one behind the other from `start` on, end at `end`; chunk i then lies at `places[i]`."""

    places: list[int]
    start: int
    end: int
    pieces: list[npt.NDArray[np.uint8]]


class Seams:
    """Memory for blocks of which chunks fill a part only."""

    def __init__(self) -> None:
        self._blocks: npt.NDArray[np.uint8] = np.empty((0, 1), np.uint8)

    def blocks(self, block_bytes: int) -> Iterator[npt.NDArray[np.uint8]]:
        """2 x MAX_CHUNKS blocks that are aligned to pages, with what the last use has left in them."""
        if self._blocks.shape[1] != block_bytes:
            memory = np.frombuffer(mmap.mmap(-1, 2 * MAX_CHUNKS * block_bytes), np.uint8)
            self._blocks = memory.reshape(-1, block_bytes)
        return iter(self._blocks)


def lay_out(
    end: int,
    chunks: Sequence[npt.NDArray[np.uint8]],
    alignment: Alignment,
    seams: Iterator[npt.NDArray[np.uint8]],
) -> Layout:
    """Chunks behind `end`, in order, none shorter than `memory_bytes`. It takes up to two of `seams`, blocks
    in memory that are aligned as well, for each of them.

    What the file holds between the chunks is zero.
    """
    block, memory = alignment
    start = at = -(-end // block) * block
    places: list[int] = []
    pieces: list[npt.NDArray[np.uint8]] = []
    open_seam, n_used = None, 0
    for chunk in chunks:
        n_head = -int(chunk.__array_interface__["data"][0]) % memory
        if open_seam is not None and n_used + n_head > block:
            pieces.append(_closed(open_seam, n_used, block))
            open_seam, n_used, at = None, 0, at + block
        if open_seam is None and n_head:
            open_seam = next(seams)
        if open_seam is not None:
            open_seam[block - n_head :] = chunk[:n_head]
            pieces.append(_closed(open_seam, n_used, block - n_head))
            at += block
        places.append(at - n_head)
        n_used = (chunk.size - n_head) % block
        n_whole = chunk.size - n_head - n_used
        if n_whole:
            pieces.append(chunk[n_head : n_head + n_whole])
        at += n_whole
        open_seam = next(seams) if n_used else None
        if open_seam is not None:
            open_seam[:n_used] = chunk[chunk.size - n_used :]
    if open_seam is not None:
        pieces.append(_closed(open_seam, n_used, block))
        at += block
    return Layout(places, start, at, pieces)


def one_behind_the_other(end: int, chunks: Sequence[npt.NDArray[np.uint8]]) -> Layout:
    """The layout of what may be written from anywhere to anywhere."""
    places, at = [], end
    for chunk in chunks:
        places.append(at)
        at += chunk.size
    return Layout(places, end, at, list(chunks))


def _closed(seam: npt.NDArray[np.uint8], start: int, stop: int) -> npt.NDArray[np.uint8]:
    """The seam, without what it held there."""
    seam[start:stop] = 0
    return seam
