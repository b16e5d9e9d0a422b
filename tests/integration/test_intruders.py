"""Whatever comes in the middle of a run is counted and said once; the run is that of a quiet night."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cbor2
import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest
import pytest_asyncio

from tests.support import hostile, stream
from tests.support.daemon import wait_for
from tests.support.dump import dump
from tests.support.intruders import Intruder, all_intruders
from tests.support.plain_dcu import PlainDcu, encode, image
from tests.support.real_rig import real_rig
from tests.support.rig import Rig
from tests.support.service import Service
from tests.support.wire_fields import ESSENTIAL, MESSAGES

INTRUDERS = tuple(all_intruders())
DECODING_BYTES = 450 << 20
"""What one message may take while it is decoded (`docs/how-to/size.md`)."""
NOW = 1_700_000_000.0
WHOLE = stream.run(1, n_images=10, arm_date="2026-01-02T03:04:05Z")
WHOLE[-1] = stream.end(1, end_date="2026-01-02T03:04:15Z")
FIRST, REST = WHOLE[:7], WHOLE[7:]
"""Split behind image 5."""


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files hold times of writing; nothing that waits looks at this clock."""
    monkeypatch.setattr(time, "time", lambda: NOW)


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    (tmp_path / "root").mkdir()
    rig = real_rig(tmp_path / "root")
    yield rig
    await rig.close()
    if rig.fatal.failed.done():
        rig.fatal.failed.result()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def quiet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the run that nobody disturbs."""
    root = tmp_path_factory.mktemp("quiet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: NOW)
        rig = real_rig(root)
        rig.feed(*WHOLE)
        await rig.settled()
        await rig.close()
    assert rig.told.announced[0].outcome == "complete"
    files = contents(root)
    assert len(files) == 4
    return files


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
    }


def unharmed(root: Path, files: dict[str, bytes] | None = None) -> dict[str, bytes | str]:
    """Data files byte by byte, and the master without what its run is said to have met."""
    found: dict[str, bytes | str] = {}
    for name, data in (contents(root) if files is None else files).items():
        found[name] = data
        if name.endswith("_master.h5"):
            copy = root.parent / "looked at"
            copy.write_bytes(data)
            lines = dump(copy).splitlines()
            copy.unlink()
            found[name] = "\n".join(line for line in lines if "/detectorSpecific/outcome" not in line)
    return found


def stored_images(path: Path) -> list[bytes]:
    with h5py.File(path) as file:
        images = file["/entry/data/data"]
        return [images.id.read_direct_chunk((row, 0, 0))[1] for row in range(len(images))]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def counters(totals: Any) -> Counter[str]:
    """The totals of board or `/status` as `name/label`, and the sum over labels as `name`."""
    found: Counter[str] = Counter(ignored_fields=totals["ignored_fields"])
    for name in ("messages", "bad_messages", "messages_dropped"):
        for label, n in totals[name].items():
            found[f"{name}/{label}"] = n
            found[name] += n
    return found


def board_totals(rig: Rig) -> dict[str, Any]:
    board = rig.board
    return {
        "ignored_fields": board.n_ignored_fields, "messages": board.messages,
        "bad_messages": board.bad_messages, "messages_dropped": board.messages_dropped,
    }  # fmt: skip


@pytest.mark.parametrize("intruder", INTRUDERS, ids=lambda intruder: intruder.name)
async def test_an_intruder_changes_nothing(
    rig: Rig, tmp_path: Path, quiet: dict[str, bytes], caplog: pytest.LogCaptureFixture, intruder: Intruder
) -> None:
    caplog.set_level(logging.INFO)
    rig.feed(*FIRST)
    before = counters(board_totals(rig))
    rig.feed(*intruder.messages)
    rose = counters(board_totals(rig)) - before
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    rig.feed(*REST)
    await rig.settled()
    assert {name: rose[name] for name in intruder.counted} == dict(intruder.counted)
    assert sum(intruder.says in text for text in said) == 1
    assert len(said) <= 1 + len(intruder.messages) * (intruder.counted.get("ignored_fields", 0) > 0)
    assert all(len(text) < 600 and text.isprintable() for text in said)
    assert rig.told.announced[0].outcome == intruder.outcome
    assert unharmed(tmp_path / "root") == unharmed(tmp_path / "root", quiet)
    assert names(tmp_path) == ["root"]


async def test_an_hour_of_silence_closes_nothing(rig: Rig, tmp_path: Path, quiet: dict[str, bytes]) -> None:
    rig.feed(*FIRST)
    rig.board.clock = lambda: time.monotonic() + 3600.0
    assert rig.session.state == "open"
    assert rig.told.announced == []
    rig.feed(*REST)
    await rig.settled()
    assert rig.told.announced[0].outcome == "complete"
    assert contents(tmp_path / "root") == quiet


async def test_the_same_start_again(rig: Rig, tmp_path: Path, quiet: dict[str, bytes]) -> None:
    rig.feed(WHOLE[0], WHOLE[0], *WHOLE)
    await rig.settled()
    assert rig.board.messages_dropped == {"repeated_start": 2}
    assert contents(tmp_path / "root") == quiet


async def test_images_and_end_behind_the_end(
    rig: Rig, tmp_path: Path, quiet: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    rig.feed(*WHOLE, *WHOLE[1:])
    await rig.settled()
    assert rig.board.messages_dropped == {"after_end": 11}
    assert sum("after_end" in text for text in caplog.messages) == 1
    assert contents(tmp_path / "root") == quiet


@pytest.mark.parametrize("kind", ["image", "end", "calibration"])
async def test_what_comes_without_a_start(
    rig: Rig, tmp_path: Path, quiet: dict[str, bytes], caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    message = {
        "image": WHOLE[1],
        "end": WHOLE[-1],
        "calibration": encode({"type": "calibration", "series_id": 1, "data": {"a": stream_image()}}),
    }[kind]
    rig.feed(message, message)
    assert rig.board.messages_dropped == {"no_run": 2}
    assert sum("no_run" in text for text in caplog.messages) == 1
    rig.feed(*WHOLE)
    await rig.settled()
    assert contents(tmp_path / "root") == quiet


async def test_runs_of_wrong_values_are_written_and_the_next_one_is_whole(
    rig: Rig, tmp_path: Path, quiet: dict[str, bytes]
) -> None:
    """Every field that only describes is wrong in every message; the images are all there."""
    # All fields of one message share the limit of its size.
    values = [value for _, value in hostile.WRONG if len(cbor2.dumps(value)) < 200_000]
    assert len(values) >= len(hostile.WRONG) - 1
    for i, value in enumerate(values):
        rig.feed(*run_of_one_value(100 + i, value))
    await rig.settled()
    assert [result.outcome for result in rig.told.announced if result.images_written != 3] == []
    prefixes = [f"run{100 + i}" for i in range(len(values))]
    assert [result.file_prefix for result in rig.told.announced] == prefixes
    for i in range(len(values)):
        with h5py.File(tmp_path / "root" / f"run{100 + i}_data_000001.h5") as file:
            for row in range(3):
                np.testing.assert_array_equal(file["/entry/data/data"][row], stream.pixels(row))
    rig.feed(*WHOLE)
    await rig.settled()
    files = contents(tmp_path / "root")
    assert {name: data for name, data in files.items() if name.startswith("run1_")} == quiet
    assert not any("/" in name for name in files)
    assert names(tmp_path) == ["root"]


async def test_names_of_regions_and_of_the_appendix(
    rig: Rig, tmp_path: Path, quiet: dict[str, bytes]
) -> None:
    odd = ["..", "/entry/data", "a/b", ".", "", "a" * 1_000_000, "a\0b", "\u202e", "data"]
    box = {"type": "box", "min_x_pxl": 0, "max_x_pxl": 1, "min_y_pxl": 0, "max_y_pxl": 1}
    appendix = {**dict.fromkeys(odd, 1.5), **{f"key {i}": i for i in range(10_000)}}
    user = {"file_prefix": "run1", "images_per_file": 4, "user": {"hdf5": appendix}}
    rois = [{**box, "name": name} for name in odd] * 2
    start = stream.start(1, user_data=user, rois=rois, arm_date="2026-01-02T03:04:05Z")
    integral = {name: {"sum": 1, "sum_square": 1, "max": 1, "pixels": 1, "x": 0.5, "y": 0.5} for name in odd}
    images = [stream.image_message(i, roi_integrals=integral) for i in range(10)]
    rig.feed(start, *images, WHOLE[-1])
    await rig.settled()
    files = contents(tmp_path / "root")
    assert files.keys() == quiet.keys()
    assert rig.told.announced[0].images_written == 10
    with h5py.File(tmp_path / "root" / "run1_master.h5") as file:
        assert list(file) == ["entry"]
        assert list(file["/entry/data"]) == ["data_000001", "data_000002", "data_000003"]
        np.testing.assert_array_equal(file["/entry/data/data_000003"][1], stream.pixels(9))
        assert 9_000 < len(file["/entry/user"]) <= 10_000
        assert all("/" not in name and len(name) < 300 for name in file["/entry/user"])
    for name in files:
        if "_data_" in name:
            with h5py.File(tmp_path / "root" / name) as file:
                assert list(file) == ["entry"]
                assert file["/entry/data/data"].shape[1:] == (stream.HEIGHT, stream.WIDTH)


@pytest.mark.parametrize("file_format", [1, 2, 3])
@pytest.mark.parametrize(("n_planned", "sent"), [(10, []), (1, [0]), (10, [0]), (10, [9])])
async def test_runs_of_hardly_any_image(
    rig: Rig, tmp_path: Path, file_format: int, n_planned: int, sent: list[int]
) -> None:
    outcome = "complete" if len(sent) == n_planned else "incomplete"
    start = stream.start(1, n_planned, user_data={"file_format": file_format})
    rig.feed(start, *(stream.image_message(i) for i in sent), stream.end(1, len(sent)))
    await rig.settled()
    (result,) = rig.told.announced
    assert (result.outcome, result.images_written) == (outcome, len(sent))
    with h5py.File(tmp_path / "root" / "run1_master.h5") as file:
        n_images = max(sent, default=-1) + 1
        assert file["/entry/instrument/detector/detectorSpecific/nimages"][()] == n_images
        if sent and file_format > 1:
            assert len(file["/entry/data/data"]) == n_images
            np.testing.assert_array_equal(file["/entry/data/data"][-1], stream.pixels(sent[-1]))


def stream_image() -> Any:
    return image(stream.pixels(0), None)


def run_of_one_value(series_id: int, value: object) -> list[bytes]:
    """Three images of a run, each message with `value` in every field that it can do without."""

    def wrong(kind: str, *kept: str) -> dict[str, object]:
        return {name: value for name in MESSAGES[kind] if name not in {*kept, *ESSENTIAL[kind]}}

    kept = (
        "series_unique_id", "image_dtype", "channels", "file_prefix", "images_per_file", "file_format",
        "user_data",
    )  # fmt: skip
    start = wrong("start", *kept)
    return [
        stream.start(series_id, 3, **{**start, "number_of_images": 3}),
        *(stream.image_message(i, series_id, **wrong("image", "series_unique_id")) for i in range(3)),
        encode(
            {"type": "calibration", "series_id": series_id, "data": {"../x": value, "ok": stream_image()}}
        ),
        stream.end(series_id, 3, **wrong("end", "series_unique_id")),
    ]


def test_all_intruders_over_sockets(tmp_path: Path, quiet: dict[str, bytes]) -> None:
    """The daemon as a beamline starts it: counters are sums, memory is what the page on sizing says."""
    root = tmp_path / "root"
    root.mkdir()
    messages = [message for intruder in INTRUDERS for message in intruder.messages]
    with PlainDcu() as dcu, Service(root, "-H0", dcu.address) as service:
        service.wait_until_ready()
        before = footprint(service)
        dcu.send(FIRST)
        service.wait_for_status(nimages=6)
        dcu.send([*messages, *REST])
        last = service.wait_for_status(state="idle", nimages=10)["last_run"]
        totals = service.status["totals"]
        after = footprint(service)
        dcu.send([stream.start(2, 1), stream.image_message(0, 2), stream.end(2, 1)])
        service.wait_for_status(state="idle", nimages=1)
        assert service.end() == 0
    expected: Counter[str] = Counter()
    for intruder in INTRUDERS:
        expected.update(intruder.counted)
    rose = counters(totals) - Counter({"messages/image": 10})
    assert {name: rose[name] for name in expected} == dict(expected)
    assert last["outcome"] == "incomplete"
    assert "3 images far beyond the plan refused" in last["reasons"]
    assert "Traceback" not in service.log
    files = contents(root)
    assert {name for name in files if name.startswith("run1_")} == quiet.keys()
    for name, data in quiet.items():
        if "_data_" in name:
            # Byte by byte they differ in the time of their making, which this daemon's clock tells.
            (tmp_path / "quiet.h5").write_bytes(data)
            assert dump(root / name) == dump(tmp_path / "quiet.h5")
            assert stored_images(root / name) == stored_images(tmp_path / "quiet.h5")
            (tmp_path / "quiet.h5").unlink()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["root", "root.log"]
    for says in {intruder.says for intruder in INTRUDERS if intruder.says.startswith("(")}:
        assert sum(says in line and "is dropped" in line for line in service.log.splitlines()) == 1
    waiting = sum(map(len, messages))
    assert after["rss_bytes"] - before["rss_bytes"] < waiting + DECODING_BYTES
    assert after["n_threads"] == before["n_threads"]


def footprint(service: Service) -> dict[str, int]:
    """The peak of the resident memory so far, lasting threads and descriptors of the daemon."""
    process = Path(f"/proc/{service.process.pid}")
    fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return {
        "rss_bytes": 1024 * int(fields["VmHWM"].split()[0]),
        "n_threads": len(lasting_threads(process)),
        "n_descriptors": len(list((process / "fd").iterdir())),
    }


def lasting_threads(process: Path) -> set[Path]:
    """Those that are there for a second: to look at the root directory and at what is left in it, the daemon
    begins a thread each time."""
    threads = set((process / "task").iterdir())
    for _ in range(20):
        time.sleep(0.05)
        threads &= set((process / "task").iterdir())
    return threads


def test_two_receivers_on_one_socket(tmp_path: Path) -> None:
    """ZeroMQ shares the messages out: one writer gets the start and every second image, and says why."""
    roots = [tmp_path / name for name in ("one", "two")]
    for root in roots:
        root.mkdir()
    n_images = 41
    with (
        PlainDcu() as dcu,
        Service(roots[0], "-H0", dcu.address) as one,
        Service(roots[1], "-H0", dcu.address) as two,
    ):
        services = (one, two)
        for service in services:
            service.wait_until_ready()
            wait_for(lambda service=service: service.status["inputs"][0]["connected"])  # type: ignore[misc]
        dcu.send(stream.run(1, n_images=n_images))
        wait_for(lambda: sum(service.status["totals"]["messages"].get("end", 0) for service in services) == 1)
        wait_for(lambda: all(service.status["state"] in {"idle", "writing"} for service in services))
        status = [service.status for service in services]
        with_run = next(i for i in range(2) if status[i]["totals"]["messages"].get("start"))
        without = 1 - with_run
        seen = [s["totals"]["images_received"] for s in status]
        assert sum(seen) == n_images
        last = status[with_run]["last_run"]
        assert last["outcome"] == "incomplete"
        assert any("two receivers" in reason for reason in last["reasons"])
        assert status[without]["images_dropped"] == {"no_run": seen[without]}
        assert [service.end() for service in services] == [0, 0]
    assert list(roots[without].iterdir()) == []
