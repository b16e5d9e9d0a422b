"""One data file: its frame, and what reading it back finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from jfwriter.errors import StorageError
from jfwriter.hdf5.data_file import DataFile, FileParts
from jfwriter.hdf5.image_dataset import ImageFormat, Scratch
from jfwriter.hdf5.plugin_set import PluginSet
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.hdf5.verify import Counted, check_extents, check_master
from jfwriter.plugins import plugins_for
from jfwriter.session.planning import make_plan
from jfwriter.settings import Settings
from tests.support import messages
from tests.support.payloads import packed

PIXELS = np.arange(12, dtype="u2").reshape(3, 4)
MakeFile = Callable[..., DataFile]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeFile]:
    directories: list[RunDirectory] = []

    def open_file(file_index: int = 1, *, channels: tuple[str, ...] = ("default",), **start: Any) -> DataFile:
        plan = make_plan(messages.start(file_prefix="sub/scan", **start), Settings(), 1, 0.0)
        directory = RunDirectory.open(tmp_path, plan)
        directories.append(directory)
        parts = FileParts(plan, directory, PluginSet(plugins_for(plan)), Scratch())
        formats = {name: ImageFormat.of(packed(PIXELS)) for name in channels}
        return DataFile(parts, file_index, formats)

    yield open_file
    for directory in directories:
        directory.close()


def published(tmp_path: Path, file: DataFile, n_rows: int, *, fill_gaps: bool = True) -> h5py.File:
    file.fill(n_rows, fill_gaps=fill_gaps)
    file.seal()
    file.publish()
    return h5py.File(tmp_path / "sub" / file.name)


def test_the_frame_of_a_data_file(make: MakeFile, tmp_path: Path) -> None:
    file = make()
    file.images.write(0, {"default": packed(PIXELS)})
    assert (file.images.n_written, file.images.end_row, list(file.images.image_ids())) == (1, 1, [4])
    with published(tmp_path, file, 4) as written:
        assert written.filename.endswith("scan_data_000002.h5")
        assert written.attrs["file_name"] == b"sub/scan_data_000002.h5"
        assert (written.attrs["default"], written.attrs["creator"]) == (b"entry", b"jfwriter")
        entry = written["entry"]
        assert entry.attrs["NX_class"] == b"NXentry"
        assert "definition" not in entry
        assert (entry["data"].attrs["NX_class"], entry["data"].attrs["signal"]) == (b"NXdata", b"data")
        data = entry["data/data"]
        assert (data.attrs["image_nr_low"], data.attrs["image_nr_high"]) == (5, 8)
        assert data.maxshape == (None, 3, 4)
    with (tmp_path / "sub" / file.name).open("rb") as raw:
        assert raw.read(9)[8] == 0, "superblock"


def test_further_channels_stand_beside_the_first(make: MakeFile, tmp_path: Path) -> None:
    file = make(channels=("low", "high"))
    file.images.write(2, {"high": packed(PIXELS + 1), "low": packed(PIXELS)})
    with published(tmp_path, file, 4) as written:
        np.testing.assert_array_equal(written["/entry/data/data"][2], PIXELS)
        np.testing.assert_array_equal(written["/entry/channels/high/data"][2], PIXELS + 1)
        assert (written["/entry/channels/high/data"][3] == 65535).all()
        assert written["/entry/channels/high"].attrs["NX_class"] == b"NXcollection"
        assert set(written["/entry/data"]) == {"data"}


def test_a_file_without_image_is_all_fill_values(make: MakeFile, tmp_path: Path) -> None:
    file = make()
    with published(tmp_path, file, 4) as written:
        assert written["/entry/data/data"].id.get_num_chunks() == 4
        assert (written["/entry/data/data"][()] == 65535).all()
        assert written["/entry/detector/number"][()].tolist() == [-1] * 4


def test_an_abandoned_file_without_image_leaves_nothing(make: MakeFile, tmp_path: Path) -> None:
    assert make().abandon(storage_works=True) is None
    assert list((tmp_path / "sub").iterdir()) == []


def test_a_phantom_row_is_cut_before_closing(make: MakeFile, tmp_path: Path) -> None:
    """After "no space left" the extent counts the image that could not be written."""
    file = make()
    file.images.write(0, {"default": packed(PIXELS)})
    name = file.abandon(storage_works=False)
    assert name is not None
    with h5py.File(tmp_path / "sub" / name) as left:
        assert left["/entry/data/data"].shape[0] == 1


def test_reading_back_finds_rows_that_are_not_there(tmp_path: Path) -> None:
    path = str(tmp_path / "x.h5")
    with h5py.File(path, "w") as file:
        data = file.create_dataset("images", (3, 2, 2), chunks=(1, 2, 2), dtype="u2")
        data[0] = 1
        file["rows"] = np.zeros(2)
    check_extents(path, "x.h5", Counted(3, [], ["/images"], 1))
    for counted, text in (
        (Counted(3, ["/rows"], [], 0), "x.h5: /rows reads back with 2 rows, not 3"),
        (Counted(2, [], ["/images"], 1), "x.h5: /images reads back with 3 rows, not 2"),
        (Counted(3, [], ["/images"], 2), "x.h5: /images reads back with 1 images, not 2"),
    ):
        with pytest.raises(StorageError, match=text) as caught:
            check_extents(path, "x.h5", counted)
        assert caught.value.reason == "read_back"
    with pytest.raises(StorageError, match=r"cannot read x\.h5 back"):
        check_extents(path, "x.h5", Counted(3, ["/absent"], [], 0))
    with pytest.raises(StorageError, match=r"cannot read y\.h5 back"):
        check_extents(str(tmp_path / "y.h5"), "y.h5", Counted(0, [], [], 0))


def test_reading_a_master_back(tmp_path: Path) -> None:
    path = str(tmp_path / "m.h5")
    with h5py.File(path, "w") as file:
        file["/entry/instrument/detector/detectorSpecific/nimages"] = 5
        file["/entry/data/data"] = np.zeros((4, 1, 1))
    check_master(path, "m.h5", 5, has_images=False)
    with pytest.raises(StorageError, match="nimages reads back as 5, not 6"):
        check_master(path, "m.h5", 6, has_images=False)
    with pytest.raises(StorageError, match="4 rows, not 5"):
        check_master(path, "m.h5", 5, has_images=True)
