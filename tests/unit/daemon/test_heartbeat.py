"""The pulse: signs of life, the idle warning, memory given back; with a clock that the test turns."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from jfwriter.daemon import heartbeat
from jfwriter.daemon.heartbeat import QUIET_S, beat
from tests.support import messages, stream
from tests.support.clock import Clock
from tests.support.eventually import eventually
from tests.support.rig import Rig


class Manager:
    watchdog_s: float | None = 3.0

    def __init__(self) -> None:
        self.n_alive = 0
        self.lines: list[str] = []

    def alive(self) -> None:
        self.n_alive += 1

    def status(self, text: str) -> None:
        self.lines.append(text)


class Memory:
    n_given_back = 0

    def give_back(self) -> None:
        self.n_given_back += 1


class Pulse:
    """A heart that beats as fast as it can over a rig."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.rig = rig = Rig(messages.settings(), clock=self.clock)
        self.manager = Manager()
        self.memory = Memory()
        self.parts: Any = SimpleNamespace(
            settings=rig.settings,
            board=rig.board,
            session=rig.session,
            budget=rig.budget,
            writer=rig.writer,
            storage=rig.storage,
            aftermath=rig.aftermath,
            puller=SimpleNamespace(paused=False, n_pauses=0, sources=[], resume=lambda: None),
            republisher=None,
            announcer=None,
            notifier=rig.notifier,
            analysis=None,
        )
        self.n_beats = 0
        self.lags: list[float] = []
        real = rig.board.rates.sample

        def sample(*values: Any) -> None:
            self.n_beats += 1
            self.lags.append(values[-1])
            real(*values)

        rig.board.rates.sample = sample  # type: ignore[method-assign]

    async def beats(self, seconds_later: float = 0.0) -> None:
        """Let some time pass, in one step, and then beat a few times."""
        self.clock.now += seconds_later
        target = self.n_beats + 2 * heartbeat.TICKS_PER_STATUS
        await eventually(lambda: self.n_beats >= target)


@pytest_asyncio.fixture
async def pulse(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pulse]:
    monkeypatch.setattr(heartbeat, "TICK_S", 0.0)
    pulse = Pulse()
    manager: Any = pulse.manager
    memory: Any = pulse.memory
    task = asyncio.create_task(beat(pulse.parts, manager, memory))
    yield pulse
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await pulse.rig.close()


async def test_a_sign_of_life_in_each_third_of_the_time(pulse: Pulse) -> None:
    for n_expected in range(1, 5):
        await pulse.beats(1.0)
        assert pulse.manager.n_alive == n_expected
    await pulse.beats(0.5)
    assert pulse.manager.n_alive == 4


async def test_no_sign_of_life_when_the_storage_never_answers(pulse: Pulse) -> None:
    pulse.rig.disk.may_write.clear()
    pulse.rig.feed(*stream.run(1, n_images=1))
    await eventually(pulse.rig.disk.is_writing.is_set)
    limit_s = pulse.rig.settings.service.storage_stall_limit_s
    pulse.rig.writer.progress.current = (pulse.clock.now, pulse.clock.now)
    await pulse.beats(limit_s - 1)
    n_alive = pulse.manager.n_alive
    assert n_alive > 0
    await pulse.beats(2)
    await pulse.beats(2)
    assert pulse.manager.n_alive == n_alive


async def test_no_sign_of_life_from_a_dead_writer(pulse: Pulse) -> None:
    pulse.rig.writer.abort()
    await eventually(lambda: not pulse.rig.writer.is_alive)
    await pulse.beats(2)
    assert pulse.manager.n_alive == 0


async def test_the_status_line(pulse: Pulse) -> None:
    await pulse.beats()
    assert pulse.manager.lines[-1] == "idle; 0 images written since start"
    pulse.rig.feed(*stream.run(1, n_images=3)[:3])
    await eventually(lambda: pulse.rig.writer.progress.n_written == 2)
    await pulse.beats(1.0)
    assert pulse.manager.lines[-1].startswith("writing run series 1: 2 of 3 images")


async def test_silence_is_logged_once(pulse: Pulse, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    pulse.rig.feed(stream.start(1))
    await pulse.beats(100)
    await pulse.beats(100)
    assert sum("no message came for 100 s" in text for text in caplog.messages) == 1
    pulse.rig.feed(stream.image_message(0))
    await pulse.beats(1)
    await pulse.beats(100)
    assert sum("no message came" in text for text in caplog.messages) == 2


async def test_memory_is_given_back_once_after_each_activity(pulse: Pulse) -> None:
    await pulse.beats(10 * QUIET_S)
    assert pulse.memory.n_given_back == 0
    pulse.rig.feed(*stream.run(1, n_images=1))
    await pulse.rig.settled()
    await pulse.beats(QUIET_S / 2)
    assert pulse.memory.n_given_back == 0
    await pulse.beats(QUIET_S)
    await pulse.beats(QUIET_S)
    assert pulse.memory.n_given_back == 1


async def test_the_lag_of_the_loop_is_seen(pulse: Pulse) -> None:
    await pulse.beats(0.75)
    assert max(pulse.lags) == pytest.approx(0.75, abs=0.1)


async def test_garbage_is_looked_for_between_runs_only(pulse: Pulse, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[bool] = []
    monkeypatch.setattr(heartbeat, "collect_young", lambda: looks.append(pulse.rig.board.unfinished != {}))
    pulse.rig.disk.may_write.clear()
    whole = stream.run(1, n_images=2)
    pulse.rig.feed(*whole[:-1])
    looks.clear()
    await pulse.beats()
    pulse.rig.feed(whole[-1])  # the writer has still to finish it
    await pulse.beats()
    assert looks == []
    pulse.rig.disk.may_write.set()
    await eventually(lambda: looks)
    assert looks[0] is False
