"""How speed is compared: contestants in turn, paired ratios, medians with their spread.

Ratios within one round carry over between machines and days, absolute figures do not. So every round runs
all contestants right after each other, the first round is dropped, and each contestant is quoted as the
median of its ratios to the reference in the same round.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

N_ROUNDS = 9


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{_digits(self.median)} ({_digits(self.low)} to {_digits(self.high)})"


def _digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles of at least one value."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


@dataclass(frozen=True, slots=True)
class Rounds:
    """Seconds of each contestant in each round, the warm-up round dropped."""

    seconds: Mapping[str, Sequence[float]]

    def time_s(self, name: str) -> Spread:
        return spread(self.seconds[name])

    def rate(self, name: str, amount: float) -> Spread:
        """`amount` per second."""
        return spread([amount / s for s in self.seconds[name]])

    def ratio(self, name: str, reference: str) -> Spread:
        """Time of `reference` over time of `name` in the same round: 2 is twice as fast."""
        pairs = zip(self.seconds[reference], self.seconds[name], strict=True)
        return spread([ref / own for ref, own in pairs])


def alternate(
    contestants: Mapping[str, Callable[[], object]],
    n_rounds: int = N_ROUNDS,
    before_each: Callable[[], object] | None = None,
    goes_on: Callable[[int], bool] = lambda _: True,
) -> Rounds:
    """Run every contestant once per round, each round starting with another one.

    `before_each` runs before each contestant and is not timed (`warm_pages`, emptying a directory).
    `goes_on` is asked with the number of counted rounds, from the second on, and may end it early.
    """
    names = list(contestants)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for i in range(n_rounds + 1):
        if i > 1 and not goes_on(i - 1):
            break
        shift = i % len(names)
        for name in names[shift:] + names[:shift]:
            if before_each is not None:
                before_each()
            start = time.perf_counter()
            contestants[name]()
            if i > 0:
                seconds[name].append(time.perf_counter() - start)
    return Rounds(seconds)


def warm_pages(directory: Path, n_bytes: int) -> None:
    """Write and unlink a file of 1.3 x `n_bytes`, the volume that a contestant is about to write there.

    The first touch of a page of the page cache costs far more than its reuse, and freed pages go back to
    the system: call this right before each contestant that writes files.
    """
    block = memoryview(bytes(1 << 20))
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        for _ in range(int(1.3 * n_bytes) // len(block) + 1):
            file.write(block)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns; the first row is the heading."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)
