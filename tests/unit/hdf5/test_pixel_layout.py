"""Chunks at any address and of any length, laid out in whole blocks: each byte where its place says."""

from __future__ import annotations

import mmap

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.hdf5.native import address_of
from jfwriter.hdf5.pixel_layout import MAX_CHUNKS, Alignment, Seams, lay_out, one_behind_the_other

MEMORY = np.frombuffer(mmap.mmap(-1, 1 << 20), np.uint8)
MEMORY[:] = np.random.default_rng(1).integers(1, 256, MEMORY.size, np.uint8)
ALIGNMENTS = [Alignment(4096, 4096), Alignment(4096, 512), Alignment(1024, 4), Alignment(64, 64)]


@st.composite
def chunk(draw: st.DrawFn) -> npt.NDArray[np.uint8]:
    start = draw(st.integers(0, 20_000))
    return MEMORY[start : start + draw(st.integers(4096, 30_000))]


@given(st.integers(0, 100_000), st.lists(chunk(), min_size=1, max_size=12), st.sampled_from(ALIGNMENTS))
def test_the_file_holds_each_chunk_and_zeros_between(
    end: int, chunks: list[npt.NDArray[np.uint8]], alignment: Alignment
) -> None:
    seams = Seams()
    for block in seams.blocks(alignment.file_bytes):
        block[:] = 77  # what an earlier use has left
    layout = lay_out(end, chunks, alignment, seams.blocks(alignment.file_bytes))
    block_bytes, memory_bytes = alignment
    assert end <= layout.start < end + block_bytes
    assert layout.start % block_bytes == layout.end % block_bytes == 0
    for piece in layout.pieces:
        assert piece.size % block_bytes == address_of(piece) % memory_bytes == 0
    content = np.concatenate(layout.pieces)
    assert content.size == layout.end - layout.start
    taken = np.zeros(content.size, np.bool_)
    for place, one in zip(layout.places, chunks, strict=True):
        where = slice(place - layout.start, place - layout.start + one.size)
        np.testing.assert_array_equal(content[where], one)
        assert not taken[where].any()
        taken[where] = True
    assert not content[~taken].any()
    assert layout.places == sorted(layout.places)
    assert content.size - taken.sum() < 2 * block_bytes * len(chunks) + block_bytes


@given(st.lists(chunk(), min_size=1, max_size=12))
def test_only_the_ends_of_chunks_are_copied(chunks: list[npt.NDArray[np.uint8]]) -> None:
    layout = lay_out(0, chunks, ALIGNMENTS[0], Seams().blocks(4096))
    in_place = sum(piece.size for piece in layout.pieces if np.shares_memory(piece, MEMORY))
    assert in_place > sum(one.size - 2 * 4096 for one in chunks)


def test_two_ends_share_a_block_that_has_room_for_both() -> None:
    aligned, with_a_head = MEMORY[:5000], MEMORY[4000:12288]
    layout = lay_out(0, [aligned, with_a_head], ALIGNMENTS[0], Seams().blocks(4096))
    assert layout.places == [0, 8192 - 96]
    assert layout.end == 4 * 4096
    apart = lay_out(0, [MEMORY[: 4096 + 4001], with_a_head], ALIGNMENTS[0], Seams().blocks(4096))
    assert apart.places == [0, 3 * 4096 - 96]


def test_as_many_chunks_as_may_come_find_seams() -> None:
    chunks = [MEMORY[i + 1 : i + 5000] for i in range(MAX_CHUNKS)]
    layout = lay_out(1, chunks, ALIGNMENTS[0], Seams().blocks(4096))
    assert len(layout.places) == MAX_CHUNKS
    assert len(layout.pieces) <= 1024


def test_blocks_of_another_size_are_made_anew() -> None:
    seams = Seams()
    assert {block.size for block in seams.blocks(512)} == {512}
    assert {block.size for block in seams.blocks(4096)} == {4096}
    assert all(address_of(block) % 4096 == 0 for block in seams.blocks(4096))


@pytest.mark.parametrize("end", [0, 17])
def test_anywhere_is_one_behind_the_other(end: int) -> None:
    chunks = [MEMORY[:3], MEMORY[5:5], MEMORY[7:20]]
    layout = one_behind_the_other(end, chunks)
    assert (layout.start, layout.places, layout.end) == (end, [end, end + 3, end + 3], end + 16)
    np.testing.assert_array_equal(np.concatenate(layout.pieces), np.concatenate(chunks))
