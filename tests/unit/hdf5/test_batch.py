"""Images stored together: each has its pixels first, then the rest, and comes out exactly once."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.errors import PayloadError, StorageError
from jfwriter.hdf5.batch import write_batch
from jfwriter.session.orders import WriteImage
from tests.support import messages

OK, LOST, AHEAD_FAILS, STORE_FAILS, KEEP_FAILS = "ok", "lost", "ahead fails", "store fails", "keep fails"
AHEAD = "ahead"


class Place:
    """Where images go; what is in `faults` happens to an image the first time it comes."""

    def __init__(self, faults: Sequence[str], n_lives: int, n_at_once: int = 100) -> None:
        self.n_at_once = n_at_once
        self.n_begun = 0
        """Generators that hold memory of images."""
        self.faults = dict(enumerate(faults))
        self.n_lives = n_lives
        self.pixels: set[int] = set()
        self.kept: list[int] = []
        self.given_up: list[int] = []
        self.n_waiting: list[int] = []
        self.ahead_of: list[list[int]] = []

    def _takes(self, image_id: int, fault: str) -> bool:
        return self.faults.get(image_id) == fault and self.faults.pop(image_id) == fault

    def ahead(self, orders: Sequence[WriteImage]) -> Generator[int]:
        """Of the first ones that are to come so, some at a time."""
        coming = [order.image.image_id for order in orders]
        self.ahead_of.append(coming)
        if self._takes(coming[0], AHEAD_FAILS):
            raise StorageError("no_space", "ahead")
        together = list(itertools.takewhile(lambda image_id: self.faults.get(image_id) == AHEAD, coming))
        assert not self.pixels & set(together)
        self.n_begun += 1
        try:
            for first in range(0, len(together), self.n_at_once):
                self.pixels.update(together[first : first + self.n_at_once])
                yield from together[first : first + self.n_at_once]
        finally:
            self.n_begun -= 1

    def store(self, order: WriteImage) -> int:
        image_id = order.image.image_id
        if self.faults.get(image_id) == LOST:
            raise PayloadError("wrong_shape", f"image {image_id}")
        assert self.n_begun == 0
        if self._takes(image_id, STORE_FAILS):
            raise StorageError("no_space", f"image {image_id}")
        assert image_id not in self.pixels
        self.pixels.add(image_id)
        return image_id

    def keep(self, order: WriteImage) -> None:
        image_id = order.image.image_id
        assert image_id in self.pixels
        if self._takes(image_id, KEEP_FAILS):
            raise StorageError("io_error", f"image {image_id}")
        self.n_waiting.append(len(self.pixels) - len(self.kept))
        self.kept.append(image_id)

    def go_on(self, failure: StorageError, orders: Sequence[WriteImage]) -> None:
        assert self.n_begun == 0
        assert str(failure) == f"image {orders[0].image.image_id}" or failure.reason == "no_space"
        self.pixels = set(self.kept)
        if self.n_lives == 0:
            self.given_up = [order.image.image_id for order in orders]
            raise failure
        self.n_lives -= 1


def orders(n: int) -> list[WriteImage]:
    return [WriteImage(0, i, messages.image(i)) for i in range(n)]


@given(
    st.lists(st.sampled_from([OK, AHEAD, AHEAD, LOST, AHEAD_FAILS, STORE_FAILS, KEEP_FAILS]), max_size=12),
    st.integers(0, 3),
    st.integers(1, 4),
)
def test_each_image_is_stored_lost_or_given_up_once(faults: list[str], n_lives: int, n_at_once: int) -> None:
    place = Place(faults, n_lives, n_at_once)
    coming = iter(orders(len(faults)))
    stored, lost, failed = [], [], False
    try:
        for order, came in write_batch(coming, place.ahead, place.store, place.keep, place.go_on):
            (lost if isinstance(came, PayloadError) else stored).append(order.image.image_id)
            assert isinstance(came, PayloadError) or came == order.image.image_id
    except StorageError:
        failed = True
    assert list(coming) == []
    assert place.n_begun == 0
    everything = sorted([*stored, *lost, *place.given_up])
    assert everything == list(range(len(faults)))
    assert stored == place.kept == sorted(stored)
    assert lost == [i for i in range(len(faults)) if faults[i] == LOST and i in lost]
    n_failures = sum(fault in {AHEAD_FAILS, STORE_FAILS, KEEP_FAILS} for fault in faults)
    assert failed == bool(place.given_up)
    if n_failures <= n_lives:
        assert not failed


@pytest.mark.parametrize(
    ("ways", "n_at_once", "n_waiting"),
    [
        ([OK] * 5, 100, [1, 1, 1, 1, 1]),
        ([AHEAD] * 5, 100, [5, 4, 3, 2, 1]),
        ([AHEAD] * 5, 2, [2, 1, 2, 1, 1]),
        ([AHEAD, AHEAD, OK, AHEAD, AHEAD], 100, [2, 1, 1, 2, 1]),
    ],
)
def test_the_rest_is_kept_of_those_whose_pixels_are_there(
    ways: list[str], n_at_once: int, n_waiting: list[int]
) -> None:
    place = Place(ways, 0, n_at_once)
    list(write_batch(orders(5), place.ahead, place.store, place.keep, place.go_on))
    assert place.n_waiting == n_waiting


def test_what_waits_is_stored_together_as_far_as_it_can_be() -> None:
    place = Place([AHEAD, OK, AHEAD, AHEAD, OK, OK], 0)
    list(write_batch(orders(6), place.ahead, place.store, place.keep, place.go_on))
    assert place.ahead_of == [[0, 1, 2, 3, 4, 5], [2, 3, 4, 5], [5]]
    assert place.kept == list(range(6))


def test_a_single_image_is_stored_like_several() -> None:
    place = Place([AHEAD], 0)
    list(write_batch(orders(1), place.ahead, place.store, place.keep, place.go_on))
    assert place.ahead_of == [[0]]
    assert place.kept == [0]


def test_after_a_failure_the_rest_is_stored_together_anew() -> None:
    place = Place([AHEAD, STORE_FAILS, AHEAD], 1)
    list(write_batch(orders(3), place.ahead, place.store, place.keep, place.go_on))
    assert place.ahead_of == [[0, 1, 2], [1, 2], [2]]
    assert place.kept == [0, 1, 2]
