from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.session import ledger as ledger_module
from jfwriter.session.ledger import Bits, Ledger


def accept(images: list[int], images_per_file: int = 4) -> Ledger:
    ledger = Ledger(images_per_file)
    for image_id in images:
        ledger.accept(image_id)
    return ledger


def reference(members: set[int], start: int, stop: int) -> list[list[int]]:
    """Ranges of what is absent, one number after the other."""
    found: list[list[int]] = []
    for number in range(start, stop):
        if number in members:
            continue
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


@given(
    st.sets(st.integers(0, 300)), st.integers(0, 320), st.integers(0, 320), st.sampled_from([8, 64, 1 << 20])
)
def test_missing_against_counting_by_hand(members: set[int], a: int, b: int, block: int) -> None:
    start, stop = sorted((a, b))
    ledger = accept(sorted(members))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_module, "_BLOCK_BITS", block)
        assert ledger.missing(start, stop).tolist() == reference(members, start, stop)
        even = ledger.missing(start, stop, lambda ids: ids % 2 == 0)
    odd = set(range(1, 400, 2))
    assert even.tolist() == reference(members | odd, start, stop)


@given(st.sets(st.integers(0, 100_000)), st.sets(st.integers(0, 100_000)))
def test_bits_are_a_set(added: set[int], discarded: set[int]) -> None:
    bits = Bits()
    for number in added:
        bits.add(number)
    for number in discarded:
        bits.discard(number)
    left = added - discarded
    assert bits.indices(100_001).tolist() == sorted(left)
    assert all((number in bits) == (number in left) for number in added | discarded)
    asked = np.array(sorted(added | discarded | {0, 10**12}), np.int64)
    assert bits.contains_each(asked).tolist() == [int(number) in left for number in asked]


def test_a_file_is_full_when_all_its_images_came_in_any_order() -> None:
    ledger = Ledger(4)
    assert [ledger.accept(image_id) for image_id in (7, 0, 5, 1, 6, 4, 3)] == [False] * 5 + [True, False]
    assert ledger.is_full(1)
    assert not ledger.is_full(0)
    assert (ledger.n_open_files, ledger.n_full_files) == (1, 1)
    assert ledger.accept(2)
    assert (ledger.n_open_files, ledger.n_full_files) == (0, 2)


def test_a_single_file_is_never_full() -> None:
    ledger = Ledger(0)
    assert not any(ledger.accept(image_id) for image_id in range(1000))
    assert ledger.files_with_images(1).tolist() == [0]


def test_files_of_one_image() -> None:
    ledger = Ledger(1)
    assert ledger.accept(5)
    assert ledger.is_full(5)
    assert not ledger.is_full(0)


def test_a_lost_image_may_come_again_and_its_file_waits_for_it() -> None:
    ledger = accept([0, 1, 2])
    assert ledger.lose(1)
    assert not ledger.lose(1)
    assert not ledger.holds(1)
    assert not ledger.accept(3)
    assert ledger.n_accepted == 3
    assert ledger.accept(1)


def test_a_lost_image_leaves_a_full_file_full() -> None:
    ledger = accept([0, 1, 2, 3])
    assert ledger.lose(2)
    assert ledger.is_full(0)
    assert ledger.missing(0, 4).tolist() == [[2, 2]]


def test_rejected_images_count_as_seen() -> None:
    ledger = accept([0])
    ledger.see(41)
    assert ledger.n_seen == 42
    assert ledger.n_accepted == 1


def test_the_last_images_of_a_long_run() -> None:
    ledger = accept([10_000_000])
    assert ledger.missing(0, 10_000_001).tolist() == [[0, 9_999_999]]
    assert ledger.missing(10_000_000, 10_000_003).tolist() == [[10_000_001, 10_000_002]]
