"""What a starting writer says and does about runs that a crash has left."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import pytest

from jfwriter.daemon.board import Board
from jfwriter.daemon.leftovers import Leftovers, offer
from tests.support import stream
from tests.support.crashed import content, crash
from tests.support.eventually import eventually


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    return crash(tmp_path / "living", tmp_path / "crashed", stream.run(n_images=10)[:4])


async def test_they_are_offered_and_left_alone(crashed: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = content(crashed)
    board = Board()
    task = asyncio.create_task(Leftovers([crashed], board, recover=False).serve())
    await eventually(lambda: board.runs_to_recover)
    await eventually(lambda: "can be recovered with `jfwriter recover`" in caplog.text)
    task.cancel()
    assert len(board.runs_to_recover) == 1
    assert content(crashed) == before


async def test_they_are_recovered_by_another_process(crashed: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    board = Board()
    task = asyncio.create_task(Leftovers([crashed], board, recover=True).serve())
    await eventually(lambda: "ended with exit status 0" in caplog.text, 60.0)
    await eventually(lambda: not board.runs_to_recover)
    task.cancel()
    assert "recovery: run1: recovered 3 of 3 images" in caplog.text
    assert (crashed / "run1_master.h5").exists()


async def test_a_recovery_that_cannot_be_started_is_told(
    crashed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    command = (str(crashed / "no such program"),)
    task = asyncio.create_task(Leftovers([crashed], Board(), recover=True, command=command).serve())
    await eventually(lambda: "recovery: cannot be started" in caplog.text)
    assert not task.done()
    task.cancel()


async def test_the_process_ends_with_the_writer(crashed: Path, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    code = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(1000)"
    command = (sys.executable, "-c", code)
    task = asyncio.create_task(Leftovers([crashed], Board(), recover=True, command=command).serve())
    await eventually(begun.exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_name_from_outside_is_shown_in_one_line() -> None:
    assert "\n" not in offer(["a\nb", "c"])
    assert offer(["a", "b"]).startswith("2 runs")
