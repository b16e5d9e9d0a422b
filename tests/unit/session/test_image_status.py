"""Marks of single images, and sets of images that grow by whole stretches."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.session.image_status import NUMBER_OF, ImageStatus, Marks
from jfwriter.session.ledger import Bits
from jfwriter.session.orders import STATUS_OF

IDS = st.integers(0, 20_000)


@given(
    marked=st.lists(st.tuples(IDS, st.sampled_from(list(ImageStatus)))),
    start=st.integers(0, 12_000),
    length=st.integers(0, 12_000),
)
def test_marks_are_what_was_set_last(marked: list[tuple[int, ImageStatus]], start: int, length: int) -> None:
    marks = Marks()
    wanted = np.zeros(40_000, np.uint8)
    for image_id, status in marked:
        marks.set((image_id,), status)
        wanted[image_id] = status
    assert marks.block(start, start + length).tolist() == wanted[start : start + length].tolist()
    for image_id, _ in marked:
        assert marks[image_id] == wanted[image_id]


def test_marks_cost_no_more_than_a_byte_per_image() -> None:
    marks = Marks()
    assert marks.n_bytes == 0
    marks.set(range(0, 1_000_000, 2), ImageStatus.NEVER_CAME)
    assert marks.n_bytes < 1_010_000
    far = Marks()
    far.set((99_999_999,), ImageStatus.LATE)
    assert far.n_bytes == 4096


@given(stretches=st.lists(st.tuples(st.integers(0, 300), st.lists(st.booleans(), max_size=70))))
def test_rows_of_files_are_joined(stretches: list[tuple[int, list[bool]]]) -> None:
    bits, wanted = Bits(), set()
    for first, rows in stretches:
        bits.add_rows(first, np.array(rows, np.bool_))
        wanted |= {first + i for i, there in enumerate(rows) if there}
    assert bits.indices(1000).tolist() == sorted(wanted)


def test_stored_numbers_never_change() -> None:
    assert NUMBER_OF == {
        "never_came": 0, "written": 1, "duplicate": 2, "rejected_by_sender": 3, "bad_payload": 4,
        "wrong_shape": 5, "wrong_dtype": 6, "wrong_channel": 7, "write_failed": 8, "late": 9,
        "run_failed": 10, "file_gone": 11, "other_writer": 12,
    }  # fmt: skip
    assert set(STATUS_OF.values()) <= set(ImageStatus)
