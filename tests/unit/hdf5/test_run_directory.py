from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest

from jfwriter.errors import FailRun, RunRefused, StorageError
from jfwriter.hdf5 import run_directory
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.session.paths import LONGEST_TAIL
from jfwriter.session.plan import RunPlan
from jfwriter.session.planning import make_plan
from tests.support import messages


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Iterator[None]:
    descriptors = Path("/proc/self/fd")
    before = sum(1 for _ in descriptors.iterdir())
    yield
    assert sum(1 for _ in descriptors.iterdir()) == before


def plan(prefix: str = "a/b/scan", n_writers: int = 0, **fields: Any) -> RunPlan:
    settings = messages.settings(files={"n_writers": n_writers})
    return make_plan(messages.start(file_prefix=prefix, **fields), settings, 1, 0.0)


def refused(root: Path, asked: RunPlan, kind: type[FailRun] = RunRefused) -> FailRun:
    with pytest.raises(kind) as caught:
        RunDirectory.open(root, asked)
    assert str(root) not in str(caught.value)
    return caught.value


def contents(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def raising(number: int) -> Callable[..., Any]:
    def call(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "/secret/path")

    return call


def test_directories_are_made(root: Path) -> None:
    with RunDirectory.open(root, plan()) as directory:
        assert contents(root) == ["a", "a/b"]
        assert directory.relative("scan_master.h5") == "a/b/scan_master.h5"
        assert not directory.exists("scan_master.h5")
        with h5py.File(directory.path("scan_master.h5.tmp"), "x") as file:
            file["here"] = 1
        assert directory.exists("scan_master.h5.tmp")
        directory.sync()
    assert contents(root) == ["a", "a/b", "a/b/scan_master.h5.tmp"]
    directory.close()


def test_a_prefix_without_directories(root: Path) -> None:
    with RunDirectory.open(root, plan("scan")) as directory:
        assert directory.relative("scan_master.h5") == "scan_master.h5"
        Path(directory.path("x")).touch()
    assert contents(root) == ["x"]


def test_h5py_creates_nothing_twice(root: Path) -> None:
    with RunDirectory.open(root, plan()) as directory:
        h5py.File(directory.path("x"), "x").close()
        with pytest.raises(FileExistsError):
            h5py.File(directory.path("x"), "x")


def test_files_go_to_the_directory_that_was_opened(root: Path, tmp_path: Path) -> None:
    with RunDirectory.open(root, plan("a/scan")) as directory:
        (root / "a").rename(root / "moved")
        (tmp_path / "outside").mkdir()
        (root / "a").symlink_to(tmp_path / "outside")
        h5py.File(directory.path("x"), "x").close()
    assert (root / "moved" / "x").exists()
    assert not list((tmp_path / "outside").iterdir())


def test_a_link_put_where_a_directory_was_to_be_made(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside").mkdir()

    def mkdir(part: str, *, dir_fd: int) -> None:
        os.symlink(tmp_path / "outside", part, dir_fd=dir_fd)
        raise FileExistsError(errno.EEXIST, "somebody was faster")

    monkeypatch.setattr(os, "mkdir", mkdir)
    assert refused(root, plan("a/scan"), StorageError).reason == "io_error"
    assert not list((tmp_path / "outside").iterdir())


def test_two_writers_make_one_directory(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = os.mkdir

    def mkdir(part: str, *, dir_fd: int) -> None:
        make(part, dir_fd=dir_fd)
        raise FileExistsError(errno.EEXIST, "somebody was faster")

    monkeypatch.setattr(os, "mkdir", mkdir)
    RunDirectory.open(root, plan()).close()
    assert contents(root) == ["a", "a/b"]


def test_links_inside_the_root_are_followed(root: Path) -> None:
    (root / "store").mkdir()
    (root / "a").symlink_to("store")
    with RunDirectory.open(root, plan()) as directory:
        Path(directory.path("x")).touch()
    assert contents(root / "store") == ["b", "b/x"]


@pytest.mark.parametrize("prefix", ["a/scan", "a/new/scan", "new/../a/scan"])
def test_nothing_is_created_for_a_refused_run(root: Path, tmp_path: Path, prefix: str) -> None:
    (tmp_path / "outside").mkdir()
    (root / "a").symlink_to(tmp_path / "outside")
    try:
        asked = plan(prefix)
    except RunRefused:
        pass
    else:
        assert refused(root, asked).reason == "path"
    assert contents(root) == ["a"]
    assert not list((tmp_path / "outside").iterdir())


def test_a_file_where_a_directory_should_be(root: Path) -> None:
    (root / "a").touch()
    error = refused(root, plan())
    assert (error.reason, str(error)) == ("path", "directory a: is not a directory")


@pytest.mark.parametrize(
    ("name", "fields", "conflict"),
    [
        ("scan_master.h5", {}, True),
        ("scan_data_000001.h5", {}, True),
        ("scan_data_000003.h5", {}, True),
        ("scan_data_000004.h5", {}, False),
        ("scan_data_000004.h5", {"number_of_images": None}, True),
        ("scan_data_1234567.h5", {"number_of_images": None}, True),
        ("scan_data_0000001.h5", {}, False),
        ("scan_data_000000.h5", {}, False),
        ("scan_data_00000a.h5", {}, False),
        ("scan_data_٠٠٠٠٠١.h5", {}, False),
        ("scan_data_000001.h5.0123456789abcdef.tmp", {}, False),
        ("scan2_data_000001.h5", {}, False),
        ("scan_master.h5", {"write_master_file": False}, False),
        ("scan_master.h5", {"file_format": 0}, False),
        ("scan_master.h5", {"file_format": 3}, True),
        ("scan_data_000001.h5", {"file_format": 3}, False),
        ("scan_data_000001.h5", {"file_format": 0}, True),
        ("scan_data_000001.h5", {"images_per_file": 0}, True),
        ("scan_data_000002.h5", {"images_per_file": 0}, False),
        ("scan_master.h5", {"file_format": 6}, False),
        ("scan_data_000001.h5", {"file_format": 6}, False),
        ("scan_data_000001.h5", {"socket_number": 0}, True),
        ("scan_data_000001.h5", {"socket_number": 1}, False),
        ("scan_data_000001.h5", {"socket_number": 0, "n_writers": 1}, True),
        ("scan_master.h5", {"socket_number": 0}, True),
        ("scan_master.h5", {"socket_number": 1}, False),
    ],
)
def test_files_of_the_run_that_stand_there(
    root: Path, name: str, fields: dict[str, Any], conflict: bool
) -> None:
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / name).write_text("precious")
    asked = plan(**fields)
    if conflict:
        error = refused(root, asked)
        assert error.reason == "exists"
        assert str(error).startswith(f"a/b/{name} exists already")
    else:
        RunDirectory.open(root, asked).close()
    RunDirectory.open(root, plan(overwrite=True, **fields)).close()
    assert (root / "a" / "b" / name).read_text() == "precious"


@pytest.mark.parametrize("kind", ["directory", "dangling link"])
def test_whatever_stands_there_is_in_the_way(root: Path, kind: str) -> None:
    if kind == "directory":
        (root / "scan_master.h5").mkdir()
    else:
        (root / "scan_master.h5").symlink_to("nowhere")
    assert refused(root, plan("scan")).reason == "exists"
    if kind == "directory":
        assert "it is a directory" in str(refused(root, plan("scan", overwrite=True)))
    else:
        RunDirectory.open(root, plan("scan", overwrite=True)).close()


def test_the_first_file_in_the_way_is_named(root: Path) -> None:
    for name in ("scan_master.h5", "scan_data_000003.h5", "scan_data_000002.h5"):
        (root / name).touch()
    assert str(refused(root, plan("scan"))).startswith("scan_data_000002.h5 exists already")


def test_no_root(root: Path) -> None:
    assert refused(root / "absent", plan()).reason == "not_found"


def test_names_longer_than_the_file_system_takes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class ShortNames:
        f_namemax = len("scan" + LONGEST_TAIL)

    monkeypatch.setattr(os, "fstatvfs", lambda _: ShortNames)
    RunDirectory.open(root, plan("scan")).close()
    assert f"the file system allows {ShortNames.f_namemax}" in str(refused(root, plan("scans")))
    assert refused(root, plan("d" * (ShortNames.f_namemax + 1) + "/s")).reason == "path"
    assert contents(root) == []


def test_a_path_that_no_reader_could_open(root: Path) -> None:
    error = refused(root, plan("/".join(["d" * 200] * 20 + ["scan"])))
    assert error.reason == "path"
    assert "4095" in str(error)
    assert contents(root) == []


def test_no_permission_is_said_before_anything_is_made(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    assert refused(root, plan()).reason == "no_permission"
    assert contents(root) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_no_permission(root: Path) -> None:
    (root / "a").mkdir(mode=0o500)
    assert refused(root, plan()).reason == "no_permission"
    (root / "a").chmod(0)
    assert refused(root, plan()).reason == "no_permission"
    (root / "a").chmod(0o700)


def test_a_read_only_file_system(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class ReadOnly:
        f_namemax = 255
        f_flag = os.ST_RDONLY

    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    monkeypatch.setattr(os, "fstatvfs", lambda _: ReadOnly)
    assert refused(root, plan()).reason == "read_only"


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "no_space"),
        (errno.EDQUOT, "no_space"),
        (errno.EROFS, "read_only"),
        (errno.EACCES, "no_permission"),
        (errno.EIO, "io_error"),
    ],
)
def test_a_directory_that_cannot_be_made(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: str
) -> None:
    monkeypatch.setattr(os, "mkdir", raising(number))
    error = refused(root, plan(), StorageError)
    assert error.reason == reason
    assert "a/b" in str(error)
    assert "/secret" not in str(error)
    assert error.__context__ is None


@pytest.mark.parametrize(("number", "reason"), [(errno.EACCES, "no_permission"), (errno.ESTALE, "io_error")])
def test_a_directory_that_cannot_be_entered(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: str
) -> None:
    monkeypatch.setattr("jfwriter.hdf5.link_walk.open_step", raising(number))
    error = refused(root, plan())
    assert error.reason == reason
    assert "/secret" not in str(error)


def test_made_directories_are_synced_on_request(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").readlink()))
    RunDirectory.open(root, plan()).close()
    assert synced == [root.resolve(), (root / "a").resolve()]
    synced.clear()
    settings = messages.settings(files={"sync": False})
    RunDirectory.open(root, make_plan(messages.start(file_prefix="c/d/x"), settings, 1, 0.0)).close()
    assert synced == []


def test_file_systems_that_cannot_sync_directories(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RunDirectory.open(root, plan()) as directory:
        monkeypatch.setattr(os, "fsync", raising(errno.EINVAL))
        directory.sync()
        monkeypatch.setattr(os, "fsync", raising(errno.EIO))
        with pytest.raises(OSError, match="Input/output error"):
            run_directory.sync_directory(directory.descriptor)


@pytest.mark.parametrize("file_format", [0, 1, 2])
@pytest.mark.parametrize(
    ("n_writers", "number", "is_refused"),
    [(0, 2, True), (0, 1, False), (0, 4, False), (2, 2, True), (2, 4, True), (2, 3, False)],
)
def test_of_several_writers_each_finds_its_own_files(
    root: Path, *, file_format: int, n_writers: int, number: int, is_refused: bool
) -> None:
    asked = plan(
        "scan", n_writers, file_format=file_format, socket_number=1, images_per_file=1, number_of_images=8
    )
    (root / f"scan_data_{number:06d}.h5").touch()
    if is_refused:
        assert refused(root, asked).reason == "exists"
    else:
        RunDirectory.open(root, asked).close()
