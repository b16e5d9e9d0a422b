"""What a preparation takes from the one before: the same products, read-only, and only those."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import pytest

from jfwriter.analysis.products import KeptProducts, arrays_of, n_bytes_of
from jfwriter.kernels.pixel_classes import Array

calls: list[str] = []


class Holder:
    def __init__(self, values: Array, n: int) -> None:
        calls.append("holder")
        self.values, self.n = values * n, n


@dataclass(frozen=True, slots=True)
class Pair:
    first: Array
    second: tuple[Array | None, str]


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


def ramp(n: int) -> Array:
    calls.append(f"ramp {n}")
    return np.arange(n, dtype=np.float64)


def doubled(values: Array) -> Array:
    calls.append("doubled")
    return values * 2


def fails(n: int) -> Array:
    calls.append("fails")
    raise ValueError(f"n: {n}, expected none")


def nothing(n: int) -> None:
    calls.append(f"nothing {n}")


def prepare(kept: KeptProducts, n: int) -> Array:
    products = kept.begin()
    found = products.product(doubled, products.product(ramp, n))
    products.keep()
    return found


def test_the_same_is_taken_and_others_are_made() -> None:
    kept = KeptProducts()
    first = prepare(kept, 3)
    assert prepare(kept, 3) is first
    assert calls == ["ramp 3", "doubled"]
    assert prepare(kept, 4).tolist() == [0, 2, 4, 6]
    assert calls == ["ramp 3", "doubled", "ramp 4", "doubled"]


def test_what_the_latest_preparation_did_not_take_is_dropped() -> None:
    kept = KeptProducts()
    prepare(kept, 3)
    assert kept.n_bytes == 2 * 3 * 8
    prepare(kept, 4)
    assert kept.n_bytes == 2 * 4 * 8
    prepare(kept, 3)
    assert calls.count("ramp 3") == 2


def test_nothing_is_kept_of_a_preparation_without_an_end() -> None:
    kept = KeptProducts()
    products = kept.begin()
    assert products.product(ramp, 3) is products.product(ramp, 3)
    assert kept.n_bytes == 0
    prepare(kept, 3)
    assert calls == ["ramp 3", "ramp 3", "doubled"]


def test_one_that_made_too_much_leaves_nothing() -> None:
    kept = KeptProducts(max_bytes=2 * 3 * 8)
    prepare(kept, 3)
    assert kept.n_bytes == 48
    prepare(kept, 4)
    assert kept.n_bytes == 0
    prepare(kept, 4)
    assert calls.count("ramp 4") == 2


def test_products_are_read_only() -> None:
    products = KeptProducts().begin()
    holder = products.product(Holder, np.ones(2), 3)
    for array in (products.product(ramp, 3), holder.values):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_arrays_from_elsewhere_count_by_their_content() -> None:
    products = KeptProducts().begin()
    values = np.zeros(2)
    assert products.product(doubled, values) is products.product(doubled, np.zeros(2))
    values[1] = 5
    assert products.product(doubled, values).tolist() == [0, 10]
    assert products.product(Holder, values, 1) is not products.product(Holder, values, 2)


def test_compared_arrays_are_the_kept_one_where_they_are_equal() -> None:
    kept, found = KeptProducts(), []
    for values in ([1, 2], [1, 2], [1, 3], [1, 2]):
        products = kept.begin()
        array = products.compared("map", np.array(values, np.int32))
        found.append((array, products.product(doubled, array)))
        assert products.product(doubled, array).tolist() == [2 * value for value in values]
        products.keep()
    assert [one is found[0][0] for one, _ in found] == [True, True, False, False]
    assert calls == ["doubled"] * 3
    assert not any(array.flags.writeable for array, _ in found)


def test_compared_arrays_differ_by_name_type_and_shape() -> None:
    kept = KeptProducts()
    products = kept.begin()
    array = products.compared("map", np.zeros((2, 2), np.int32))
    products.keep()
    for what, other in (
        ("mask", array.copy()), ("map", array.view(np.uint32).copy()), ("map", array.reshape(4).copy()),
        ("map", np.zeros((2, 2), np.float32)),
    ):  # fmt: skip
        assert kept.begin().compared(what, other) is other
    assert kept.begin().compared("map", array.copy()) is array


def test_a_failure_is_met_again() -> None:
    products = KeptProducts().begin()
    for _ in range(2):
        with pytest.raises(ValueError, match="n: 1"):
            products.product(fails, 1)
    assert calls == ["fails", "fails"]


def test_none_is_a_product() -> None:
    products = KeptProducts().begin()
    assert products.product(nothing, 1) is products.product(nothing, 1) is None
    assert calls == ["nothing 1"]


def test_inputs_have_places() -> None:
    with pytest.raises(TypeError, match=r"\['n'\]"):
        KeptProducts().begin().product(ramp, n=3)


def test_arrays_are_found_wherever_they_are_and_count_once() -> None:
    array, other = np.zeros(3), np.zeros(2)
    pair = Pair(array, (other, "text"))
    assert [one is two for one, two in zip(arrays_of(pair), (array, other), strict=True)] == [True, True]
    assert n_bytes_of((pair, Pair(array, (None, "")))) == 40
    for wrong in ([array], {"a": array}, Pair):
        with pytest.raises(TypeError, match="expected arrays"):
            n_bytes_of(wrong)


def test_preparations_at_the_same_time_find_their_own() -> None:
    """Each of several threads, whatever the others leave behind."""
    kept, wrong = KeptProducts(), []
    barrier = threading.Barrier(4)

    def work(n: int) -> None:
        barrier.wait()
        for i in range(200):
            size = 1 + (n + i) % 3
            if prepare(kept, size).tolist() != [2 * value for value in range(size)]:
                wrong.append(size)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert kept.n_bytes in {16, 32, 48}
