from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.session.ledger import Ledger
from jfwriter.session.planning import make_plan
from jfwriter.session.share import judged_images, share_of
from tests.support import messages

PER_FILE = 2


def judged_files(socket_number: int | None, n_writers: int, with_images: set[int], n_files: int) -> set[int]:
    settings = messages.settings(files={"n_writers": n_writers})
    start = messages.start(
        socket_number=socket_number, images_per_file=PER_FILE, number_of_images=n_files * PER_FILE
    )
    plan = make_plan(start, settings, 1, 0.0)
    ledger = Ledger(PER_FILE)
    for file_index in with_images:
        ledger.accept(file_index * PER_FILE)
    share = share_of(plan, n_writers, ledger, n_files * PER_FILE)
    mask = judged_images(plan, share, ledger, np.arange(n_files * PER_FILE))
    assert (mask[::2] == mask[1::2]).all()
    assert mask.all() or not share.is_whole_run
    return set(np.flatnonzero(mask[::2]).tolist())


@pytest.mark.parametrize(
    ("socket_number", "n_writers", "with_images", "n_files", "expected"),
    [
        # The only writer answers for everything.
        (None, 0, set(), 4, {0, 1, 2, 3}),
        (0, 1, set(), 4, {0, 1, 2, 3}),
        # A known number of writers.
        (0, 2, set(), 5, {0, 2, 4}),
        (1, 2, set(), 5, {1, 3}),
        (3, 4, {3}, 9, {3, 7}),
        # A file that came although it is another's: it was begun, so its gaps count.
        (0, 2, {1}, 5, {0, 1, 2, 4}),
        # More sockets than the settings know.
        (5, 2, {5, 7}, 9, {5, 7}),
        # An unknown number: the writer's first file, and what the others tell.
        (0, 0, set(), 1, {0}),
        (0, 0, set(), 4, {0}),
        (1, 0, set(), 4, {1}),
        (0, 0, {0}, 4, {0}),
        (0, 0, {0, 1}, 4, {0, 1, 2, 3}),
        (0, 0, {2, 6}, 9, {0, 2, 4, 6, 8}),
        (1, 0, {4, 10}, 11, {1, 4, 7, 10}),
        (2, 0, {0, 4}, 6, {0, 4}),
        (0, 0, {0, 1, 2, 3}, 4, {0, 1, 2, 3}),
        (5, 0, set(), 4, set()),
    ],
)
def test_whose_files(
    socket_number: int | None, n_writers: int, with_images: set[int], n_files: int, expected: set[int]
) -> None:
    assert judged_files(socket_number, n_writers, with_images, n_files) == expected


@given(st.integers(1, 6), st.data(), st.integers(0, 40))
def test_an_unknown_number_of_writers_never_blames_a_writer_for_another_ones_files(
    n_writers: int, data: st.DataObject, n_files: int
) -> None:
    socket_number = data.draw(st.integers(0, n_writers - 1))
    own = set(range(socket_number, n_files, n_writers))
    came = data.draw(st.sets(st.sampled_from(sorted(own)))) if own else set()
    judged = judged_files(socket_number, 0, came, n_files)
    assert came <= judged <= own


def test_one_file_for_all_is_judged_by_who_got_of_it() -> None:
    plan = make_plan(messages.start(socket_number=1, images_per_file=0), messages.settings(), 1, 0.0)
    ledger = Ledger(0)
    ledger.accept(3)
    share = share_of(plan, 0, ledger, 10)
    assert judged_images(plan, share, ledger, np.arange(10)).all()
