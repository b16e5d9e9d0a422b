"""How fast images go to disk, and how late the event loop is, over the last few seconds."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

WINDOW_S = 5.0


class _Sample(NamedTuple):
    at_s: float
    n_images: int
    n_bytes: int
    lag_s: float


class RateWindow:
    """Fed with the totals at regular times."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque([_Sample(0.0, 0, 0, 0.0)], maxlen=100)

    def sample(self, at_s: float, n_images: int, n_bytes: int, lag_s: float) -> None:
        """`at_s`: monotonic time; `n_images`, `n_bytes`: written since the start of the process."""
        samples = self._samples
        samples.append(_Sample(at_s, n_images, n_bytes, lag_s))
        while len(samples) > 2 and samples[1].at_s <= at_s - WINDOW_S:
            samples.popleft()

    @property
    def images_per_s(self) -> float:
        first, last = self._samples[0], self._samples[-1]
        return (last.n_images - first.n_images) / max(last.at_s - first.at_s, 1e-3)

    @property
    def bytes_per_s(self) -> float:
        first, last = self._samples[0], self._samples[-1]
        return (last.n_bytes - first.n_bytes) / max(last.at_s - first.at_s, 1e-3)

    @property
    def max_lag_s(self) -> float:
        return max(sample.lag_s for sample in self._samples)
