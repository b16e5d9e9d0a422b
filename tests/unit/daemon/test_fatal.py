"""Background work that dies ends the daemon."""

from __future__ import annotations

import asyncio

import pytest

from jfwriter.daemon.fatal import Fatal
from jfwriter.errors import StopDaemon
from tests.support.eventually import eventually


async def returns() -> None:
    return


async def raises() -> None:
    raise LookupError("lost")


@pytest.mark.parametrize(("work", "why"), [(returns, "no error"), (raises, "lost")])
async def test_a_task_that_ends_ends_the_daemon(work: object, why: str) -> None:
    fatal = Fatal()
    fatal.task(work(), "worker")  # type: ignore[operator]
    await eventually(fatal.failed.done)
    with pytest.raises(StopDaemon, match=f"background task worker ended: {why}"):
        fatal.failed.result()


async def test_tasks_that_are_ended_on_purpose_are_no_failure() -> None:
    fatal = Fatal()
    fatal.task(asyncio.sleep(3600), "sleeper")
    await fatal.cancel_tasks()
    assert not fatal.failed.done()


async def test_the_first_failure_counts() -> None:
    fatal = Fatal()

    def broken() -> None:
        raise KeyError("first")

    fatal.run(broken)
    fatal.fail("second")
    with pytest.raises(StopDaemon, match="KeyError: 'first'"):
        fatal.failed.result()
    await fatal.cancel_tasks()
