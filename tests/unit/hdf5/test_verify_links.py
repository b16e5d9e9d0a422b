"""A master that does not lead to its files never gets its final name."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from jfwriter.errors import StorageError
from jfwriter.hdf5 import master_file, publish_master, verify, virtual_datasets
from jfwriter.hdf5.master_links import check_links
from jfwriter.hdf5.run_master import RunMaster
from jfwriter.session.orders import Outcome
from tests.support.writer_run import Run

MakeRun = Callable[..., Run]


def linked(folder: Path, names: list[str], n_rows: int = 4) -> str:
    path = folder / "m.h5"
    with h5py.File(path, "w") as file:
        data = file.create_group("/entry/data")
        for number, name in enumerate(names, start=1):
            data[f"data_{number:06d}"] = h5py.ExternalLink(name, "/entry/data/data")
            with h5py.File(folder / name, "w") as source:
                source["/entry/data/data"] = np.zeros((n_rows, 2, 2), "u2")
    return str(path)


def test_links_to_all_files_of_the_run(tmp_path: Path) -> None:
    names = [f"d{number}.h5" for number in range(40)]
    path = linked(tmp_path, names)
    check_links(path, "m.h5", dict.fromkeys(names, 4), 40)
    check_links(path, "m.h5", {"d3.h5": 4}, 40)
    with pytest.raises(StorageError, match=r"m\.h5: finds 4 images in d0\.h5, which has 5"):
        check_links(path, "m.h5", dict.fromkeys(names, 5), 40)
    with pytest.raises(StorageError, match=r"refers to 40 data files of 41"):
        check_links(path, "m.h5", {}, 41)
    with pytest.raises(StorageError, match=r"refers to 40 data files of 40, not to e\.h5"):
        check_links(path, "m.h5", {"e.h5": 4}, 40)
    (tmp_path / "d39.h5").unlink()
    with pytest.raises(StorageError, match=r"cannot read m\.h5 back"):
        check_links(path, "m.h5", dict.fromkeys(names, 4), 40)


def test_a_file_that_is_exchanged_while_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = linked(tmp_path, ["d.h5"])
    (tmp_path / "other").mkdir()
    other = linked(tmp_path / "other", ["d.h5"])
    real = verify.hdf5_file.open_to_read

    def exchanged(path: str) -> h5py.File:
        Path(other).replace(path)
        return real(path)

    with verify.opened(path) as file:
        assert "entry" in file
    monkeypatch.setattr(verify.hdf5_file, "open_to_read", exchanged)
    with pytest.raises(OSError, match="it was exchanged"), verify.opened(path):
        pass


def test_a_master_that_cannot_be_read_back_is_a_fault_of_the_storage(tmp_path: Path) -> None:
    path = linked(tmp_path, ["d.h5"])
    for text in ("m.h5", "no HDF5"):
        with pytest.raises(StorageError, match=r"cannot read m\.h5 back"):
            verify.check_master(path, "m.h5", 4, has_images=False)
        Path(path).write_text(text)


def test_reading_back_leaves_nothing_open(tmp_path: Path) -> None:
    path = linked(tmp_path, ["d.h5"])
    n_before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 a path object would hold one more
    with verify.opened(path):
        pass
    with pytest.raises(ZeroDivisionError), verify.opened(path):
        raise ZeroDivisionError
    assert len(os.listdir("/proc/self/fd")) == n_before  # noqa: PTH208


@pytest.mark.parametrize("file_format", [1, 2])
def test_a_wrong_name_in_the_master_fails_the_run(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, file_format: int
) -> None:
    real = master_file.fields.external_link
    monkeypatch.setattr(
        master_file.fields, "external_link", lambda g, name, file, path: real(g, name, f"x{file}", path)
    )
    monkeypatch.setattr(virtual_datasets, "_source_name", lambda name: f"x{name}".encode())
    run = make_run(file_format=file_format)
    run.write(0, 1, 2, 3, 4)
    report = run.finish(5)
    assert report.outcome is Outcome.FAILED
    assert "refers to 2 data files of 2, not to scan1_data_000001.h5" in report.reasons[0]
    assert run.names() == ["scan1_data_000001.h5", "scan1_data_000002.h5"]


@pytest.mark.parametrize("file_format", [1, 2])
def test_names_with_a_percent_sign_are_found(make_run: MakeRun, file_format: int) -> None:
    run = make_run(file_format=file_format, file_prefix="50%b%%s")
    run.write(0, 1, 2, 3, 4)
    assert run.finish(5).outcome is Outcome.COMPLETE


def test_a_file_cut_off_after_it_was_published(make_run: MakeRun) -> None:
    run = make_run(file_format=2)
    run.write(0, 1, 2, 3)
    run.writer.close_file(0)
    run.write(4)
    path = run.root / "scan1_data_000001.h5"
    os.truncate(path, path.stat().st_size - 1)
    report = run.finish(5)
    assert report.outcome is Outcome.INCOMPLETE
    assert report.by_status == {"written": 1, "file_gone": 4}
    assert report.missing == ((0, 3),)


def test_a_master_that_is_not_as_written_is_told(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(file_format=2)
    run.write(0)
    real = RunMaster.write

    def cut(*arguments: Any) -> list[str]:
        warnings = real(*arguments)
        os.truncate(run.root / "scan1_master.h5", 100)
        return warnings

    monkeypatch.setattr(RunMaster, "write", cut)
    report = run.finish(1)
    assert report.outcome is Outcome.FAILED
    assert report.reasons[0].startswith("read_back: scan1_master.h5 has 100 bytes, not ")


@pytest.mark.parametrize("file_format", [1, 2])
def test_a_master_with_another_number_of_images_is_told(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, file_format: int
) -> None:
    run = make_run(file_format=file_format)
    run.write(0)
    real = publish_master.write_master

    def wrong(file: h5py.File, *arguments: Any) -> list[str]:
        warnings = real(file, *arguments)
        file["/entry/instrument/detector/detectorSpecific/nimages"][()] = 7
        return warnings

    monkeypatch.setattr(publish_master, "write_master", wrong)
    report = run.finish(1)
    assert report.outcome is Outcome.FAILED
    assert "scan1_master.h5: nimages reads back as 7, not 1" in report.reasons[0]
    assert run.names() == ["scan1_data_000001.h5"]


def test_a_master_that_cannot_be_made_is_a_fault_of_the_storage(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(file_format=2)
    run.write(0)

    def full(*_: object) -> h5py.File:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(publish_master, "new_file", full)
    report = run.finish(1)
    assert report.outcome is Outcome.FAILED
    assert report.reasons[0].startswith("no_space: cannot create scan1_master.h5")


def test_a_master_that_has_appeared_is_not_replaced(make_run: MakeRun) -> None:
    run = make_run(file_format=2)
    run.write(0)
    (run.root / "scan1_master.h5").write_text("not ours")
    report = run.finish(1)
    assert report.outcome is Outcome.FAILED
    assert report.reasons[0].startswith("exists: scan1_master.h5 has appeared")
    assert (run.root / "scan1_master.h5").read_text() == "not ours"


@pytest.mark.parametrize("file_format", [1, 2])
def test_a_run_without_an_image_has_a_master(make_run: MakeRun, file_format: int) -> None:
    """There is no dataset of images in it whose length could be wrong."""
    run = make_run(file_format=file_format)
    assert run.finish(0).outcome is Outcome.COMPLETE
    assert run.names() == ["scan1_master.h5"]


@pytest.mark.parametrize(("n_images", "outcome"), [(2, Outcome.COMPLETE), (3, Outcome.FAILED)])
def test_a_virtual_dataset_of_another_length_is_told(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, n_images: int, outcome: Outcome
) -> None:
    run = make_run(file_format=2)
    run.write(0, 1)
    real = publish_master.write_master

    def other(file: h5py.File, *arguments: Any) -> list[str]:
        warnings = real(file, *arguments)
        (source,) = file["/entry/data/data"].virtual_sources()
        layout = h5py.VirtualLayout((n_images, 3, 4), "u2")
        layout[:2] = h5py.VirtualSource(source.file_name, source.dset_name, (2, 3, 4))
        del file["/entry/data/data"]
        file.create_virtual_dataset("/entry/data/data", layout)
        return warnings

    monkeypatch.setattr(publish_master, "write_master", other)
    report = run.finish(2)
    assert report.outcome is outcome
    if outcome is Outcome.FAILED:
        assert "scan1_master.h5: /entry/data/data reads back with 3 rows, not 2" in report.reasons[0]


def test_a_master_that_cannot_be_closed_either(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first error is told, nothing stays open, and the writer thread lives."""
    run = make_run(file_format=2)
    run.write(0)
    kept: list[h5py.File] = []
    close = h5py.File.close

    def closed(file: h5py.File) -> None:
        close(file)
        if kept:
            raise OSError(errno.EIO, "Input/output error")

    def full(file: h5py.File, *_: object) -> list[str]:
        kept.append(file)
        raise StorageError("no_space", "cannot write /entry")

    monkeypatch.setattr(publish_master, "write_master", full)
    monkeypatch.setattr(h5py.File, "close", closed)
    report = run.finish(1)
    assert report.reasons[0].startswith("no_space: cannot write /entry")
    assert not kept[0].id.valid
    assert run.names() == ["scan1_data_000001.h5"]
