"""Directories that are moved, or exchanged for links, while a run is written: nothing leaves the root."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

import h5py
import pytest

from jfwriter.errors import FailRun, StorageError
from jfwriter.hdf5.publish import PendingFile
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.hdf5.verify import Counted, check_extents
from jfwriter.hdf5.whereabouts import lies_below, node
from jfwriter.session.orders import Outcome
from jfwriter.session.planning import make_plan
from tests.support import messages
from tests.support.daemon import DEADLINE_S
from tests.support.writer_run import Run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    return tmp_path / "outside"


def test_where_a_directory_stands(root: Path, outside: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    descriptor = os.open(root / "a" / "b", os.O_RDONLY | os.O_DIRECTORY)
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        inside = node(top)
        assert lies_below(top, inside)
        assert lies_below(descriptor, inside)
        (root / "a").rename(root / "c")
        assert lies_below(descriptor, inside)
        (root / "c").rename(outside / "c")
        assert not lies_below(descriptor, inside)
        (outside / "c" / "b").rmdir()
        assert not lies_below(descriptor, inside)
    finally:
        os.close(descriptor)
        os.close(top)


@pytest.mark.parametrize("format_", [0, 1, 2, 3], ids=["OnlyData", "Legacy", "VDS", "Integrated"])
def test_a_directory_that_is_moved_inside_the_root(root: Path, outside: Path, format_: int) -> None:
    """The images are all kept, and the run is not called complete: its names lead elsewhere."""
    run = Run(root, file_prefix="user/scan", file_format=format_, number_of_images=6, images_per_file=3)
    run.write(0, 1)
    (root / "user").rename(root / "other")
    (root / "user").symlink_to(outside)
    run.write(2, 3, 4, 5)
    report = run.finish(6)
    assert report.outcome is Outcome.INCOMPLETE
    assert any("moved or replaced" in reason for reason in report.reasons)
    assert report.n_written == 6
    assert not list(outside.iterdir())
    assert not list((root / "other").glob("*.tmp"))
    name = "scan_master.h5" if format_ == 3 else "scan_data_000002.h5"
    with h5py.File(root / "other" / name) as file:
        assert file["/entry/data/data"][-1].max() == 6


@pytest.mark.parametrize("format_", [1, 3], ids=["Legacy", "Integrated"])
def test_a_directory_that_is_moved_out_of_the_root(root: Path, outside: Path, format_: int) -> None:
    """What is open goes with it and keeps its temporary name; no file is made or published there."""
    run = Run(root, file_prefix="user/scan", file_format=format_, number_of_images=6, images_per_file=3)
    run.write(0)
    (root / "user").rename(outside / "user")
    if format_ == 1:
        with pytest.raises(StorageError, match="moved out of the root directory") as caught:
            run.write(3)
        assert caught.value.reason == "path"
    report = run.finish(6)
    assert report.outcome is Outcome.FAILED
    assert report.files == ()
    (left,) = (outside / "user").iterdir()
    assert left.suffix == ".tmp"
    with h5py.File(left) as file:
        assert file["/entry/data/data"][0].max() == 1


@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
def test_a_closed_file_that_is_exchanged_is_not_read(root: Path, outside: Path, kind: str) -> None:
    """A link might lead to anybody's file, and a pipe keeps whoever opens it waiting."""
    plan = make_plan(messages.start(file_prefix="scan"), messages.settings(), 1, 0.0)
    with RunDirectory.open(root, plan) as directory:
        pending = PendingFile(directory, "x.h5")
        place = root / pending.temporary_name
        if kind == "link":
            h5py.File(outside / "x", "w").close()
            place.symlink_to(outside / "x")
        elif kind == "pipe":
            os.mkfifo(place)
        else:
            place.mkdir()
        with pytest.raises(StorageError, match=r"cannot read x.h5 back"):
            check_extents(pending.path, "x.h5", Counted(1, (), (), 0))


def exchanged(one: Path, other: Path) -> bool:
    """Both names in one step (renameat2 with RENAME_EXCHANGE); False where the file system cannot."""
    here = -100  # AT_FDCWD: as from where we are
    return ctypes.CDLL(None).renameat2(here, os.fsencode(one), here, os.fsencode(other), 2) == 0


def exchange(one: Path, other: Path, pipe: Connection) -> None:
    """Until it is told to end."""
    pipe.send("begun")
    while not pipe.poll():
        exchanged(one, other)


def test_links_that_come_and_go_help_nobody_out(root: Path, outside: Path) -> None:
    """A second process exchanges the directory for a link, as fast as it can, while runs are started."""
    (root / "user").mkdir()
    (root / "link").symlink_to(outside)
    if not exchanged(root / "user", root / "link"):
        pytest.skip("this file system cannot exchange two names")
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=exchange, args=(root / "user", root / "link", there), daemon=True
    )
    process.start()
    there.close()
    try:
        assert here.poll(60)
        here.recv()
        n_written = n_refused = 0
        reasons: set[str] = set()
        end = time.monotonic() + DEADLINE_S
        while (n_written < 100 or n_refused < 100) and time.monotonic() < end:
            number = n_written + n_refused
            plan = make_plan(
                messages.start(file_prefix=f"user/deep/scan{number}", overwrite=bool(number % 2)),
                messages.settings(), number, 0.0,
            )  # fmt: skip
            try:
                with RunDirectory.open(root, plan) as directory:
                    pending = PendingFile(directory, f"scan{number}.h5")
                    h5py.File(pending.path, "x").close()
                    check_extents(pending.path, pending.name, Counted(0, (), (), 0))
                    pending.publish(overwrite=plan.overwrite, sync=False)
                n_written += 1
            except FailRun as error:
                reasons.add(error.reason)
                n_refused += 1
        here.send("end")
        process.join(60)
    finally:
        process.kill()
        process.join()
        here.close()
    assert reasons <= {"path", "not_found"}
    assert n_written >= 100, (n_written, n_refused)
    assert n_refused >= 100, (n_written, n_refused)
    assert not list(outside.rglob("*"))
    assert len(list(root.rglob("scan*.h5"))) == n_written
