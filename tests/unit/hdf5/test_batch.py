"""Images stored together: each has its pixels first, then the rest, and comes out exactly once."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from jfwriter.errors import PayloadError, StorageError
from jfwriter.hdf5.batch import write_batch
from jfwriter.session.orders import WriteImage
from tests.support import messages

OK, LOST, AHEAD_FAILS, STORE_FAILS, KEEP_FAILS = "ok", "lost", "ahead fails", "store fails", "keep fails"


class Place:
    """Where images go; what is in `faults` happens to an image the first time it comes."""

    def __init__(self, faults: Sequence[str], n_lives: int) -> None:
        self.faults = dict(enumerate(faults))
        self.n_lives = n_lives
        self.pixels: set[int] = set()
        self.kept: list[int] = []
        self.given_up: list[int] = []
        self.n_waiting: list[int] = []
        self.ahead_of: list[list[int]] = []

    def _takes(self, image_id: int, fault: str) -> bool:
        return self.faults.get(image_id) == fault and self.faults.pop(image_id) == fault

    def ahead(self, orders: Sequence[WriteImage]) -> None:
        self.ahead_of.append([order.image.image_id for order in orders])
        if self._takes(orders[0].image.image_id, AHEAD_FAILS):
            raise StorageError("no_space", "ahead")

    def store(self, order: WriteImage) -> int:
        image_id = order.image.image_id
        if self.faults.get(image_id) == LOST:
            raise PayloadError("wrong_shape", f"image {image_id}")
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
        assert str(failure) == f"image {orders[0].image.image_id}" or failure.reason == "no_space"
        self.pixels = set(self.kept)
        if self.n_lives == 0:
            self.given_up = [order.image.image_id for order in orders]
            raise failure
        self.n_lives -= 1


def orders(n: int) -> list[WriteImage]:
    return [WriteImage(0, i, messages.image(i)) for i in range(n)]


@given(
    st.lists(st.sampled_from([OK, OK, LOST, AHEAD_FAILS, STORE_FAILS, KEEP_FAILS]), max_size=12),
    st.integers(0, 3),
)
def test_each_image_is_stored_lost_or_given_up_once(faults: list[str], n_lives: int) -> None:
    place = Place(faults, n_lives)
    coming = iter(orders(len(faults)))
    stored, lost, failed = [], [], False
    try:
        for order, came in write_batch(coming, place.ahead, place.store, place.keep, place.go_on):
            (lost if isinstance(came, PayloadError) else stored).append(order.image.image_id)
            assert isinstance(came, PayloadError) or came == order.image.image_id
    except StorageError:
        failed = True
    assert list(coming) == []
    everything = sorted([*stored, *lost, *place.given_up])
    assert everything == list(range(len(faults)))
    assert stored == place.kept == sorted(stored)
    assert lost == [i for i in range(len(faults)) if faults[i] == LOST and i in lost]
    n_failures = sum(fault in {AHEAD_FAILS, STORE_FAILS, KEEP_FAILS} for fault in faults)
    assert failed == bool(place.given_up)
    if n_failures <= n_lives:
        assert not failed


def test_nothing_is_kept_before_the_pixels_of_all_are_stored() -> None:
    place = Place([OK] * 5, 0)
    list(write_batch(orders(5), place.ahead, place.store, place.keep, place.go_on))
    assert place.n_waiting == [5, 4, 3, 2, 1]


def test_what_waits_is_written_ahead_once_and_a_single_image_is_not() -> None:
    place = Place([OK] * 3, 0)
    list(write_batch(orders(3), place.ahead, place.store, place.keep, place.go_on))
    list(write_batch(orders(4)[3:], place.ahead, place.store, place.keep, place.go_on))
    assert place.ahead_of == [[0, 1, 2]]
    assert place.kept == [0, 1, 2, 3]


def test_after_a_failure_the_rest_is_written_ahead_anew() -> None:
    place = Place([OK, STORE_FAILS, OK], 1)
    list(write_batch(orders(3), place.ahead, place.store, place.keep, place.go_on))
    assert place.ahead_of == [[0, 1, 2], [1, 2]]
    assert place.kept == [0, 1, 2]
