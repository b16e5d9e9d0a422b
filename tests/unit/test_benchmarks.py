"""The programs of benchmarks/ can be started, and what they judge by is right. No times."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

import pytest

from benchmarks import cost, stalls
from benchmarks._grow import Growth
from benchmarks._recycle import Recycling
from benchmarks._replay import Replay
from benchmarks.latency import PER_FILE, second_halves, written_at
from jfwriter.bench.stream import MessageRing, Size, run_options
from jfwriter.simulator import SimulatedRun
from tests.support.daemon import wait_for

ROOT = Path(__file__).parents[2]
PROGRAMS = ("cost", "end_to_end", "http", "latency", "life", "republish", "slow_storage", "stalls",
            "two_daemons")  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    program = importlib.import_module(f"benchmarks.{name}")
    with pytest.raises(SystemExit) as end:
        program.main(["--help"])
    assert end.value.code == 0
    assert f"python -m benchmarks.{name}" in capsys.readouterr().out
    assert f"## `{name}`" in (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [(0.0, 0, "+0.0%"), (0.02, 0, "+2.0%"), (0.1, 1, "costs more than it did"), (-0.1, 0, "costs less")],
)
def test_more_instructions_than_on_record(
    change: float, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record = {"instructions_per_image": 1_000_000, "versions": cost.versions()}
    assert cost.compare(1_000_000 * (1 + change), record) == status
    out = capsys.readouterr().out
    assert said in out
    assert "other versions" not in out


def test_another_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    record = {"instructions_per_image": 10, "versions": cost.versions() | {"h5py": "1.0"}}
    cost.compare(10, record)
    assert "h5py 1.0 -> " in capsys.readouterr().out


def test_a_run_without_sockets(tmp_path: Path) -> None:
    run = SimulatedRun(run_options(Size("64x48", "int16", 2))).lengthened(25, 10)
    ring = MessageRing(run, 2)
    replay = Replay(tmp_path)
    replay.feed(run.start())
    replay.feed_all(ring.message(image_id) for image_id in range(25))
    replay.feed(run.end(range(25)))
    assert replay.report is not None
    assert replay.report.outcome == "complete"
    assert replay.report.n_written == 25
    assert len(list(tmp_path.glob("run_data_*.h5"))) == 3
    with pytest.raises(RuntimeError, match="discarded"):
        replay.feed(ring.message(3))


def test_files_are_seen_to_grow(tmp_path: Path) -> None:
    growth = Growth(tmp_path)
    growth.start()
    with (tmp_path / "run_data_000001.h5.tmp").open("wb", buffering=0) as file:
        for size in (100, 200):
            file.write(bytes(100))
            wait_for(lambda size=size: any(seen[2] == size for seen in growth.seen))
    assert [size for _, _, size in growth.stop()] == [100, 200]


def test_the_size_of_a_file_tells_its_images() -> None:
    growth = [(1.0, "run_data_000001.h5.x.tmp", 90), (2.0, "run_data_000001.h5.x.tmp", 130),
              (3.0, "run_data_000001.h5", 390), (4.0, "run_master.h5.x.tmp", 9999),
              (5.0, "run_data_000002.h5.y.tmp", 120)]  # fmt: skip
    times = written_at(growth, [100, 120], 202)
    assert times[:3] == [2.0, 3.0, 3.0]
    assert times[3] != times[3]
    assert times[200] == 5.0


def test_only_finished_files_leave_the_page_cache(tmp_path: Path) -> None:
    for name in ("run_data_000001.h5", "run_data_000002.h5.x.tmp"):
        (tmp_path / name).write_bytes(bytes(100))
    recycling = Recycling(tmp_path)
    recycling.start()
    wait_for(lambda: recycling.seen == {"run_data_000001.h5"})
    (tmp_path / "run_data_000002.h5.x.tmp").rename(tmp_path / "run_data_000002.h5")
    wait_for(lambda: recycling.seen == {"run_data_000001.h5", "run_data_000002.h5"})
    recycling.stop()


def test_images_apart_from_the_change_of_files() -> None:
    half = PER_FILE // 2
    assert second_halves(range(2 * PER_FILE)) == [*range(half, PER_FILE), *range(3 * half, 2 * PER_FILE)]


def test_a_bare_loop_times_each_of_its_calls(tmp_path: Path) -> None:
    options = argparse.Namespace(rate=2000.0, seconds=0.2, megabytes=0.2, keep=False)
    calls = stalls.Calls()
    stalls.loop(tmp_path, options, calls)
    n_calls = {name: len(seconds) for name, seconds in calls.seconds.items()}
    assert n_calls["write"] == n_calls["late"] == 400
    assert n_calls["fsync of the file"] == 2
    assert n_calls["sync_file_range"] == 2
