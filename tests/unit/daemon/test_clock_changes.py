"""Summer time and winter time, and a clock that is set: every stamp of a run is UTC and says the moment."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import pytest

from tests.support import stream
from tests.support.real_rig import real_rig

CENTRAL_EUROPE = "CET-1CEST,M3.5.0,M10.5.0/3"
"""In POSIX's own words, which need no table of time zones."""
CHANGES = {
    "to winter time": datetime(2026, 10, 25, 1, tzinfo=UTC),  # 02:59:59 is followed by 02:00:00
    "to summer time": datetime(2026, 3, 29, 1, tzinfo=UTC),  # 01:59:59 is followed by 03:00:00
}


class WallClock:
    """What `time.time` says."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Iterator[WallClock]:
    wall = WallClock()
    with monkeypatch.context() as patch:
        patch.setenv("TZ", CENTRAL_EUROPE)
        time.tzset()
        patch.setattr(time, "time", wall)
        yield wall
    time.tzset()


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def stamps_of_a_run(root: Path, wall: WallClock, moments: tuple[float, float, float]) -> dict[str, Any]:
    """Of a run of two data files: it begins, gets its images, and ends at three moments."""
    rig = real_rig(root, files={"manifest": True, "default_prefix": "{date}/run"})
    whole = stream.run(1, n_images=6, user_data={"file_prefix": None})
    try:
        wall.now = moments[0]
        rig.feed(whole[0])
        await rig.settled()
        wall.now = moments[1]
        rig.feed(*whole[1:-1])
        await rig.settled()
        wall.now = moments[2]
        rig.feed(whole[-1])
        await rig.settled()
    finally:
        await rig.close()
    last = rig.board.last_run
    assert last is not None
    assert (last.outcome, last.missing) == ("complete", [])
    return {"finished": stamp(last.finished_at)} | stamps_in_files(root)


def stamps_in_files(root: Path) -> dict[str, str]:
    (manifest,) = root.glob("*/*.json")
    kept = json.loads(manifest.read_text())
    found = {"directory": manifest.parent.name}
    found |= {"started, manifest": kept["started_at"], "written, manifest": kept["written_at"]}
    for path in root.glob("*/*.h5"):
        with h5py.File(path) as file:
            found[path.name.removeprefix("run_")] = file.attrs["file_time"].decode()
            if "start_time" in file["entry"]:
                found["started"] = file["/entry/start_time"][()].decode()
    return found


def expected(moments: tuple[float, float, float]) -> dict[str, Any]:
    begun, written, ended = map(stamp, moments)
    return {
        "directory": begun[:10],
        "started": begun,
        "started, manifest": begun,
        "data_000001.h5": written,
        "data_000002.h5": written,
        "master.h5": ended,
        "written, manifest": ended,
        "finished": ended,
    }


@pytest.mark.parametrize("change", CHANGES)
async def test_a_run_across_the_change(tmp_path: Path, wall: WallClock, change: str) -> None:
    """In autumn the first and the last moment have the same local time, and yet other stamps."""
    at = CHANGES[change].timestamp()
    moments = (at - 1800, at - 1, at + 1800)
    if change == "to winter time":
        first, last = (time.strftime("%H:%M", time.localtime(moment)) for moment in (moments[0], moments[2]))
        assert first == last == "02:30"
    assert await stamps_of_a_run(tmp_path, wall, moments) == expected(moments)


async def test_the_day_of_a_directory_is_that_of_utc(tmp_path: Path, wall: WallClock) -> None:
    begun = datetime(2026, 10, 24, 23, 30, tzinfo=UTC).timestamp()
    moments = (begun, begun + 1, begun + 2)
    assert (await stamps_of_a_run(tmp_path, wall, moments))["directory"] == "2026-10-24"


@pytest.mark.parametrize("seconds", [-3600, 3600, -40 * 366 * 86400, 40 * 366 * 86400])
async def test_a_clock_that_is_set(tmp_path: Path, wall: WallClock, seconds: int) -> None:
    """The stamps follow it, the run is whole, no image is called missing."""
    at = CHANGES["to winter time"].timestamp()
    moments = (at, at + seconds, at + 2)
    assert await stamps_of_a_run(tmp_path, wall, moments) == expected(moments)
