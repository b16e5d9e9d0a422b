"""Row-cached datasets: any order of arrival, any length, bounded memory; judged by a NumPy array."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jfwriter.errors import StorageError
from jfwriter.hdf5 import rows as rows_module
from jfwriter.hdf5.plugin import StoredDataset
from jfwriter.hdf5.rows import RowDataset, RowStorage, spanned


@pytest.fixture
def file(tmp_path: Path) -> Iterator[h5py.File]:
    with h5py.File(tmp_path / "rows.h5", "w", libver=("earliest", "v108")) as opened:
        yield opened


def stored(dtype: str = "i8", row_shape: tuple[int, ...] = (), sentinel: object = -1) -> StoredDataset:
    return StoredDataset("/values", np.dtype(dtype), row_shape, sentinel, {"units": "m"})


def fill_rows(dataset: RowDataset, rows: dict[int, Any]) -> None:
    for index, value in rows.items():
        dataset.put(index, value)


def test_a_vector_of_a_data_file_is_contiguous_with_exactly_its_rows(file: h5py.File) -> None:
    dataset = RowDataset(file, stored(), RowStorage(1000, contiguous=True))
    fill_rows(dataset, {7: 70, 0: 1, 998: 5})
    dataset.finish(999)
    written = file["values"]
    assert (written.shape, written.chunks, written.dtype) == ((999,), None, np.dtype("<i8"))
    expected = np.full(999, -1)
    expected[[7, 0, 998]] = 70, 1, 5
    np.testing.assert_array_equal(written[()], expected)
    assert written.attrs["units"] == b"m"


@pytest.mark.parametrize(
    "indices",
    [list(range(4090, 4150)), [3, 1, 2], [5000, 5001, 12, 5002], [7], [1, 2, 2, 3]],
    ids=["across blocks", "any order", "far apart", "one", "twice"],
)
def test_rows_put_together_are_those_put_one_by_one(file: h5py.File, indices: list[int]) -> None:
    dataset = RowDataset(file, stored(), RowStorage(6000, contiguous=True))
    values = np.arange(100, 100 + len(indices))
    dataset.put_each(spanned(indices), values)
    dataset.finish(6000)
    expected = np.full(6000, -1)
    for index, value in zip(indices, values, strict=True):
        expected[index] = value
    np.testing.assert_array_equal(file["values"][()], expected)


@pytest.mark.parametrize(
    "indices", [list(range(250, 262)), [3, 1, 2], [500, 501, 12, 502]], ids=["across blocks", "any", "apart"]
)
def test_the_first_elements_of_rows_put_together(file: h5py.File, indices: list[int]) -> None:
    """In blocks of 256 rows; what lies behind them stays a sentinel."""
    dataset = RowDataset(file, stored(row_shape=(5,)), RowStorage(600, contiguous=True))
    values = np.arange(3 * len(indices)).reshape(-1, 3)
    dataset.put_first_each(spanned(indices), values)
    dataset.finish(600)
    expected = np.full((600, 5), -1)
    expected[indices, :3] = values
    np.testing.assert_array_equal(file["values"][()], expected)


@given(
    st.lists(st.integers(0, 5), max_size=5)
    | st.builds(list, st.builds(range, st.integers(0, 9), st.integers(0, 9)))
)
def test_a_span_is_the_same_rows(indices: list[int]) -> None:
    found = spanned(indices)
    assert list(found) == indices
    assert isinstance(found, range) == all(b == a + 1 for a, b in pairwise(indices))


def test_a_vector_of_the_single_file_has_chunks_of_4096_and_no_filter(file: h5py.File) -> None:
    dataset = RowDataset(file, stored(), RowStorage(5000, contiguous=False))
    fill_rows(dataset, {4999: 3})
    dataset.finish(5000)
    assert file["values"].chunks == (4096,)
    assert file["values"].id.get_create_plist().get_nfilters() == 0
    assert file["values"][4999] == 3


@pytest.mark.parametrize(("n_rows", "chunk_rows"), [(3, 3), (256, 256), (300, 256)])
def test_arrays_are_compressed_in_chunks_of_256_rows(file: h5py.File, n_rows: int, chunk_rows: int) -> None:
    dataset = RowDataset(file, stored("f4", (20,), np.nan), RowStorage(1000, contiguous=True))
    dataset.row(1)[:3] = 1.0, 2.0, 3.0
    dataset.finish(n_rows)
    written = file["values"]
    assert written.chunks == (chunk_rows, 20)
    properties = written.id.get_create_plist()
    assert [properties.get_filter(i)[0] for i in range(properties.get_nfilters())] == [32008]
    expected = np.full((n_rows, 20), np.nan, "f4")
    expected[1, :3] = 1, 2, 3
    np.testing.assert_array_equal(written[()], expected)


def test_chunks_of_wide_rows_stay_small(file: h5py.File) -> None:
    dataset = RowDataset(file, stored("f4", (10_000,), 0), RowStorage(1000, contiguous=True))
    dataset.row(0)[:] = 1
    dataset.finish(600)
    assert file["values"].chunks == (26, 10_000)


def test_text_is_null_terminated_ascii(file: h5py.File) -> None:
    dataset = RowDataset(file, stored("S3", (), None), RowStorage(10, contiguous=True))
    dataset.put(1, b"tP")
    dataset.finish(3)
    kind = file["values"].id.get_type()
    assert (kind.get_size(), kind.get_strpad(), kind.get_cset()) == (3, h5py.h5t.STR_NULLTERM, 0)
    assert file["values"][()].tolist() == [b"", b"tP", b""]


@pytest.mark.parametrize("contiguous", [True, False])
def test_no_rows_at_all(file: h5py.File, contiguous: bool) -> None:
    RowDataset(file, stored(), RowStorage(10, contiguous=contiguous)).finish(0)
    assert file["values"].shape == (0,)


def test_rows_behind_the_end_are_cut(file: h5py.File) -> None:
    dataset = RowDataset(file, stored(), RowStorage(10, contiguous=True))
    fill_rows(dataset, {index: index for index in range(10)})
    dataset.finish(4)
    assert file["values"][()].tolist() == [0, 1, 2, 3]


def test_attributes_known_only_at_the_end(file: h5py.File) -> None:
    dataset = RowDataset(file, stored(), RowStorage(10, contiguous=True))
    result = dataset.finish(1, {"denominator": np.uint64(1000)})
    assert result.attributes == {"units": "m", "denominator": 1000}
    assert file["values"].attrs["denominator"] == 1000


def test_a_dataset_of_unknown_length_grows_in_bounded_memory(file: h5py.File) -> None:
    dataset = RowDataset(file, stored(), RowStorage(0, contiguous=True))
    n_rows, most = 200_000, 0
    for index in range(n_rows):
        dataset.put(index, index)
        if index % 1000 == 0:
            most = max(most, dataset.resident_bytes)
    assert most <= 8 * 4096 * 8
    dataset.finish(n_rows - 5)
    assert file["values"].chunks == (4096,)
    np.testing.assert_array_equal(file["values"][()], np.arange(n_rows - 5))


def test_a_late_row_falls_into_a_block_that_is_written(file: h5py.File) -> None:
    dataset = RowDataset(file, stored("f4", (4,), np.nan), RowStorage(0, contiguous=True))
    expected = np.full((20_000, 4), np.nan, "f4")
    for index in [*range(100, 20_000), *range(50, 100), 3]:
        dataset.row(index)[:] = index
        expected[index] = index
    dataset.finish(20_000)
    np.testing.assert_array_equal(file["values"][()], expected)


def test_one_row_far_out_takes_no_room(file: h5py.File) -> None:
    dataset = RowDataset(file, stored(), RowStorage(0, contiguous=True))
    dataset.put(90_000_000, 1)
    assert dataset.resident_bytes <= 4096 * 8
    dataset.finish(90_000_001)
    written = file["values"]
    assert written.shape == (90_000_001,)
    assert (written[0], written[50_000_000], written[90_000_000]) == (-1, -1, 1)
    assert written.id.get_storage_size() <= 2 * 4096 * 8


@pytest.mark.parametrize(("capacity", "block_rows"), [(1000, 240), (0, 240), (30, 20), (7, 7)])
def test_blocks_are_whole_chunks(file: h5py.File, capacity: int, block_rows: int) -> None:
    """The dataset grows; a chunk in two blocks would be stored twice and leave a hole."""
    dataset = RowDataset(file, stored("f4", (200,), 0), RowStorage(capacity, contiguous=True), chunk_rows=20)
    dataset.row(0)[:] = 1
    assert dataset.resident_bytes == block_rows * 800
    for index in range(3000):
        dataset.row(index)[:] = index
    dataset.finish(3000)
    assert file["values"].chunks == (20, 200)
    np.testing.assert_array_equal(file["values"][:, 7], np.arange(3000))


def test_rows_larger_than_a_block_are_held_two_at_a_time(file: h5py.File) -> None:
    dataset = RowDataset(file, stored("f4", (1, 500_000), 0), RowStorage(1000, contiguous=True), chunk_rows=1)
    for index in range(5):
        dataset.row(index)[:] = index
        assert dataset.resident_bytes <= 2 * 2_000_000
    dataset.finish(6)
    assert file["values"].chunks == (1, 1, 500_000)
    assert file["values"][:, 0, 0].tolist() == [0, 1, 2, 3, 4, 0]


def test_what_one_dataset_is_made_with_does_not_show_in_the_next(file: h5py.File) -> None:
    """Their properties are kept and shared; a dataset that grows has a fill value besides."""
    for name, n_rows in (("grown", 3000), ("whole", 256)):
        described = StoredDataset(f"/{name}", np.dtype("f4"), (200,), 7, {})
        dataset = RowDataset(file, described, RowStorage(0, contiguous=True))
        dataset.row(n_rows - 1)[:] = 1
        dataset.finish(n_rows)
    assert file["grown"].fillvalue == 7
    assert file["whole"].fillvalue == 0
    assert file["grown"].chunks == file["whole"].chunks == (256, 200)
    assert [h5py.h5g.get_objinfo(file.id, name.encode()).mtime for name in file] == [0, 0]


def test_a_dataset_can_be_finished_again(file: h5py.File) -> None:
    """Of a file that could not be closed and is given up, after some of its datasets were written."""
    dataset = RowDataset(file, stored(), RowStorage(10, contiguous=False))
    dataset.put(1, 5)
    dataset.finish(3)
    dataset.finish(2)
    assert file["values"].attrs["units"] == b"m"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_gives_the_rows_of_an_array(tmp_path: Path, data: st.DataObject) -> None:
    """Small blocks, so that every path (spill, late row, tail) is taken."""
    n_rows = data.draw(st.integers(0, 60))
    indices = data.draw(st.lists(st.integers(0, 59), unique=True))
    capacity = data.draw(st.sampled_from([0, 10, 60]))
    row_shape = data.draw(st.sampled_from([(), (2,), (2, 3)]))
    contiguous = data.draw(st.booleans())
    expected = np.full((n_rows, *row_shape), -1, "i4")
    with pytest.MonkeyPatch.context() as patch, h5py.File(tmp_path / "any.h5", "w") as file:
        patch.setattr(rows_module, "VECTOR_CHUNK_ROWS", 5)
        patch.setattr(rows_module, "ARRAY_CHUNK_ROWS", 3)
        patch.setattr(rows_module, "MAX_RESIDENT", 2)
        dataset = RowDataset(file, stored("i4", row_shape), RowStorage(capacity, contiguous=contiguous))
        for index in indices:
            dataset.put(index, index)
            if index < n_rows:
                expected[index] = index
        dataset.finish(n_rows)
        np.testing.assert_array_equal(file["values"][()], expected)


def test_a_name_that_is_taken_is_a_storage_error_without_h5py_objects(file: h5py.File) -> None:
    file["values"] = 1
    dataset = RowDataset(file, stored(), RowStorage(10, contiguous=True))
    with pytest.raises(StorageError, match="/values") as caught:
        dataset.finish(1)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
