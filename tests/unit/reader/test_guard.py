"""Files that want more of their reader than a run does: no other file is opened, no memory used up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from jfwriter import cli
from jfwriter.errors import StorageUnavailable, UsageError
from jfwriter.reader import guard
from jfwriter.reader.fields import float_of, integer_of, number_of, numbers_of, text_of, texts_of, vector_of
from jfwriter.reader.frames import FrameFile
from jfwriter.reader.images import RunImages
from jfwriter.reader.summary import summarize

DATA = "/entry/data/data"
PIXELS = np.arange(32, dtype=np.uint16).reshape(2, 4, 4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    (tmp_path / "outside").mkdir()
    with h5py.File(tmp_path / "outside" / "secret.h5", "w") as file:
        file[DATA] = PIXELS
    return tmp_path / "run"


def secret(folder: Path) -> Path:
    return folder.parent / "outside" / "secret.h5"


def linked_master(folder: Path, name: str) -> Path:
    path = folder / "x_master.h5"
    with h5py.File(path, "w") as file:
        file["/entry/definition"] = "NXmx"
        file["/entry/data/data_000001"] = h5py.ExternalLink(name, DATA)
    return path


def virtual_master(folder: Path, *names: str, source: str = DATA) -> Path:
    path = folder / "x_master.h5"
    layout = h5py.VirtualLayout((2 * len(names), 4, 4), "u2")
    for k, name in enumerate(names):
        layout[2 * k : 2 * k + 2] = h5py.VirtualSource(name, source, (2, 4, 4))
    with h5py.File(path, "w", libver="latest") as file:
        file["/entry/definition"] = "NXmx"
        file.create_virtual_dataset(DATA, layout)
    return path


def outside_names(folder: Path) -> list[str]:
    """Names by which a master may lead out of its directory; the last two are links in it."""
    (folder / "link.h5").symlink_to(secret(folder))
    (folder / "away").symlink_to(folder.parent / "outside")
    return [str(secret(folder)), "../outside/secret.h5", "away/secret.h5", "link.h5", "..", "/etc/passwd"]


@pytest.mark.parametrize("make", [linked_master, virtual_master])
def test_a_master_that_leads_elsewhere(folder: Path, make: object) -> None:
    assert callable(make)
    for name in outside_names(folder):
        path = make(folder, name)
        with pytest.raises(StorageUnavailable, match="lies outside the directory"), RunImages(path) as images:
            images.image(0)
        problems = " ".join(summarize(path).problems)
        assert "lies outside the directory of the master: not opened" in problems
    (folder / "here.h5").write_bytes(secret(folder).read_bytes())
    (folder / "also_here.h5").symlink_to("here.h5")
    for name in ("here.h5", "also_here.h5"):
        with RunImages(make(folder, name)) as images:
            np.testing.assert_array_equal(images.image(1), PIXELS[1])
    with RunImages(make(folder, str(secret(folder))), follow=True) as images:
        np.testing.assert_array_equal(images.image(1), PIXELS[1])


def test_only_the_files_of_the_image_are_looked_at(folder: Path) -> None:
    (folder / "here.h5").write_bytes(secret(folder).read_bytes())
    with RunImages(virtual_master(folder, "here.h5", str(secret(folder)))) as images:
        np.testing.assert_array_equal(images.image(0), PIXELS[0])
        with pytest.raises(StorageUnavailable, match="lies outside"):
            images.image(2)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file(folder: Path, kind: str) -> None:
    """Whoever opens such a thing may wait for ever, or never come to its end."""
    name = "x.h5" if kind == "pipe" else "/dev/zero"
    if kind == "pipe":
        os.mkfifo(folder / name)
    place = folder / name
    assert "no regular file" in " ".join(summarize(place).problems)
    for read in (lambda: RunImages(place), lambda: FrameFile(place, DATA)):
        with pytest.raises(StorageUnavailable, match="no regular file"):
            read()
    if kind == "pipe":
        with pytest.raises(StorageUnavailable, match="no regular file"):
            RunImages(linked_master(folder, name))


@pytest.mark.parametrize("command", ["plot", "simulate"])
def test_values_in_a_file_of_another_kind(
    folder: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`/etc/passwd` as pixels."""
    path = folder / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(DATA, (1, 2, 16), "u1", external=[("/etc/passwd", 0, 32)])
        file.create_dataset("/vector", (32,), "u1", external=[("/etc/passwd", 0, 32)])
        file.create_dataset("/number", (1,), "u1", external=[("/etc/passwd", 0, 1)])
        file.create_dataset("/text", (1,), "S32", external=[("/etc/passwd", 0, 32)])
        assert vector_of(file, "/vector", 100) is None
        assert integer_of(file, "/number") is None
        assert float_of(file, "/number") is None
        assert text_of(file, "/text") is None
    with pytest.raises(StorageUnavailable, match="files of another kind"), RunImages(path) as images:
        images.image(0)
    arguments = {
        "plot": [str(path), "--image", "0", "-o", str(folder / "x.png")],
        "simulate": ["--from", f"{path}:{DATA}", "tcp://127.0.0.1:*"],
    }
    assert cli.main([command, *arguments[command]]) == 74
    assert "files of another kind" in capsys.readouterr().err
    assert not (folder / "x.png").exists()


def test_links_of_images_for_the_simulator_are_not_followed(folder: Path) -> None:
    master = linked_master(folder, str(secret(folder)))
    with pytest.raises(UsageError, match="links to others are not followed"):
        FrameFile(master, "/entry/data/data_000001")


def test_virtual_data_sets_that_lead_to_each_other(folder: Path) -> None:
    """HDF5 follows them until the stack is used up, and with it the process: so in one of its own."""
    for me, other in (("a_master.h5", "b.h5"), ("b.h5", "a_master.h5")):
        virtual_master(folder, other).rename(folder / me)
    virtual_master(folder, ".").rename(folder / "self.h5")
    code = (
        "import sys; from jfwriter.reader.images import RunImages\n"
        "for path in sys.argv[1:]:\n"
        "    try: RunImages(path).image(0)\n"
        "    except Exception as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder / "a_master.h5"), str(folder / "self.h5")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("is no plain data set: not read") == 2


def test_sizes_that_no_memory_holds(folder: Path) -> None:
    path = folder / "x.h5"
    with h5py.File(path, "w") as file:
        chunked = {"chunks": (1, 1000, 1000), "compression": "gzip"}
        file.create_dataset(DATA, (1, 10**6, 10**6), "u2", **chunked)
        file.create_dataset("/chunk", (2, 40_000, 40_000), "u1", chunks=(1, 40_000, 40_000))
        file.create_dataset("/text", (), "S2000000")
    with pytest.raises(StorageUnavailable, match="are not read"), RunImages(path) as images:
        images.image(0)
    with FrameFile(path, "/chunk") as frames, pytest.raises(StorageUnavailable, match="are not unpacked"):
        frames.pixels(0)
    with h5py.File(path) as file, pytest.raises(guard.Unsafe, match="values of 2000000 bytes"):
        guard.check(file["/text"])
    assert summarize(path).n_images == 1


@pytest.mark.parametrize("filter_", [hdf5plugin.Bitshuffle(), hdf5plugin.LZ4(), hdf5plugin.Zstd()])
def test_values_packed_by_other_filters_are_not_unpacked(folder: Path, filter_: Mapping[str, Any]) -> None:
    """Some of these end the process when what they unpack is not what they made."""
    with h5py.File(folder / "x.h5", "w") as file:
        for name, values in (("numbers", np.ones(1, "u4")), ("texts", np.array([b"text"]))):
            file.create_dataset(name, data=values, chunks=(1,), **filter_)
        with pytest.raises(guard.Unsafe, match="packed by filters"):
            guard.check_values(file["numbers"])
        assert numbers_of(file, "numbers") is None
        assert vector_of(file, "numbers", 1) is None
        assert (number_of(file, "numbers"), float_of(file, "numbers")) == (None, None)
        assert integer_of(file, "numbers") is None
        assert (text_of(file, "texts"), texts_of(file, "texts", 1)) == (None, ())


def test_values_of_a_virtual_data_set(folder: Path) -> None:
    layout = h5py.VirtualLayout((1,), "u4")
    layout[:] = h5py.VirtualSource(str(secret(folder)), "/number", (1,))
    with h5py.File(secret(folder), "a") as file:
        file["/number"] = np.ones(1, "u4")
    with h5py.File(folder / "x.h5", "w") as file:
        file.create_virtual_dataset("/number", layout)
        assert integer_of(file, "/number") is None
        with pytest.raises(guard.Unsafe, match="a virtual data set"):
            guard.check_values(file["/number"])


def test_values_that_no_memory_holds(folder: Path) -> None:
    with h5py.File(folder / "x.h5", "w") as file:
        file.create_dataset("/numbers", (1 << 40,), "u1", chunks=(1 << 20,), compression="gzip")
        file.create_dataset("/texts", (1001,), "S1")
        file["/few"] = [b"a", b"\xff"]
        with pytest.raises(guard.Unsafe, match="are not read"):
            guard.check_values(file["/numbers"])
        assert numbers_of(file, "/numbers") is None
        assert texts_of(file, "/texts", 1000) == ()
        assert texts_of(file, "/few", 1000) == ("a", "\ufffd")


def test_values_packed_by_harmless_filters_are_read(folder: Path) -> None:
    packed = {"chunks": (4,), "compression": "gzip", "shuffle": True, "fletcher32": True}
    with h5py.File(folder / "x.h5", "w") as file:
        file.create_dataset("/numbers", data=np.arange(9, dtype="u4"), **packed)
        np.testing.assert_array_equal(numbers_of(file, "/numbers"), np.arange(9))


def test_ordinary_files_are_read(folder: Path) -> None:
    with RunImages(secret(folder)) as images:
        np.testing.assert_array_equal(images.image(0), PIXELS[0])
