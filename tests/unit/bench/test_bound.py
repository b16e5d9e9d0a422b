"""The verdict follows what was seen."""

from __future__ import annotations

import pytest

from jfwriter.bench.bound import Bound, decide
from jfwriter.bench.watch import Watched


def seen(backlog: float, busiest_other: float = 0.3, **writer: float) -> Watched:
    shares = dict.fromkeys(("computing", "writing", "syncing", "waiting"), 0.0) | writer
    return Watched((), 1.0, 1.0, 0, shares, 0.0, busiest_other, "ZMQbg/IO/0", backlog)


@pytest.mark.parametrize(
    ("watched", "bound", "said"),
    [
        (seen(0.9, writing=0.6, computing=0.4), Bound.STORAGE, "writing 60%"),
        (seen(0.9, syncing=0.6, computing=0.4), Bound.SYNC, "syncing 60%"),
        (seen(0.9, computing=0.6, writing=0.4), Bound.CPU, "computing 60%"),
        # Images wait, and the thread neither computes nor writes: Python's lock.
        (seen(0.9, computing=0.3, waiting=0.4, writing=0.3), Bound.CPU, "waiting 40%"),
        (seen(0.0, computing=0.2, waiting=0.8), Bound.RECEIVING, "30% of a core"),
        (seen(0.0, busiest_other=0.97, waiting=0.8), Bound.CPU, "'ZMQbg/IO/0' used 97%"),
    ],
)
def test_bound(watched: Watched, bound: Bound, said: str) -> None:
    finding = decide(watched)
    assert finding.bound is bound
    assert said in finding.reason
    assert finding.advice
