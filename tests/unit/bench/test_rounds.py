"""Contestants run in turn, the first round is dropped, ratios are of the same round."""

from __future__ import annotations

import pytest

from jfwriter.bench.rounds import Rounds, alternate, spread, table


def test_order_and_end() -> None:
    calls: list[str] = []
    contestants = {name: lambda name=name: calls.append(name) for name in "abc"}
    asked: list[int] = []

    def goes_on(n_rounds: int) -> bool:
        asked.append(n_rounds)
        return n_rounds < 2

    rounds = alternate(contestants, 100, lambda: calls.append("."), goes_on)
    assert "".join(calls) == ".a.b.c" + ".b.c.a" + ".c.a.b"
    assert asked == [1, 2]
    assert {name: len(seconds) for name, seconds in rounds.seconds.items()} == {"a": 2, "b": 2, "c": 2}


def test_ratios_are_paired() -> None:
    rounds = Rounds({"reference": [1.0, 2.0, 4.0], "own": [2.0, 4.0, 8.0]})
    found = rounds.ratio("own", "reference")
    assert (found.low, found.median, found.high) == (0.5, 0.5, 0.5)
    assert rounds.rate("own", 8).median == pytest.approx(2.0)


def test_spread_of_one_value_and_of_several() -> None:
    assert str(spread([2.0])) == "2 (2 to 2)"
    assert str(spread([1.0, 2.0, 3.0, 4.0, 5.0])) == "3 (2 to 4)"


def test_table() -> None:
    assert table([["a", "b"], ["long", "c"]]) == "a     b\n----  -\nlong  c"
