"""Chunks that are in the file before HDF5 stores them; and what HDF5 does where that was not foreseen."""

from __future__ import annotations

import ctypes
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jfwriter.hdf5 import file_driver
from jfwriter.hdf5.chunk_calls import Chunk, store_chunks
from jfwriter.hdf5.file_driver import NOWHERE, Driver, driver
from jfwriter.hdf5.file_versions import DATA_FILE, SINGLE_FILE
from jfwriter.hdf5.new_file import new_file

SHAPE = (32, 32)
N_BYTES = SHAPE[0] * SHAPE[1] * 2


class Opened(NamedTuple):
    path: Path
    file: h5py.File
    own: Driver
    handle: int
    dataset: h5py.Dataset

    def put(self, data: npt.NDArray[np.uint8], gap: int = 0) -> int:
        """Where the bytes are then."""
        place = self.own.end(self.handle) + gap
        os.pwrite(self.file.id.get_vfd_handle(), data, place)
        self.own.move_end(self.handle, place + data.size)
        return place

    def store(self, rows: range, data: list[npt.NDArray[np.uint8]], places: list[int]) -> list[int]:
        number = self.dataset.id.id
        return store_chunks(
            self.own, [Chunk(number, row, one) for row, one in zip(rows, data, strict=True)], places
        )

    def place(self, row: int) -> int:
        return int(self.dataset.id.get_chunk_info_by_coord((row, 0, 0)).byte_offset)


def known() -> Driver:
    own = driver()
    assert own is not None, "HDF5 as h5py brings it"
    return own


def opened(path: Path, libver: tuple[str, str] = DATA_FILE, n_rows: int = 200) -> Opened:
    own = known()
    file = new_file(str(path), libver, own)
    dataset = file.create_dataset(
        "data", (n_rows, *SHAPE), "<u2", chunks=(1, *SHAPE), maxshape=(None, *SHAPE)
    )
    return Opened(path, file, own, own.made(), dataset)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Opened]:
    one = opened(tmp_path / "made.h5")
    yield one
    one.file.close()


def pixels(number: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, N_BYTES, np.uint8)


@pytest.mark.parametrize("libver", [DATA_FILE, SINGLE_FILE])
def test_chunks_are_where_they_were_put(tmp_path: Path, libver: tuple[str, str]) -> None:
    """Often enough for the index to grow between them."""
    made = opened(tmp_path / "made.h5", libver)
    data = [pixels(row) for row in range(200)]
    places = []
    for first in range(0, 200, 10):
        put = [made.put(one, gap=first) for one in data[first : first + 10]]
        assert made.store(range(first, first + 10), data[first : first + 10], put) == put
        places += put
    assert [made.place(row) for row in range(200)] == places
    made.file["others"] = np.arange(1000)
    made.file.close()
    content = made.path.read_bytes()
    assert [content[place : place + N_BYTES] for place in places] == [one.tobytes() for one in data]
    with h5py.File(made.path) as file:
        assert file["data"][()].tobytes() == b"".join(one.tobytes() for one in data)
        np.testing.assert_array_equal(file["others"], np.arange(1000))


def test_what_is_there_is_not_written_again(made: Opened) -> None:
    data = pixels(1)
    place = made.put(data)
    descriptor = made.file.id.get_vfd_handle()
    os.pwrite(descriptor, b"other", place)
    assert made.store(range(1), [data], [place]) == [place]
    made.file.flush()
    assert os.pread(descriptor, 8, place) == b"other" + data[5:8].tobytes()


def test_hdf5_writes_what_is_not_there(made: Opened) -> None:
    data = [pixels(row) for row in range(3)]
    places = made.store(range(3), data, [NOWHERE] * 3)
    assert places == [made.place(row) for row in range(3)]
    made.file.flush()
    content = made.path.read_bytes()
    assert [content[place : place + N_BYTES] for place in places] == [one.tobytes() for one in data]


def test_a_chunk_that_has_a_place_keeps_it_and_is_written_there(made: Opened) -> None:
    (place,) = made.store(range(1), [pixels(1)], [NOWHERE])
    again = pixels(2)
    assert made.store(range(1), [again], [made.put(again)]) == [place]
    made.file.flush()
    assert made.path.read_bytes()[place : place + N_BYTES] == again.tobytes()
    assert made.dataset[0].tobytes() == again.tobytes()


def test_a_chunk_that_fits_into_freed_room_is_written_there(made: Opened) -> None:
    made.store(range(3), [pixels(row) for row in range(3)], [NOWHERE] * 3)
    made.dataset.resize(1, axis=0)
    made.dataset.resize(3, axis=0)
    data = [pixels(row) for row in range(10, 12)]
    put = [made.put(one) for one in data]
    places = made.store(range(1, 3), data, put)
    assert [made.place(row) for row in (1, 2)] == places
    assert made.dataset[1:].tobytes() == b"".join(one.tobytes() for one in data)


def test_a_place_that_was_not_wanted_is_given_to_nobody(made: Opened, tmp_path: Path) -> None:
    """Neither as room of the same size, nor as a place in another file where the bytes are, too."""
    made.store(range(1), [pixels(1)], [NOWHERE])
    data = pixels(2)
    place = made.put(data)
    made.store(range(1), [data], [place])
    made.file["others"] = np.arange(N_BYTES // 8)
    assert made.file["others"].id.get_offset() != place
    other = opened(tmp_path / "other.h5")
    other.own.move_end(other.handle, place)
    (there,) = other.store(range(1), [data], [NOWHERE])
    other.file.close()
    assert other.path.read_bytes()[there : there + N_BYTES] == data.tobytes()


def test_what_fails_ends_the_call(made: Opened) -> None:
    data = [pixels(row) for row in range(4)]
    put = [made.put(one) for one in data]
    number = made.dataset.id.id
    chunks = [Chunk(number, row, one) for row, one in zip((0, 1, 1 << 40, 2), data, strict=True)]
    assert store_chunks(made.own, chunks, put) == put[:2]
    assert store_chunks(made.own, chunks[3:], put[3:]) == put[3:]
    assert made.dataset[2].tobytes() == data[3].tobytes()


def test_room_given_back_is_used_again(made: Opened) -> None:
    end = made.own.end(made.handle)
    made.own.move_end(made.handle, end + (1 << 20))
    made.own.move_end(made.handle, end)
    (place,) = made.store(range(1), [pixels(1)], [NOWHERE])
    assert end <= place < end + (1 << 16)


def test_a_watched_chunk_tells_its_place(made: Opened) -> None:
    data = pixels(7)
    made.own.watch(data)
    made.dataset.id.write_direct_chunk((3, 0, 0), data, 0)
    assert made.own.found() == made.place(3)
    assert made.own.found() == NOWHERE
    made.own.watch(data[:-1])
    made.dataset.id.write_direct_chunk((4, 0, 0), data, 0)
    assert made.own.found() == NOWHERE


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(1, 8), st.integers(0, 5000)),
            st.tuples(st.just("own"), st.integers(1, 8), st.just(0)),
            st.tuples(st.just("lost"), st.integers(1, 8), st.integers(0, 5000)),
            st.tuples(st.just("dataset"), st.integers(1, 500), st.just(0)),
            st.tuples(st.just("again"), st.integers(0, 100), st.just(0)),
            st.tuples(st.just("cut"), st.integers(0, 8), st.just(0)),
        ),
        max_size=12,
    )
)
def test_whatever_comes_between_all_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    """Chunks that were put, that HDF5 writes, that are put and never stored; other datasets; rewritten and
    removed rows. HDF5 gives no place twice."""
    made = opened(tmp_path_factory.mktemp("driver") / "made.h5", n_rows=0)
    rows: list[npt.NDArray[np.uint8]] = []
    others: list[int] = []
    for number, (what, n, gap) in enumerate(steps):
        if what == "dataset":
            made.file[f"others{len(others)}"] = np.full(n, number)
            others.append(n)
        elif what == "cut":
            del rows[max(len(rows) - n, 0) :]
            made.dataset.resize(len(rows), axis=0)
        elif what == "again":
            if rows:
                row = n % len(rows)
                rows[row] = pixels(1000 + number)
                made.store(range(row, row + 1), [rows[row]], [made.put(rows[row])])
        else:
            new = [pixels(100 * number + i) for i in range(n)]
            put = [NOWHERE if what == "own" else made.put(one, gap) for one in new]
            if what != "lost":
                made.dataset.resize(len(rows) + n, axis=0)
                assert len(made.store(range(len(rows), len(rows) + n), new, put)) == n
                rows += new
    made.file.close()
    with h5py.File(made.path) as file:
        assert file["data"][()].tobytes() == b"".join(one.tobytes() for one in rows)
        for i, n in enumerate(others):
            assert file[f"others{i}"].shape == (n,)
            assert len(set(file[f"others{i}"][()])) == 1
        chunks = [file["data"].id.get_chunk_info(i) for i in range(len(rows))]
    spans = sorted((chunk.byte_offset, chunk.byte_offset + chunk.size) for chunk in chunks)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


def test_the_file_is_an_ordinary_one(made: Opened, tmp_path: Path) -> None:
    """Byte for byte what HDF5's own driver writes, if HDF5 writes all of it."""
    with new_file(str(tmp_path / "other.h5"), DATA_FILE) as file:
        other = file.create_dataset("data", (200, *SHAPE), "<u2", chunks=(1, *SHAPE), maxshape=(None, *SHAPE))
        for row in range(100):
            other.id.write_direct_chunk((row, 0, 0), pixels(row), 0)
    made.store(range(100), [pixels(row) for row in range(100)], [NOWHERE] * 100)
    made.file.close()
    assert made.path.read_bytes() == (tmp_path / "other.h5").read_bytes()


@pytest.mark.parametrize(("word", "value"), [(0, 2), (0, 1 | 1 << 32), (20, 1), (22, 0), (23, 0), (27, 0)])
def test_a_driver_that_is_built_otherwise_is_left_alone(word: int, value: int) -> None:
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fapl_sec2()
    library = file_driver.library()
    library.H5FDopen.restype = ctypes.c_void_p
    file = library.H5FDopen(b"/dev/null", 0, ctypes.c_int64(access.id), ctypes.c_uint64((1 << 63) - 1))
    words = (ctypes.c_int64 * file_driver._CLASS_WORDS).from_address(
        ctypes.c_uint64.from_address(file + 8).value
    )
    changed = (ctypes.c_int64 * file_driver._CLASS_WORDS)(*words)
    fake = (ctypes.c_uint64 * 2)(0, ctypes.addressof(changed))
    assert file_driver._driver_like(ctypes.addressof(fake)) is not None
    changed[word] = value
    assert file_driver._driver_like(ctypes.addressof(fake)) is None
    library.H5FDclose(ctypes.c_void_p(file))


def test_an_unknown_hdf5_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    driver.cache_clear()
    monkeypatch.setattr(file_driver, "_CLASS_VERSION", 7)
    assert driver() is None
    assert driver() is None
    text = "its file driver is not known here; images are stored one by one, which is slower"
    assert [record.message for record in caplog.records] == [f"HDF5 {h5py.version.hdf5_version}: {text}"]
    driver.cache_clear()


def test_a_full_disk_is_told_by_hdf5(tmp_path: Path) -> None:
    """A limit of the process stands for it."""
    script = f"""
import resource, signal
import numpy as np
from jfwriter.hdf5.chunk_calls import Chunk, store_chunks
from jfwriter.hdf5.file_driver import driver
from jfwriter.hdf5.new_file import new_file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
own = driver()
file = new_file({str(tmp_path / "full.h5")!r}, ("earliest", "v108"), own)
data = file.create_dataset("data", (10, 64, 64), "<u2", chunks=(1, 64, 64))
one = np.zeros(8192, np.uint8)
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))
print(len(store_chunks(own, [Chunk(data.id.id, i, one) for i in range(10)], [-1] * 10)))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(len(store_chunks(own, [Chunk(data.id.id, 9, one)], [-1])))
file.close()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "1"]
