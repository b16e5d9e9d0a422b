"""The status as one picture: states, counters, warnings, and what HTTP control makes of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from jfwriter.daemon.board import SUSPICIOUS_IMAGES
from jfwriter.daemon.control import Control
from jfwriter.daemon.heartbeat import writes
from jfwriter.daemon.parts import Parts
from jfwriter.daemon.settings_of_runs import SettingsOfRuns
from jfwriter.daemon.snapshot import one_line, status_of
from jfwriter.daemon.status import Input, State
from jfwriter.errors import StorageError
from tests.support import messages, stream
from tests.support.clock import Clock
from tests.support.eventually import eventually
from tests.support.plain_dcu import encode
from tests.support.rig import Rig


@dataclass
class FakePuller:
    paused: bool = False
    n_pauses: int = 0
    sources: list[Any] = field(default_factory=list)


class Daemon:
    """A rig as the parts of a daemon."""

    def __init__(self, root: Path) -> None:
        self.clock = Clock()
        self.rig = rig = Rig(messages.settings(files={"root_dir": str(root)}), clock=self.clock)
        source = Input(
            "tcp://dcu:5400", connected=True, multipart_messages=0, broken_connections=0, failed_handshakes=0
        )
        fake_source = SimpleNamespace(address=source.address, n_connected=1, status=lambda: source)
        self.puller: Any = FakePuller(sources=[fake_source])
        self.parts = Parts(
            settings=rig.settings,
            settings_of_runs=SettingsOfRuns(rig.settings),
            root=rig.root,
            storage=rig.storage,
            fatal=rig.fatal,
            board=rig.board,
            session=rig.session,
            budget=rig.budget,
            writer=rig.writer,
            puller=self.puller,
            pipeline=rig.pipeline,
            aftermath=rig.aftermath,
            republisher=rig.republisher,
            announcer=rig.announcer,
            notifier=rig.notifier,
        )
        self.control = Control(self.parts)


@pytest_asyncio.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    daemon = Daemon(tmp_path)
    yield daemon
    await daemon.rig.close()


async def test_idle(daemon: Daemon) -> None:
    status = status_of(daemon.parts)
    assert status.state is State.IDLE
    assert (status.run_name, status.file_prefix, status.images_expected, status.format) == (None,) * 4
    assert status.warnings == []
    assert one_line(status) == "idle; 0 images written since start"


async def test_a_run_from_start_to_end(daemon: Daemon) -> None:
    rig = daemon.rig
    whole = stream.run(7, n_images=6, user_data={"socket_number": 0})
    rig.feed(*whole[:4], stream.image_message(0, series_id=7))
    await rig.settled()
    status = status_of(daemon.parts)
    assert status.state is State.WRITING
    assert (status.file_prefix, status.run_name, status.run_number) == ("run7", "series 7", 7)
    assert (status.socket_number, status.format, status.images_expected) == (0, "NXmxLegacy", 6)
    assert (status.nimages, status.images_received, status.images_dropped) == (3, 4, {"duplicate": 1})
    assert one_line(status).startswith("writing run series 7: 3 of 6 images")
    rig.disk.may_write.clear()
    rig.feed(*whole[4:])
    status = status_of(daemon.parts)
    assert status.state is State.FINALIZING
    assert status.run_name == "series 7"
    assert status.queue_bytes > 0
    rig.disk.may_write.set()
    await rig.settled()
    status = status_of(daemon.parts)
    assert status.state is State.IDLE
    assert (status.run_name, status.nimages, status.files_closed) == (None, 6, 1)
    assert status.last_files == ["run7_data_000001.h5"]
    assert status.last_run is not None
    assert (status.last_run.outcome, status.last_run.images_written) == ("complete", 6)
    assert status.totals.images_written == 6
    rig.feed(stream.start(8))
    status = status_of(daemon.parts)
    assert (status.nimages, status.images_received, status.files_closed, status.images_dropped) == (
        0,
        0,
        0,
        {},
    )


async def test_the_next_run_while_the_last_one_is_finalized(daemon: Daemon) -> None:
    rig = daemon.rig
    rig.disk.may_write.clear()
    rig.feed(*stream.run(1, n_images=2), stream.start(2))
    status = status_of(daemon.parts)
    assert (status.state, status.run_name, status.nimages) == (State.WRITING, "series 2", 0)
    rig.disk.may_write.set()
    await rig.settled()
    status = status_of(daemon.parts)
    assert (status.state, status.nimages) == (State.WRITING, 0)


async def test_a_refused_run_is_drained(daemon: Daemon) -> None:
    daemon.rig.feed(stream.start(1, user_data={"file_prefix": "a/../../x"}))
    status = status_of(daemon.parts)
    assert (status.state, status.run_name, status.format) == (State.DRAINING, "series 1", None)
    assert any("cannot be written" in text for text in status.warnings)
    daemon.rig.feed(stream.end(1))
    assert status_of(daemon.parts).state is State.IDLE


async def test_a_failed_run_is_drained_and_its_text_holds_no_path_outside(daemon: Daemon) -> None:
    rig = daemon.rig
    name = f"{daemon.parts.root.path}/run1_data_000001.h5"
    rig.disk.raise_at["image 0"] = StorageError("no_space", f"{name}: No space left on device")
    rig.feed(*stream.run(1, n_images=1)[:-1])
    await eventually(lambda: status_of(daemon.parts).state is State.DRAINING)
    (warning,) = status_of(daemon.parts).warnings
    assert "run1_data_000001.h5: No space left" in warning
    assert str(daemon.parts.root.path) not in warning
    health = await daemon.control.health()
    assert not health.healthy
    assert str(daemon.parts.root.path) not in health.problems[0]
    rig.feed(stream.end(1, 1))
    await rig.settled()
    last = status_of(daemon.parts).last_run
    assert last is not None
    assert str(daemon.parts.root.path) not in str(last)


async def test_stopping_is_draining(daemon: Daemon) -> None:
    daemon.rig.board.stopping = True
    assert status_of(daemon.parts).state is State.DRAINING
    assert (await daemon.control.health()).problems == ["the writer is being stopped"]


async def test_silence_in_an_open_run(daemon: Daemon) -> None:
    daemon.clock.now += 3600
    assert status_of(daemon.parts).warnings == []
    daemon.rig.feed(stream.start(1))
    daemon.clock.now += 75
    assert status_of(daemon.parts).warnings == ["a run is open and no message came for 75 s"]
    daemon.rig.feed(stream.image_message(0))
    assert status_of(daemon.parts).warnings == []


async def test_every_second_image(daemon: Daemon) -> None:
    n_images = SUSPICIOUS_IMAGES + 1
    daemon.rig.feed(stream.start(1, n_images=2 * n_images))
    for i in range(n_images):
        daemon.rig.feed(stream.image_message(2 * i + 1))
    (warning,) = status_of(daemon.parts).warnings
    assert "every second image is missing" in warning
    daemon.rig.feed(*stream.run(2, n_images=n_images)[:-1])
    assert status_of(daemon.parts).warnings == []


async def test_several_writers_may_get_every_second_image(daemon: Daemon) -> None:
    n_images = SUSPICIOUS_IMAGES + 1
    user = {"socket_number": 1, "images_per_file": 1, "file_prefix": "run1"}
    daemon.rig.feed(stream.start(1, n_images=2 * n_images, user_data=user))
    for i in range(n_images):
        daemon.rig.feed(stream.image_message(2 * i + 1))
    assert not any("every second" in text for text in status_of(daemon.parts).warnings)


async def test_every_second_image_is_no_matter_once_the_run_is_over(daemon: Daemon) -> None:
    n_images = SUSPICIOUS_IMAGES + 1
    daemon.rig.feed(stream.start(1, n_images=2 * n_images))
    for i in range(n_images):
        daemon.rig.feed(stream.image_message(2 * i + 1))
    daemon.rig.feed(stream.end(1))
    await daemon.rig.settled()
    assert status_of(daemon.parts).warnings == []


async def test_a_start_that_cannot_be_decoded(daemon: Daemon) -> None:
    daemon.rig.feed(encode({"type": "start", "series_id": "one"}))
    assert status_of(daemon.parts).warnings[0].startswith("a start message was refused: bad_field: ")


async def test_storage_that_does_not_answer(daemon: Daemon) -> None:
    rig = daemon.rig
    rig.disk.may_write.clear()
    rig.feed(*stream.run(1, n_images=1))
    await eventually(rig.disk.is_writing.is_set)
    arrived_at, _ = rig.writer.progress.current or (0, 0)
    rig.writer.progress.current = (arrived_at, daemon.clock.now)
    daemon.clock.now += 12
    status = status_of(daemon.parts)
    assert "the storage has not answered for 12 s" in status.warnings
    assert status.oldest_image_age_s == pytest.approx(12, abs=0.01)
    assert "the storage has not answered for 12 s" in (await daemon.control.health()).problems
    assert writes(daemon.parts, daemon.clock.now)
    daemon.clock.now += rig.settings.service.storage_stall_limit_s
    assert not writes(daemon.parts, daemon.clock.now)


async def test_other_warnings(daemon: Daemon) -> None:
    daemon.puller.paused = True
    daemon.puller.sources[0].n_connected = 0
    daemon.rig.feed(stream.start(1, beam_center_x="left", user_data={"sample_name": 5}), b"junk")
    daemon.rig.feed(stream.image_message(0, bkg_estimate="much"))
    warnings = status_of(daemon.parts).warnings
    assert "receiving is paused" in warnings[0]
    assert warnings[1:3] == [
        "no sender at tcp://dcu:5400",
        "1 messages could not be decoded since the last start",
    ]
    assert {text.split("'")[1] for text in warnings[3:5]} == {"beam_center_x", "sample_name"}
    assert warnings[5] == "3 fields of this run's messages were ignored; the log names them"


async def test_health_of_a_sound_daemon(daemon: Daemon) -> None:
    assert (await daemon.control.health()).healthy


async def test_cancel_without_a_run(daemon: Daemon) -> None:
    assert await daemon.control.cancel() is None


async def test_cancel_closes_the_run_with_what_it_holds(daemon: Daemon) -> None:
    rig = daemon.rig
    rig.feed(*stream.run(1, n_images=3)[:3])
    result = await daemon.control.cancel()
    assert result is not None
    assert (result.outcome, result.images_written) == ("cancelled", 2)
    rig.feed(stream.image_message(2), stream.end(1))
    assert rig.board.messages_dropped == {"after_end": 2}
    assert rig.board.images_dropped == {"after_end": 1}
    assert await daemon.control.cancel() is None
    rig.feed(*stream.run(2, n_images=1))
    await rig.settled()
    assert rig.told.announced[-1].outcome == "complete"


async def test_cancel_twice_at_once(daemon: Daemon) -> None:
    daemon.rig.disk.may_write.clear()
    daemon.rig.feed(*stream.run(1, n_images=3)[:3])
    first = asyncio.create_task(daemon.control.cancel())
    await asyncio.sleep(0)
    assert await daemon.control.cancel() is None
    daemon.rig.disk.may_write.set()
    result = await first
    assert result is not None
    assert result.outcome == "cancelled"


async def test_cancel_of_a_refused_run_ends_its_draining(daemon: Daemon) -> None:
    daemon.rig.feed(stream.start(1, user_data={"file_prefix": "/x"}))
    result = await daemon.control.cancel()
    assert result is not None
    assert result.outcome == "failed"
    assert status_of(daemon.parts).state is State.IDLE


async def test_cancel_when_the_daemon_ends_first(daemon: Daemon) -> None:
    daemon.rig.disk.may_write.clear()
    daemon.rig.feed(stream.start(1), stream.image_message(0))
    cancel = asyncio.create_task(daemon.control.cancel())
    await asyncio.sleep(0)
    daemon.rig.aftermath.give_up_waiting()
    with pytest.raises(asyncio.CancelledError):
        await cancel


async def test_gaps_are_told_while_the_run_goes_on(daemon: Daemon) -> None:
    daemon.rig.feed(stream.start(1, n_images=20))
    daemon.rig.feed(*(stream.image_message(i) for i in (0, 1, 3, 7)))
    status = status_of(daemon.parts)
    assert (status.images_missing, status.missing) == (4, [(2, 2), (4, 6)])
    daemon.rig.feed(stream.image_message(2))
    await eventually(lambda: status_of(daemon.parts).images_waiting == 0)
    daemon.clock.now += 1.0
    status = status_of(daemon.parts)
    assert (status.images_missing, status.missing) == (3, [(4, 6)])
    daemon.rig.feed(stream.start(2, n_images=20))
    daemon.rig.feed(stream.image_message(1, series_id=2))
    assert status_of(daemon.parts).missing == [(0, 0)]


async def test_gaps_are_not_looked_for_in_every_status(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.rig.feed(stream.start(1, n_images=20))
    daemon.rig.feed(stream.image_message(3))
    looks = []
    monkeypatch.setattr(type(daemon.rig.session), "gaps_so_far", lambda _: looks.append(1) or ())
    for _ in range(50):
        status_of(daemon.parts)
    assert len(looks) == 1


async def test_of_several_writers_nobody_knows_the_gaps(daemon: Daemon) -> None:
    user = {"socket_number": 1, "images_per_file": 1, "file_prefix": "run1"}
    daemon.rig.feed(stream.start(1, n_images=20, user_data=user), stream.image_message(5))
    status = status_of(daemon.parts)
    assert (status.images_missing, status.missing) == (None, [])


async def test_what_cannot_be_true_is_told_at_once(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    daemon.rig.feed(stream.start(1, detector_distance=120.0, count_time=2.0, frame_time=1.0))
    daemon.rig.feed(stream.start(1, detector_distance=120.0, count_time=2.0, frame_time=1.0))
    told = [text for text in status_of(daemon.parts).warnings if text.startswith("not plausible")]
    assert told == [
        "not plausible: detector_distance: 120 m; expected 0.001 to 60 m; is it in mm?",
        "not plausible: count_time: 2 s; longer than the 1 s from image to image",
    ]
    assert caplog.text.count("detector_distance: 120 m") == 1
    daemon.rig.feed(stream.start(2))
    assert status_of(daemon.parts).warnings == []
