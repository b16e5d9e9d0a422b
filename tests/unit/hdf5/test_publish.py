from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import h5py
import pytest

from jfwriter.errors import StorageError
from jfwriter.hdf5 import publish
from jfwriter.hdf5.publish import PendingFile, rename_without_replacing
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.session.planning import make_plan
from tests.support import messages

FINAL = "scan_master.h5"


def open_directory(root: Path) -> RunDirectory:
    start = messages.start(file_prefix="a/scan", overwrite=True)
    return RunDirectory.open(root, make_plan(start, messages.settings(), 1, 0.0))


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[RunDirectory]:
    with open_directory(tmp_path) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a"


@pytest.fixture(params=["renameat2", "link"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "link":
        monkeypatch.setattr(publish, "_renameat2", lambda *_: errno.EINVAL)
    return str(request.param)


def pending(directory: RunDirectory, text: str = "new") -> PendingFile:
    file = PendingFile(directory, FINAL)
    Path(file.path).write_text(text)
    return file


def failing(number: int) -> Callable[..., Any]:
    def call(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "/secret/path")

    return call


def test_temporary_names(directory: RunDirectory) -> None:
    names = {PendingFile(directory, FINAL).temporary_name for _ in range(100)}
    assert len(names) == 100
    assert all(re.fullmatch(r"scan_master\.h5\.[0-9a-f]{16}\.tmp", name) for name in names)


@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize("overwrite", [True, False])
def test_publish(directory: RunDirectory, folder: Path, way: str, overwrite: bool, sync: bool) -> None:
    file = PendingFile(directory, FINAL)
    with h5py.File(file.path, "x") as content:
        content["answer"] = 42
    size_bytes = (folder / file.temporary_name).stat().st_size
    assert file.publish(overwrite=overwrite, sync=sync) == size_bytes
    assert [path.name for path in folder.iterdir()] == [FINAL]
    assert (folder / FINAL).stat().st_nlink == 1
    with h5py.File(folder / FINAL) as content:
        assert content["answer"][()] == 42


@pytest.mark.parametrize("kind", ["file", "directory", "dangling link", "link"])
def test_what_stands_there_is_never_replaced(
    directory: RunDirectory, folder: Path, way: str, kind: str
) -> None:
    (folder / "other").write_text("other")
    final = folder / FINAL
    if kind == "file":
        final.write_text("old")
    elif kind == "directory":
        final.mkdir()
    else:
        final.symlink_to("other" if kind == "link" else "nowhere")
    before = final.lstat()
    file = pending(directory)
    with pytest.raises(StorageError) as caught:
        file.publish(overwrite=False, sync=True)
    assert caught.value.reason == "exists"
    assert str(caught.value) == (
        f"a/{FINAL} has appeared since the run was started; its content stays in a/{file.temporary_name}"
    )
    assert final.lstat() == before
    assert (folder / "other").read_text() == "other"
    assert (folder / file.temporary_name).read_text() == "new"


@pytest.mark.parametrize("kind", ["file", "dangling link", "link"])
def test_overwrite_replaces_the_name_and_follows_no_link(
    directory: RunDirectory, folder: Path, kind: str
) -> None:
    (folder / "other").write_text("other")
    if kind == "file":
        (folder / FINAL).write_text("old")
    else:
        (folder / FINAL).symlink_to("other" if kind == "link" else "nowhere")
    pending(directory).publish(overwrite=True, sync=True)
    assert not (folder / FINAL).is_symlink()
    assert (folder / FINAL).read_text() == "new"
    assert sorted(path.name for path in folder.iterdir()) == ["other", FINAL]
    assert (folder / "other").read_text() == "other"


def test_overwrite_cannot_replace_a_directory(directory: RunDirectory, folder: Path) -> None:
    (folder / FINAL).mkdir()
    file = pending(directory)
    with pytest.raises(StorageError) as caught:
        file.publish(overwrite=True, sync=True)
    assert caught.value.reason == "exists"
    assert (folder / file.temporary_name).exists()


def test_a_system_may_say_of_a_directory_that_it_is_not_empty(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "replace", failing(errno.ENOTEMPTY))
    with pytest.raises(StorageError) as caught:
        pending(directory).publish(overwrite=True, sync=True)
    assert caught.value.reason == "exists"


def race(root: Path, number: int, barrier: threading.Barrier) -> str:
    with open_directory(root) as directory:
        file = pending(directory, str(number))
        barrier.wait(60)
        try:
            file.publish(overwrite=False, sync=False)
        except StorageError as error:
            return error.reason
        return "won"


def test_exactly_one_of_several_racers_wins(tmp_path: Path, way: str) -> None:
    for attempt in range(20):
        root = tmp_path / str(attempt)
        root.mkdir()
        barrier = threading.Barrier(4)
        with ThreadPoolExecutor(4) as pool:
            outcomes = list(pool.map(race, [root] * 4, range(4), [barrier] * 4))
        assert sorted(outcomes) == ["exists", "exists", "exists", "won"]
        winner = outcomes.index("won")
        assert (root / "a" / FINAL).read_text() == str(winner)
        kept = {path.read_text() for path in (root / "a").glob("*.tmp")}
        assert kept == {str(number) for number in range(4)} - {str(winner)}


def note_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes what reaches the system, in order, by what it is done to."""
    calls: list[str] = []

    def noting(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any, **more: Any) -> Any:
            if name == "fsync":
                target = Path(f"/proc/self/fd/{arguments[0]}")
                calls.append(f"fsync {'directory' if target.is_dir() else 'file'}")
            else:
                calls.append(name)
            return call(*arguments, **more)

        return noted

    for name in ("fsync", "replace", "link", "unlink"):
        monkeypatch.setattr(os, name, noting(name, getattr(os, name)))
    monkeypatch.setattr(publish, "_renameat2", noting("renameat2", publish._renameat2))
    return calls


def test_the_order_of_things(directory: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = note_calls(monkeypatch)
    pending(directory).publish(overwrite=False, sync=True)
    assert calls == ["fsync file", "renameat2", "fsync directory"]
    calls.clear()
    pending(directory).publish(overwrite=True, sync=True)
    assert calls == ["fsync file", "replace", "fsync directory"]
    calls.clear()
    pending(directory).publish(overwrite=True, sync=False)
    assert calls == ["replace"]


def test_the_order_of_things_where_names_can_only_be_linked(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "_renameat2", lambda *_: errno.EINVAL)
    calls = note_calls(monkeypatch)
    pending(directory).publish(overwrite=False, sync=True)
    assert calls == ["fsync file", "renameat2", "link", "unlink", "fsync directory"]


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.EIO, "io_error"), (errno.ENOSPC, "no_space"), (errno.EDQUOT, "no_space")]
)
def test_a_failed_fsync_is_not_tried_again_and_publishes_nothing(
    directory: RunDirectory, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: str
) -> None:
    tried = []

    def fsync(descriptor: int) -> None:
        tried.append(descriptor)
        raise OSError(number, os.strerror(number))

    file = pending(directory)
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StorageError) as caught:
        file.publish(overwrite=False, sync=True)
    assert len(tried) == 1
    assert caught.value.reason == reason
    assert f"its content stays in a/{file.temporary_name}" in str(caught.value)
    assert [path.name for path in folder.iterdir()] == [file.temporary_name]


def test_a_failed_sync_of_the_directory_is_an_error(
    directory: RunDirectory, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = pending(directory)
    monkeypatch.setattr(directory, "sync", failing(errno.EIO))
    with pytest.raises(StorageError) as caught:
        file.publish(overwrite=False, sync=True)
    assert "/secret" not in str(caught.value)
    assert str(caught.value).startswith(f"a/{FINAL} stands under its name but may not outlive a crash: Input")
    assert [path.name for path in folder.iterdir()] == [FINAL]


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM])
def test_file_systems_without_the_call_are_linked_on(
    directory: RunDirectory, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(publish, "_renameat2", lambda *_: number)
    pending(directory).publish(overwrite=False, sync=True)
    assert (folder / FINAL).read_text() == "new"


def test_other_errors_of_the_call_are_errors(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "_renameat2", lambda *_: errno.EROFS)
    with pytest.raises(StorageError) as caught:
        pending(directory).publish(overwrite=False, sync=True)
    assert caught.value.reason == "read_only"


def test_the_system_call_itself(directory: RunDirectory, folder: Path) -> None:
    (folder / "old").write_text("old")
    (folder / "taken").write_text("taken")
    assert publish._renameat2(directory.descriptor, "old", "taken") == errno.EEXIST
    assert publish._renameat2(directory.descriptor, "absent", "new") == errno.ENOENT
    with pytest.raises(FileExistsError):
        rename_without_replacing(directory.descriptor, "old", "taken")
    rename_without_replacing(directory.descriptor, "old", "new")
    assert (folder / "new").read_text() == "old"


def test_a_link_that_was_made_although_the_server_said_that_it_exists(
    directory: RunDirectory, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def link_twice(*names: str, **more: Any) -> None:
        link(*names, **more)
        link(*names, **more)

    monkeypatch.setattr(publish, "_renameat2", lambda *_: errno.EINVAL)
    monkeypatch.setattr(os, "link", link_twice)
    pending(directory).publish(overwrite=False, sync=True)
    assert [path.name for path in folder.iterdir()] == [FINAL]


def test_a_second_name_that_cannot_be_removed_does_no_harm(
    directory: RunDirectory, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "_renameat2", lambda *_: errno.EINVAL)
    monkeypatch.setattr(os, "unlink", failing(errno.EIO))
    assert pending(directory).publish(overwrite=False, sync=True) == 3
    assert (folder / FINAL).read_text() == "new"


def test_another_name_of_a_link_is_no_published_file(
    directory: RunDirectory, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "_renameat2", lambda *_: errno.EINVAL)
    (folder / "old").symlink_to("/etc/passwd")
    os.link(folder / "old", folder / FINAL, follow_symlinks=False)
    with pytest.raises(FileExistsError):
        rename_without_replacing(directory.descriptor, "old", FINAL)


def test_a_pipe_in_place_of_the_temporary_file_holds_nobody_up(directory: RunDirectory, folder: Path) -> None:
    file = pending(directory)
    name = folder / file.temporary_name
    name.unlink()
    os.mkfifo(name)
    with ThreadPoolExecutor(1) as pool:
        published = pool.submit(file.publish, overwrite=False, sync=True)
        wait([published], 10)
        hung = not published.done()
        if hung:  # lets the thread end
            os.close(os.open(name, os.O_WRONLY | os.O_NONBLOCK))
        assert not hung
        with pytest.raises(StorageError):
            published.result()
    assert not (folder / FINAL).exists()


def test_publishing_leaves_no_descriptor_open(directory: RunDirectory) -> None:
    n_before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 a path object would hold one more
    pending(directory).publish(overwrite=True, sync=True)
    assert len(os.listdir("/proc/self/fd")) == n_before  # noqa: PTH208


def test_the_size_is_never_that_of_a_link(directory: RunDirectory, folder: Path) -> None:
    file = pending(directory)
    (folder / file.temporary_name).unlink()
    (folder / file.temporary_name).symlink_to("x" * 77)
    assert file.size_bytes() == 77


def test_a_temporary_file_that_was_exchanged_for_a_link_is_not_published(
    directory: RunDirectory, folder: Path
) -> None:
    file = pending(directory)
    (folder / file.temporary_name).unlink()
    (folder / file.temporary_name).symlink_to("/etc/passwd")
    with pytest.raises(StorageError):
        file.publish(overwrite=False, sync=True)
    assert not (folder / FINAL).exists()


def test_a_temporary_file_that_has_gone(directory: RunDirectory) -> None:
    with pytest.raises(StorageError) as caught:
        PendingFile(directory, FINAL).publish(overwrite=False, sync=True)
    assert caught.value.reason == "not_found"


def test_discard(directory: RunDirectory, folder: Path) -> None:
    file = pending(directory)
    file.discard()
    file.discard()
    assert not list(folder.iterdir())
