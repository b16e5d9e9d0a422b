"""What only the programs here need to compare speeds; the rest is `jfwriter.bench.rounds`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from jfwriter.bench.rounds import N_ROUNDS, Rounds, Spread, alternate, spread, table, warm_pages

__all__ = [
    "N_ROUNDS",
    "Rounds",
    "Spread",
    "alternate",
    "in_threads",
    "middle",
    "new_warm",
    "repeated",
    "spread",
    "table",
    "warm_pages",
]


def repeated(call: Callable[[], object], n: int) -> Callable[[], None]:
    """`call` n times: use enough that one contestant takes at least some tens of milliseconds."""

    def loop() -> None:
        for _ in range(n):
            call()

    return loop


def in_threads(calls: Sequence[Callable[[], object]]) -> Callable[[], None]:
    """Each call in a thread of its own, at the same time; an exception in one of them is raised."""

    def run() -> None:
        failures: list[BaseException] = []

        def guarded(call: Callable[[], object]) -> None:
            try:
                call()
            except BaseException as error:  # noqa: BLE001 raised below, on the calling thread
                failures.append(error)

        threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    return run


def new_warm(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
    """Zeros of which every page has been touched: no contestant pays for being the first to use them."""
    array = np.empty(shape, dtype)
    array.fill(0)
    return array


def middle(repeats: Sequence[Rounds], name: str, reference: str) -> Spread:
    """Ratio of the middle one of several repeats of the whole measurement, ordered by its median."""
    ratios = sorted((rounds.ratio(name, reference) for rounds in repeats), key=lambda ratio: ratio.median)
    return ratios[len(ratios) // 2]
