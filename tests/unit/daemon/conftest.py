"""Sockets that are closed, and tasks that must not be left over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
import zmq

from jfwriter.daemon.fatal import Fatal
from jfwriter.daemon.sockets import Context


@pytest.fixture
def context() -> Iterator[Context]:
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


@pytest_asyncio.fixture
async def fatal() -> AsyncIterator[Fatal]:
    """Fails the test if some callback met an error that nobody looked at."""
    fatal = Fatal()
    yield fatal
    await fatal.cancel_tasks()
    if fatal.failed.done():
        fatal.failed.result()


@pytest_asyncio.fixture(autouse=True)
async def no_task_is_left() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not {task.get_name() for task in left if not task.done()}
