"""Messages in, orders, republished bytes, counters and news out."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import zmq

from jfwriter.daemon import pipeline
from jfwriter.daemon.fatal import Fatal
from jfwriter.daemon.writer_events import RunFinished
from jfwriter.errors import PayloadError, RunRefused, StorageError
from jfwriter.wire import stream as stream_decoder
from tests.support import hostile, messages, stream
from tests.support.eventually import eventually
from tests.support.plain_dcu import encode
from tests.support.rig import Rig
from tests.support.told import report


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig(messages.settings())
    yield rig
    await rig.close()
    if rig.fatal.failed.done():
        rig.fatal.failed.result()


async def test_a_run(rig: Rig) -> None:
    rig.feed(*stream.run(n_images=6))
    await rig.settled()
    assert rig.disk.log == [
        "open run1", "image 0", "image 1", "image 2", "image 3", "close 0", "image 4", "image 5",
        "finish complete",
    ]  # fmt: skip
    assert rig.told.files == ["run1_data_000001.h5"]
    assert [result.outcome for result in rig.told.announced] == ["complete"]
    assert rig.told.notified == rig.told.announced
    assert rig.board.last_run == rig.told.announced[0]
    assert rig.board.messages == {"start": 1, "image": 6, "end": 1}
    assert rig.board.runs == {"complete": 1}


async def test_every_message_is_sent_on_in_order_whatever_it_is(rig: Rig) -> None:
    sent = [
        *stream.run(n_images=3),
        *(data for _, data in hostile.MALFORMED),
        encode({"type": "metadata", "series_id": 1, "images": []}),
        encode({"type": "surprise"}),
        stream.image_message(1, series_id=9),
        stream.start(2, user_data={"file_prefix": "../out"}),
        *stream.run(3, n_images=1),
    ]
    rig.feed(*sent)
    assert [data for data, _ in rig.told.republished] == sent
    control = [data for data, is_control in rig.told.republished if is_control]
    assert control == [sent[0], sent[4], sent[-4], sent[-3], sent[-1]]
    await rig.settled()


async def test_nothing_malformed_stops_a_run(rig: Rig) -> None:
    whole = stream.run(n_images=4)
    rig.feed(whole[0])
    for i, (_, data) in enumerate(hostile.MALFORMED):
        rig.feed(data)
        if i < 4:
            rig.feed(whole[1 + i])
    rig.feed(whole[-1])
    await rig.settled()
    assert rig.told.announced[0].outcome == "complete"
    assert rig.board.bad_messages.total() == len(hostile.MALFORMED)
    assert rig.board.run_bad_messages == len(hostile.MALFORMED)


async def test_nothing_insane_stops_the_next_run(rig: Rig) -> None:
    for i in range(0, len(hostile.INSANE), 100):
        rig.feed(stream.start(1), stream.image_message(0), *(data for _, data in hostile.INSANE[i : i + 100]))
        rig.feed(*stream.run(2, n_images=2))
        await rig.settled()
        assert rig.told.announced[-1].outcome == "complete"
        assert rig.session.state == "idle"


async def test_each_reason_is_logged_once_per_run(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(3):
        rig.feed(stream.image_message(0, series_id=9), b"junk", encode({"type": "surprise"}))
    assert sum("no_run" in text for text in caplog.messages) == 1
    assert sum("is dropped" in text for text in caplog.messages) == 1
    assert sum("surprise" in text for text in caplog.messages) == 1
    rig.feed(stream.start(1), b"junk")
    assert sum("is dropped" in text for text in caplog.messages) == 2
    assert rig.board.images_dropped == {"no_run": 3}
    await rig.settled()


async def test_a_bug_in_the_decoder_costs_one_message(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = stream_decoder.decode

    def decode(buffer: memoryview, limits: object) -> object:
        if bytes(buffer[:3]) == b"bug":
            raise RecursionError("too deep")
        return real(buffer, limits)  # type: ignore[arg-type]

    monkeypatch.setattr(stream_decoder, "decode", decode)
    whole = stream.run(n_images=2)
    rig.feed(*whole[:2], b"bug 1", b"bug 2", *whole[2:])
    await rig.settled()
    assert rig.board.bad_messages == {"decoder_bug": 2}
    assert rig.told.announced[0].outcome == "complete"
    assert sum("the decoder failed" in text for text in caplog.messages) == 1


async def test_the_decoder_gets_a_view_that_nobody_can_write_to(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[memoryview] = []
    real = stream_decoder.decode

    def decode(buffer: memoryview, limits: object) -> object:
        seen.append(buffer)
        return real(buffer, limits)  # type: ignore[arg-type]

    monkeypatch.setattr(stream_decoder, "decode", decode)
    frame = zmq.Frame(stream.image_message(0))
    rig.pipeline.on_frame(frame)
    assert seen[0].readonly
    assert seen[0].obj is frame


async def test_a_refused_run_is_told_at_once_and_drained(rig: Rig) -> None:
    rig.feed(stream.start(1, user_data={"file_prefix": "/etc/x"}))
    assert [result.outcome for result in rig.told.announced] == ["failed"]
    assert rig.told.notified == rig.told.announced
    assert "refused" in rig.told.announced[0].reasons[0]
    rig.feed(stream.image_message(0), stream.end(1))
    assert rig.disk.log == []
    assert rig.board.messages_dropped == {"run_refused": 3}
    rig.feed(*stream.run(2, n_images=1))
    await rig.settled()
    assert [result.outcome for result in rig.told.announced] == ["failed", "complete"]


async def test_a_run_that_fails_is_drained_and_the_next_one_written(rig: Rig) -> None:
    rig.disk.raise_at["image 1"] = StorageError("no_space", "No space left on device")
    whole = stream.run(n_images=5)
    rig.feed(*whole[:3])
    await eventually(lambda: rig.session.snapshot().failure)
    rig.feed(*whole[3:])
    await rig.settled()
    assert rig.told.announced[0].outcome == "failed"
    assert rig.board.images_dropped == {"run_failed": 4}
    rig.disk.raise_at.clear()
    rig.feed(*stream.run(2, n_images=2))
    await rig.settled()
    assert rig.told.announced[1].outcome == "complete"


async def test_no_image_of_a_failed_run_vanishes(rig: Rig) -> None:
    rig.disk.may_write.clear()
    rig.disk.raise_at["image 3"] = StorageError("no_space", "No space left on device")
    rig.feed(*stream.run(n_images=9)[:-1])
    rig.disk.may_write.set()
    await eventually(lambda: rig.session.snapshot().dropped.get("run_failed") == 6)
    rig.feed(stream.image_message(9), stream.end(1))
    await rig.settled()
    (result,) = rig.told.announced
    assert (result.images_received, result.images_written) == (10, 3)
    assert result.images_dropped == {"run_failed": 7}
    assert rig.board.images_dropped == {"run_failed": 7}
    assert rig.session.snapshot().dropped["run_failed"] == 7
    assert rig.board.runs_failed == {"no_space": 1}


async def test_values_that_were_left_out_are_told(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    told_of = report(problems={"/entry/MX/bkgEstimate": 3})
    rig.board.opened(told_of.plan)
    rig.aftermath.handle(RunFinished(told_of))
    assert rig.told.announced[0].quantities_left_out == {"/entry/MX/bkgEstimate": 3}
    assert rig.board.totals(0, 0, 0).quantities_left_out == 3
    assert sum("/entry/MX/bkgEstimate: 3" in text for text in caplog.messages) == 1


async def test_refusals_are_counted_by_reason(rig: Rig) -> None:
    rig.disk.raise_at["open run2"] = RunRefused("exists", "run2_master.h5 stands there")
    rig.feed(stream.start(1, user_data={"file_prefix": "/etc/x"}), *stream.run(2, n_images=1))
    await rig.settled()
    assert rig.board.runs_refused == {"path": 1, "exists": 1}
    assert rig.board.runs_failed == {}


async def test_a_start_that_cannot_be_decoded_is_told_until_the_next_one(rig: Rig) -> None:
    rig.feed(encode({"type": "start", "series_id": "one"}), b"junk")
    assert rig.board.runs_refused == {"bad_field": 1}
    assert rig.board.refused_start.startswith("bad_field: ")
    rig.feed(encode({"type": "image", "series_id": "one"}))
    assert rig.board.runs_refused == {"bad_field": 1}
    rig.feed(stream.start(1))
    assert rig.board.refused_start == ""
    await rig.settled()


async def test_each_series_is_logged(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    for series_id in (7, 8, 7, 8):
        rig.feed(stream.image_message(0, series_id=series_id))
    assert sum("no_run" in text for text in caplog.messages) == 2


async def test_an_image_that_could_not_be_stored_is_counted(rig: Rig) -> None:
    rig.disk.raise_at["image 1"] = PayloadError("file_closed", "too late")
    rig.feed(*stream.run(n_images=3)[:-1])
    await rig.settled()
    assert rig.board.images_dropped == {"write_failed": 1}
    assert rig.session.snapshot().dropped == {"write_failed": 1}


async def test_a_new_start_supersedes_the_open_run(rig: Rig) -> None:
    rig.feed(stream.start(1), stream.image_message(0, 1), *stream.run(2, n_images=1))
    await rig.settled()
    assert [(r.run_name, r.outcome) for r in rig.told.announced] == [
        ("series 1", "incomplete"),
        ("series 2", "complete"),
    ]
    assert rig.board.unfinished == {}


async def test_a_start_that_comes_twice_opens_one_run(rig: Rig) -> None:
    whole = stream.run(n_images=2)
    rig.feed(whole[0], *whole)
    await rig.settled()
    assert rig.disk.log.count("open run1") == 1
    assert rig.board.messages_dropped == {"repeated_start": 1}
    assert rig.board.images_dropped == {}
    assert rig.told.announced[0].outcome == "complete"


async def test_what_waits_is_charged_and_what_is_dropped_is_not(rig: Rig) -> None:
    rig.disk.may_write.clear()
    rig.feed(stream.start(1))
    await eventually(lambda: rig.disk.log == ["open run1"])
    image = stream.image_message(0)
    before = rig.budget.used_bytes
    rig.feed(image, image, b"junk")
    assert rig.budget.used_bytes == before + len(image) + pipeline.MESSAGE_OVERHEAD_BYTES
    rig.disk.may_write.set()
    await rig.settled()


async def test_free_form_data_is_charged_for_its_memory(rig: Rig) -> None:
    rig.disk.may_write.clear()
    rig.feed(stream.start(1), stream.image_message(0))
    await eventually(lambda: rig.writer.progress.current)
    before = rig.budget.used_bytes
    greedy = stream.image_message(1, user_data=[[]] * 10_000)
    rig.feed(greedy)
    assert rig.budget.used_bytes - before > 50 * 10_000 + len(greedy)
    rig.disk.may_write.set()
    await rig.settled()


async def test_a_flood_of_runs_is_charged_too(rig: Rig) -> None:
    rig.disk.may_write.clear()
    rig.feed(stream.start(0), stream.image_message(0, 0))
    await eventually(lambda: rig.writer.progress.current)
    for i in range(1, 500):
        rig.feed(stream.start(i))
    assert rig.budget.used_bytes >= 499 * pipeline.MESSAGE_OVERHEAD_BYTES
    rig.disk.may_write.set()
    await rig.settled()
    assert len(rig.told.announced) == 499


async def test_another_version_of_the_interface_is_told(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for i, version in enumerate((None, 0x10, 0x10, 0x11, None)):
        fields = {} if version is None else {"magic_number": version}
        rig.feed(*stream.run(i + 1, n_images=1, **fields, from_the_future=[1, 2]))
    await rig.settled()
    assert [text for text in caplog.messages if "interface" in text] == [
        "the sender's interface has version 0x10",
        "the sender's interface has version 0x11; it was 0x10",
    ]
    assert rig.board.runs == {"complete": 5}


async def test_fields_that_are_ignored_are_counted(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.feed(stream.start(1, beam_center_x="left"))
    for i in range(3):
        rig.feed(stream.image_message(i, bkg_estimate="much"))
    await rig.settled()
    assert (rig.board.n_ignored_fields, rig.board.run_ignored_fields) == (4, 4)
    assert sum("bkg_estimate" in text for text in caplog.messages) == 1
    assert sum("beam_center_x" in text for text in caplog.messages) == 1


async def test_a_bug_in_the_writer_thread_ends_the_daemon(rig: Rig) -> None:
    rig.disk.raise_at["image 0"] = ZeroDivisionError("oops")
    rig.feed(*stream.run(n_images=1))
    await eventually(rig.fatal.failed.done)
    assert "writer thread has died" in str(rig.fatal.failed.exception())
    rig.fatal = Fatal()
