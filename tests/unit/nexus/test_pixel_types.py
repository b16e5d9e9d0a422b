from __future__ import annotations

import h5py
import numpy as np
import pytest

from jfwriter.nexus import pixel_types


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4"])
def test_signed(dtype: str) -> None:
    kind = np.dtype(dtype)
    lowest = np.iinfo(kind).min
    assert pixel_types.fill_value(kind) == lowest
    assert pixel_types.error_value(kind, None) == lowest
    assert pixel_types.underload_value(kind, None) == lowest + 1
    assert pixel_types.underload_value(kind, -5) == -4
    assert pixel_types.underload_value(kind, np.iinfo(kind).max) == lowest + 1


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4"])
def test_unsigned(dtype: str) -> None:
    kind = np.dtype(dtype)
    assert pixel_types.fill_value(kind) == np.iinfo(kind).max
    assert pixel_types.error_value(kind, 17) == 17
    assert pixel_types.underload_value(kind, 17) == 0


def test_float() -> None:
    kind = np.dtype("f4")
    assert np.isnan(pixel_types.fill_value(kind))
    assert pixel_types.error_value(kind, None) is None
    assert pixel_types.error_value(kind, -1) == -1
    assert pixel_types.underload_value(kind, -1) is None
    assert pixel_types.bit_depth_readout(kind, None) == 32


@pytest.mark.parametrize(
    ("dtype", "sent", "wanted"),
    [("u4", 16, 32), ("u4", None, 32), ("u2", 12, 12), ("i2", None, 16), ("i4", 24, 24)],
)
def test_bit_depth_readout(dtype: str, sent: int | None, wanted: int) -> None:
    assert pixel_types.bit_depth_readout(np.dtype(dtype), sent) == wanted


@pytest.mark.parametrize("dtype", ["i1", "<i2", ">i4", "u1", "u2", "u4", "f4"])
def test_fill_values_are_values_of_their_type(dtype: str) -> None:
    kind = np.dtype(dtype)
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_fill_value(np.asarray(pixel_types.fill_value(kind), dtype=kind))
    back = np.zeros((), kind)
    creation.get_fill_value(back)
    np.testing.assert_array_equal(back, pixel_types.fill_value(kind))
