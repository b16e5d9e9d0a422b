"""Rounds of runs on a stage, with the CPU time of each contestant's process."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks import _measure
from benchmarks._measure import Rounds, Spread
from jfwriter.bench import usage


@dataclass(frozen=True, slots=True)
class Contestant:
    """What is run, the processes whose CPU time counts, and what its ratio is to (None: to nothing)."""

    call: Callable[[], object]
    pids: Sequence[int]
    reference: str | None
    n_runs: int = 1
    """Runs of the same length that one call makes."""


class Contest:
    """All contestants in turn, repeated; `rows` is the table of what came of it."""

    def __init__(
        self, contestants: Mapping[str, Contestant], options: argparse.Namespace, before: Callable[[], object]
    ) -> None:
        self._contestants, self._n_images = contestants, options.images
        self._cpu_s: dict[str, list[float]] = {name: [] for name in contestants}
        calls = {name: self._counted(name, one) for name, one in contestants.items()}
        self._repeats = [_measure.alternate(calls, options.rounds, before) for _ in range(options.repeats)]

    def table(self, message_bytes: float) -> str:
        rows = [["", "images/s", "GB/s", "ratio", "to", "CPU ms/image"]]
        for name, one in self._contestants.items():
            rounds, ratio = self._middle(name, one)
            n_images = self._n_images * one.n_runs
            cpu = _measure.spread([1e3 * s / n_images for s in self._cpu_s[name][1:]])
            rows.append([
                name,
                whole(rounds.rate(name, n_images)),
                str(rounds.rate(name, n_images * message_bytes / 1e9)),
                "" if ratio is None else str(ratio),
                one.reference or "",
                str(cpu),
            ])  # fmt: skip
        return _measure.table(rows)

    def _middle(self, name: str, one: Contestant) -> tuple[Rounds, Spread | None]:
        """The repeat with the middle ratio, or the middle rate where there is none."""
        reference = one.reference
        if reference is None:
            ordered = sorted(self._repeats, key=lambda rounds: rounds.rate(name, 1).median)
            return ordered[len(ordered) // 2], None
        factor = one.n_runs / self._contestants[reference].n_runs

        def ratio(rounds: Rounds) -> Spread:
            found = rounds.ratio(name, reference)
            return Spread(found.median * factor, found.low * factor, found.high * factor)

        ordered = sorted(self._repeats, key=lambda rounds: ratio(rounds).median)
        middle = ordered[len(ordered) // 2]
        return middle, ratio(middle)

    def _counted(self, name: str, one: Contestant) -> Callable[[], None]:
        def run() -> None:
            before = sum(map(usage.cpu_s, one.pids))
            one.call()
            self._cpu_s[name].append(sum(map(usage.cpu_s, one.pids)) - before)

        return run


def whole(spread: Spread) -> str:
    return f"{spread.median:.0f} ({spread.low:.0f} to {spread.high:.0f})"
