"""Waiting in asynchronous tests: for a condition, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

DEADLINE_S = 20.0


async def eventually(condition: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    """Let the event loop run until `condition` holds; fails after the deadline."""
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline_s
    while not condition():
        if loop.time() > end:
            raise TimeoutError(f"waited {deadline_s} s for {condition}")
        await asyncio.sleep(0.002)
