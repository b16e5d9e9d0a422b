"""Room for what a run announces."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jfwriter.errors import RunRefused
from jfwriter.hdf5.preflight import Compression, Room, expected_bytes, raw_image_bytes, shortages
from jfwriter.hdf5.storage import Storage
from jfwriter.session.plan import RunPlan
from jfwriter.session.planning import make_plan
from tests.support import messages
from tests.support.mounts import tmpfs
from tests.support.writer_run import Run


def plan(n_writers: int = 1, **fields: Any) -> RunPlan:
    """Images of 2 MB."""
    values = {"image_size_x": 1000, "image_size_y": 1000, "number_of_images": 100, "images_per_file": 10}
    settings = messages.settings(files={"n_writers": n_writers})
    return make_plan(messages.start(**(values | fields)), settings, 1, 0.0)


def learned(share: float) -> Compression:
    compression = Compression()
    compression.learn(1000, int(1000 * share))
    return compression


@pytest.mark.parametrize(
    ("compression", "n_free_bytes", "is_short"),
    [
        (Compression(), 9_999_999, True),
        (Compression(), 10_000_000, False),
        (learned(0.5), 99_999_999, True),
        (learned(0.5), 100_000_000, False),
    ],
)
def test_room_in_bytes(compression: Compression, n_free_bytes: int, is_short: bool) -> None:
    found = shortages(plan(), compression, [Room(n_free_bytes, None)])
    assert [text for text in found if "are free" in text] == found
    assert bool(found) is is_short


def test_two_file_systems_have_the_room_of_both() -> None:
    rooms = [Room(60_000_000, 6), Room(60_000_000, 5)]
    assert shortages(plan(), learned(0.5), rooms) == []
    assert len(shortages(plan(), learned(0.5), rooms[:1])) == 2


def test_room_in_files() -> None:
    assert shortages(plan(), Compression(), [Room(10**9, 11)]) == []
    (found,) = shortages(plan(), Compression(), [Room(10**9, 10)])
    assert found == "the run needs 11 files, the file system has room for 10 (inodes)"


@pytest.mark.parametrize(
    "fields",
    [
        {"number_of_images": None},
        {"number_of_images": 0},
        {"file_format": 6},
        {"data_reduction_factor_serialmx": 0.1},
        {"socket_number": 1, "n_writers": 10},
    ],
)
def test_what_cannot_be_told_or_is_not_written_here(fields: dict[str, Any]) -> None:
    assert shortages(plan(**fields), learned(0.5), [Room(10_000_000, None)]) == []


def test_each_channel_needs_its_room() -> None:
    two = plan(channels=("low", "high"))
    assert raw_image_bytes(two) == 2 * raw_image_bytes(plan()) == 4_000_000


@pytest.mark.parametrize("factor", [-1.0, 0.0, 1.0, 7.0, float("inf"), float("nan")])
def test_a_share_of_kept_images_that_is_none_changes_nothing(factor: float) -> None:
    asked = plan(data_reduction_factor_serialmx=factor)
    assert expected_bytes(asked, Compression()) == expected_bytes(plan(), Compression())


def test_how_many_writers_share_the_run_may_not_be_known() -> None:
    assert expected_bytes(plan(n_writers=0, socket_number=1), Compression()) == 10_000_000


@pytest.mark.parametrize(("n_files", "n_free"), [(0, None), (100, 7)])
def test_a_file_system_that_counts_no_inodes(
    monkeypatch: pytest.MonkeyPatch, n_files: int, n_free: int | None
) -> None:
    """As btrfs does: it says 0 of 0."""
    system = SimpleNamespace(f_files=n_files, f_favail=n_free or 0, f_bavail=3, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda _: system)
    assert Room.of("anywhere") == Room(12_288, n_free)


def test_the_share_follows_the_latest_files() -> None:
    compression = learned(1.0)
    compression.learn(0, 5)
    for _ in range(20):
        compression.learn(1000, 200)
    assert compression.share == pytest.approx(0.2, abs=1e-4)


@pytest.mark.parametrize("choice", ["off", "warn", "refuse"])
def test_what_the_setting_says(tmp_path: Path, choice: str) -> None:
    with tmpfs(tmp_path / "root", "size=1m") as root:
        settings = messages.settings(files={"root_dir": str(root), "preflight": choice})
        storage = Storage(settings.files)
        asked = plan()
        if choice == "refuse":
            with pytest.raises(RunRefused, match=r"100 images need 10 MB at the least and 1.05 MB are free"):
                storage.open_directory(asked)
            return
        storage.open_directory(asked).close()
        assert len(storage.notices_of(asked.serial)) == (choice == "warn")
        assert storage.notices_of(asked.serial + 1) == ()


def test_closed_files_are_learned_from(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.write(0, 1, 2, 3)
    run.writer.close_file(0)
    assert run.writer._roots is not None
    storage = run.writer._roots.storage
    size_bytes = (tmp_path / "scan1_data_000001.h5").stat().st_size
    assert storage.compression.share == size_bytes / (4 * 3 * 4 * 2)
