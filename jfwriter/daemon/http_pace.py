"""Keeps those who ask from taking the event loop away from the images."""

from __future__ import annotations

import asyncio

REQUESTS_PER_S = 200.0
"""About as many cost a tenth of one core."""
BURST = 50
MAX_WAIT_S = 10.0


class Pace:
    """Lets requests through at a bounded rate, in the order in which they came (a token bucket)."""

    def __init__(
        self, per_s: float = REQUESTS_PER_S, burst: int = BURST, max_wait_s: float = MAX_WAIT_S
    ) -> None:
        self._interval_s = 1 / per_s
        self._burst_s = burst / per_s
        self._max_wait_s = max_wait_s
        self._free_at = 0.0
        """When the bucket is full again."""

    async def turn(self) -> bool:
        """Wait until it is this request's turn; False, at once, if that would take too long."""
        now = asyncio.get_running_loop().time()
        free_at = max(self._free_at, now) + self._interval_s
        wait_s = free_at - now - self._burst_s
        if wait_s > self._max_wait_s:
            return False
        self._free_at = free_at
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        return True
