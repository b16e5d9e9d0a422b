"""The gaps of the open run so far, for `/status`: looked for at most once in a second. Event loop only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jfwriter.session.orders import Range
from jfwriter.session.session import Session

MAX_SHOWN_RANGES = 100
PERIOD_S = 1.0


@dataclass(frozen=True, slots=True)
class Gaps:
    """`n_missing` None: other writers may have the images in between."""

    n_missing: int | None = None
    missing: tuple[Range, ...] = ()


class GapView:
    """However often the status is asked for, a long run is not searched for gaps more often than that."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ranges: tuple[Range, ...] = ()
        self._looked_at = float("-inf")

    def forget(self) -> None:
        """Another run begins."""
        self._looked_at = float("-inf")

    def of(self, session: Session) -> Gaps:
        """The gaps of the held run."""
        n_missing = session.n_missing_so_far
        if not n_missing:
            return Gaps(n_missing)
        now = self._clock()
        if now - self._looked_at >= PERIOD_S:
            self._looked_at = now
            self._ranges = session.gaps_so_far()[:MAX_SHOWN_RANGES]
        return Gaps(n_missing, self._ranges)
