"""Storage that does not answer: what waits is given up, counted and told of; later runs are taken."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import pytest_asyncio

from jfwriter.daemon.parts import Parts
from jfwriter.daemon.stall import StallGuard
from jfwriter.session.snapshot import State
from tests.support import messages, stream
from tests.support.eventually import eventually
from tests.support.rig import Rig

LIMIT_S = 300.0


class Stall:
    """A rig whose disk stands still at the second image of its first run."""

    def __init__(self, root: Path) -> None:
        self.rig = rig = Rig(messages.settings(files={"root_dir": str(root)}))
        self.n_resumed = 0
        puller = SimpleNamespace(resume=self._resume)
        parts = SimpleNamespace(
            settings=rig.settings,
            session=rig.session,
            board=rig.board,
            writer=rig.writer,
            aftermath=rig.aftermath,
            puller=puller,
        )
        self.guard = StallGuard(cast("Parts", cast("Any", parts)))

    def _resume(self) -> None:
        self.n_resumed += 1

    async def begin(self, *more: bytes) -> None:
        rig = self.rig
        rig.feed(*stream.run(n_images=10)[:2])
        await rig.settled()
        rig.disk.may_write.clear()
        rig.disk.is_writing.clear()
        rig.feed(*stream.run(n_images=10)[2:6], *more)
        await asyncio.to_thread(rig.disk.is_writing.wait)

    def look(self, after_s: float) -> None:
        self.guard.look(time.monotonic() + after_s)

    async def end(self) -> None:
        self.rig.disk.may_write.set()
        await self.rig.settled()
        await eventually(self._is_over)

    def _is_over(self) -> bool:
        self.look(0)
        return not self.rig.session.obstacle


@pytest_asyncio.fixture
async def stall(tmp_path: Path) -> AsyncIterator[Stall]:
    stall = Stall(tmp_path)
    yield stall
    await stall.rig.close()


async def test_a_short_stall_changes_nothing(stall: Stall) -> None:
    await stall.begin()
    stall.look(LIMIT_S - 1)
    assert stall.rig.session.state is State.OPEN
    await stall.end()
    assert stall.rig.writer.progress.n_written == 5


async def test_the_run_is_given_up_and_what_waited_is_let_go(stall: Stall) -> None:
    await stall.begin()
    waiting_bytes = stall.rig.budget.used_bytes
    stall.look(LIMIT_S)
    assert stall.rig.session.state is State.DRAINING
    assert 0 < stall.rig.budget.used_bytes < waiting_bytes // 2
    assert stall.rig.board.images_dropped == {"run_failed": 3}
    assert stall.n_resumed == 1
    stall.rig.feed(*stream.run(n_images=10)[6:11])
    assert stall.rig.board.images_dropped == {"run_failed": 8}
    assert stall.rig.told.notified == []


async def test_a_run_that_is_over_is_told_of_at_once_and_only_once(stall: Stall) -> None:
    await stall.begin()
    stall.look(LIMIT_S)
    stall.rig.feed(stream.end(n_images=10))
    stall.look(LIMIT_S + 1)
    (told,) = stall.rig.told.notified
    assert told.outcome == "failed"
    assert "no_answer: the storage has not answered for 300 s" in told.reasons[0]
    assert stall.rig.board.runs_failed == {"no_answer": 1}
    await stall.end()
    await eventually(lambda: "finish failed" in stall.rig.disk.log)
    stall.rig.deliver_events()
    assert stall.rig.told.notified == [told]
    assert "image 2" not in stall.rig.disk.log


async def test_starts_are_refused_until_the_storage_answers(stall: Stall) -> None:
    await stall.begin()
    stall.look(LIMIT_S)
    stall.rig.feed(*stream.run(2, n_images=3))
    assert stall.rig.board.runs_refused == {"no_answer": 1}
    assert stall.rig.told.notified[0].run_name == "series 2"
    await stall.end()
    stall.rig.feed(*stream.run(3, n_images=3))
    await stall.rig.settled()
    assert stall.rig.told.notified[-1].outcome == "complete"


async def test_runs_that_wait_behind_are_given_up_and_each_is_told_of(stall: Stall) -> None:
    rest = stream.run(n_images=10)[6:]
    await stall.begin(*rest, *stream.run(2, n_images=3), *stream.run(3, n_images=3)[:2])
    stall.look(LIMIT_S)
    assert [told.run_name for told in stall.rig.told.notified] == ["series 1", "series 2"]
    assert stall.rig.session.state is State.DRAINING
    assert stall.rig.session.snapshot().dropped == {"run_failed": 1}, "those of the third run"
    assert stall.rig.board.images_dropped == {"run_failed": 8 + 3 + 1}
    await stall.end()
    await eventually(lambda: stall.rig.disk.log.count("abandon") == 3)
    stall.rig.feed(stream.end(3, 3), *stream.run(4, n_images=3))
    await stall.rig.settled()
    assert [told.run_name for told in stall.rig.told.notified[2:]] == ["series 3", "series 4"]
    third, fourth = stall.rig.told.notified[2:]
    assert (third.outcome, third.images_dropped) == ("failed", {"run_failed": 1})
    assert (fourth.outcome, fourth.images_written) == ("complete", 3)


async def test_a_thread_that_has_just_come_back_gives_nothing_up(stall: Stall) -> None:
    await stall.begin()
    await stall.end()
    assert stall.rig.writer.give_up("late") is None
    assert stall.rig.session.state is State.OPEN


async def test_a_thread_that_comes_back_while_it_is_looked_at(stall: Stall) -> None:
    """It waits for orders by the time that they would be taken from it."""
    await stall.begin()
    await stall.end()
    progress = stall.rig.writer.progress
    progress.current = (0.0, 0.0)  # as it was read before
    stall.look(LIMIT_S)
    progress.current = None
    assert (stall.rig.session.state, stall.rig.session.obstacle) == (State.OPEN, "")
    assert (stall.rig.board.images_dropped, stall.n_resumed) == ({}, 0)


async def test_that_the_storage_answers_again_is_said_once(
    stall: Stall, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "jfwriter.daemon.stall")
    await stall.begin()
    for after_s in (0.0, LIMIT_S, LIMIT_S + 1, LIMIT_S + 2):
        stall.look(after_s)
    await stall.end()
    stall.look(0)
    stall.look(1)
    said = [record.getMessage() for record in caplog.records if record.name == "jfwriter.daemon.stall"]
    assert [text.partition(";")[0] for text in said] == [
        "the storage has not answered for 300 s (service.storage_give_up_s)", "the storage answers again",
    ]  # fmt: skip
