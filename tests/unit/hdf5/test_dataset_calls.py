"""Datasets that are made together: the same files and the same faults as one after another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest

from jfwriter.errors import StorageError
from jfwriter.hdf5.dataset_calls import NewDataset, make_datasets, numbers_of_rows
from jfwriter.hdf5.file_versions import DATA_FILE
from jfwriter.hdf5.new_file import new_file
from jfwriter.hdf5.plugin import StoredDataset
from jfwriter.hdf5.rows import RowDataset, RowStorage, finish_rows
from jfwriter.nexus import fields

VALUES = np.arange(24).reshape(4, 6)
ATTRIBUTES = {"units": "Å", "long": "x" * 300, "offset": 3, "scale": 0.5, "flags": np.array([1, 2], "u1")}


@pytest.fixture
def file(tmp_path: Path) -> Iterator[h5py.File]:
    with new_file(str(tmp_path / "made.h5"), DATA_FILE) as opened:
        yield opened


def new(parent: h5py.Group, name: str, dtype: str = "f4", **attributes: fields.AttributeValue) -> NewDataset:
    kind = fields.file_type(dtype)
    data = VALUES.astype(dtype)
    return NewDataset(parent.id, name, kind, fields.contiguous(), data.shape, data, [*attributes.items()])


def test_what_is_made_together_is_what_is_made_one_by_one(file: h5py.File) -> None:
    group = file.create_group("made")
    types = ["u1", "<i2", ">u4", "f8", "S5"]
    wanted = [new(group, f"größe_{kind[-2:]}", kind, **ATTRIBUTES) for kind in types]
    assert make_datasets([new(file, "bare", "u1"), *wanted]) == (6, 0)
    assert not file["bare"].attrs
    for kind, found in zip(types, wanted, strict=True):
        dataset = group[found.name]
        np.testing.assert_array_equal(dataset[()], VALUES.astype(kind))
        assert dataset.id.get_type().equal(fields.file_type(kind))
        assert group.id.links.get_info(found.name.encode()).cset == h5py.h5t.CSET_UTF8
        again = file.create_dataset(f"again_{kind[-2:]}", data=0)
        fields.attributes(again, **ATTRIBUTES)
        assert dict(dataset.attrs).keys() == ATTRIBUTES.keys()
        for key in ATTRIBUTES:
            one, other = (h5py.h5a.open(item.id, key.encode()) for item in (dataset, again))
            assert one.get_type().equal(other.get_type())
            assert one.shape == other.shape
            np.testing.assert_array_equal(dataset.attrs[key], again.attrs[key])


def test_none_stays_open(file: h5py.File) -> None:
    before = h5py.h5f.get_obj_count(file.id, h5py.h5f.OBJ_ALL)
    assert make_datasets([]) == (0, 0)
    make_datasets([new(file, name, units="m") for name in "abc"])
    assert h5py.h5f.get_obj_count(file.id, h5py.h5f.OBJ_ALL) == before


def test_the_call_ends_at_the_first_that_cannot_be_made(file: h5py.File) -> None:
    file["b"] = 1
    assert make_datasets([new(file, name) for name in "abc"]) == (1, 0)
    assert sorted(file) == ["a", "b"]


def test_rows_are_counted_as_h5py_does(file: h5py.File) -> None:
    shapes = {"a": (3,), "größe": (5, 2), "g/c": (0, 7), "g/d": (1,) * 32}
    for name, shape in shapes.items():
        file.create_dataset(name, shape, "u1")
    file["scalar"] = 1
    before = h5py.h5f.get_obj_count(file.id, h5py.h5f.OBJ_ALL)
    paths = ["/a", "/absent", "/größe", "/g/c", "/scalar", "/g", "/g/d"]
    assert numbers_of_rows(file, paths) == [3, -1, 5, 0, -1, -1, 1]
    assert numbers_of_rows(file, []) == []
    assert h5py.h5f.get_obj_count(file.id, h5py.h5f.OBJ_ALL) == before


def rows(parent: h5py.Group, name: str, n: int = 10) -> RowDataset:
    stored = StoredDataset(f"/{name}", np.dtype("i8"), (), -1, {"units": "m"})
    dataset = RowDataset(parent, stored, RowStorage(n, contiguous=False))
    dataset.put(1, 5)
    return dataset


def test_what_was_written_before_a_fault_can_be_finished_again(file: h5py.File) -> None:
    datasets = [rows(file, name) for name in "abc"]
    file["b"] = 1
    with pytest.raises(StorageError, match="/b"):
        finish_rows([(dataset, None) for dataset in datasets], 4)
    del file["b"]
    datasets[0].finish(3)
    datasets[2].finish(3)
    for name in "ac":
        assert file[name][()].tolist() == [-1, 5, -1]
        assert file[name].attrs["units"] == b"m"


def test_those_that_outgrew_memory_keep_their_place(file: h5py.File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jfwriter.hdf5.rows.TOGETHER_BYTES", 60_000)
    datasets = [rows(file, name, 0) for name in "abcdef"]
    for block in range(12):
        datasets[2].put(block * 4096, block)
    stored = finish_rows(
        [(dataset, {"long": name}) for dataset, name in zip(datasets, "abcdef", strict=True)], 4096
    )
    assert [described.path for described in stored] == [f"/{name}" for name in "abcdef"]
    for name, described in zip("abcdef", stored, strict=True):
        assert described.attributes == {"units": "m", "long": name}
        assert file[name].attrs["long"] == name.encode()
        assert file[name].shape == (4096,)
        assert file[name][1] == 5


CHILD = """
import resource, signal, sys
import numpy as np
from jfwriter.errors import StorageError
from jfwriter.hdf5.file_versions import DATA_FILE
from jfwriter.hdf5.new_file import new_file
from jfwriter.hdf5.plugin import StoredDataset
from jfwriter.hdf5.rows import RowDataset, RowStorage, finish_rows

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (80_000, 80_000))
file = new_file(sys.argv[1], DATA_FILE)
row_shape, n_rows = ((8,), 2000) if sys.argv[2] == "packed" else ((), 3000)
datasets = []
for name in "abcd":
    stored = StoredDataset(f"/{name}", np.dtype("f8"), row_shape, 0.0, {"units": "m"})
    dataset = RowDataset(file, stored, RowStorage(n_rows, contiguous=True))
    for index in range(n_rows):
        dataset.put(index, np.random.default_rng(index).random(row_shape))
    datasets.append((dataset, None))
try:
    finish_rows(datasets, n_rows)
except StorageError as error:
    print(error.reason, error, error.__context__)
"""


@pytest.mark.parametrize(("kind", "at"), [("plain", "/d"), ("packed", "/a")])
def test_a_write_that_fails_is_told_in_its_own_words(tmp_path: Path, kind: str, at: str) -> None:
    """In a process of its own: a failed write may leave something broken in HDF5."""
    command = [sys.executable, "-c", CHILD, str(tmp_path / "full.h5"), kind]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.stdout == f"file_too_large cannot write {at}: File too large None\n"
