from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pytest

from jfwriter.nexus import azint
from jfwriter.payload import Codec
from tests.support import messages, payloads

TEN = np.arange(10.0)
SHAPE = (24, 40)


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        ({}, None),
        ({"az_int_bin_number": 0}, None),
        ({"az_int_bin_number": 7}, (1, 7)),
        ({"az_int_bin_to_q": TEN}, (1, 10)),
        ({"az_int_bin_to_phi": TEN, "az_int_q_bin_count": 5}, (2, 5)),
        ({"az_int_bin_to_q": TEN, "az_int_phi_bin_count": 5}, (5, 2)),
        ({"az_int_bin_to_q": TEN, "az_int_phi_bin_count": 2, "az_int_q_bin_count": 5}, (2, 5)),
        ({"az_int_bin_to_q": TEN, "az_int_phi_bin_count": 3, "az_int_q_bin_count": 5}, (1, 10)),
        ({"az_int_bin_to_q": TEN, "az_int_phi_bin_count": 3}, (1, 10)),
        ({"az_int_bin_to_q": TEN, "az_int_phi_bin_count": 0, "az_int_q_bin_count": 0}, (1, 10)),
        ({"az_int_phi_bin_count": 2, "az_int_q_bin_count": 3}, (2, 3)),
        ({"az_int_bin_number": 6, "az_int_phi_bin_count": 2}, (2, 3)),
        ({"az_int_bin_number": 2**32 - 1}, None),
        ({"az_int_phi_bin_count": 2**20, "az_int_q_bin_count": 2**20}, None),
        ({"az_int_bin_to_q": TEN, "az_int_bin_number": 2**32 - 1}, (1, 10)),
    ],
)
def test_shape_of_a_profile(fields: dict[str, Any], shape: tuple[int, int] | None) -> None:
    assert azint.profile_shape(messages.start(**fields)) == shape


def test_bins(file: h5py.File, warnings: list[str]) -> None:
    start = messages.start(
        az_int_bin_to_q=TEN, az_int_bin_to_two_theta=2 * TEN, az_int_bin_to_phi=3 * TEN, az_int_q_bin_count=5
    )
    azint.bins(file, start, warnings)
    azint.bins(file, start, warnings)  # in the integrated layout a data file's part comes first
    group = file["azint"]
    for name, factor, units in (
        ("bin_to_q", 1, b"Angstrom^-1"),
        ("bin_to_two_theta", 2, b"deg"),
        ("bin_to_phi", 3, b"deg"),
    ):
        np.testing.assert_array_equal(group[name], factor * TEN.reshape(2, 5))
        assert group[name].dtype == np.dtype("<f4")
        assert group[name].attrs["units"] == units
    assert group.attrs["NX_class"] == b"NXcollection"
    assert warnings == []


def test_a_table_of_another_length_is_left_out(file: h5py.File, warnings: list[str]) -> None:
    azint.bins(file, messages.start(az_int_bin_to_q=TEN, az_int_bin_to_phi=TEN[:3]), warnings)
    assert list(file["azint"]) == ["bin_to_q"]
    assert len(warnings) == 1


@pytest.mark.parametrize(("dtype", "codec"), [("<u4", Codec.BSLZ4), (">u4", Codec.NONE), ("<u2", Codec.LZ4)])
def test_map(file: h5py.File, warnings: list[str], dtype: str, codec: Codec) -> None:
    pixels = np.indices(SHAPE).sum(0).astype(dtype)
    azint.pixel_map(file, messages.start(az_int_map=payloads.packed(pixels, codec)), SHAPE, warnings)
    stored = file["azint/map"]
    assert stored.dtype == np.dtype("<u4")
    assert stored.chunks == SHAPE
    np.testing.assert_array_equal(stored, pixels)
    assert warnings == []


def test_a_bad_map_is_left_out(file: h5py.File, warnings: list[str]) -> None:
    azint.pixel_map(file, messages.start(az_int_map=payloads.broken(SHAPE)), SHAPE, warnings)
    assert list(file["azint"]) == []
    assert len(warnings) == 1


def test_run_means(file: h5py.File, warnings: list[str]) -> None:
    end = messages.end(
        az_int_result={"dataset": TEN, "a/b": np.full(10, np.nan), "short": TEN[:3], "..": TEN}
    )
    azint.run_means(file, messages.start(az_int_bin_number=10, az_int_q_bin_count=5), end, warnings)
    group = file["azint/mean"]
    assert sorted(group) == ["a_b", "dataset"]
    np.testing.assert_array_equal(group["dataset"], TEN.reshape(2, 5))
    assert np.isnan(group["a_b"]).all()
    assert group.attrs["NX_class"] == b"NXcollection"
    assert len(warnings) == 2


def test_a_mean_without_announced_bins_is_one_row(file: h5py.File, warnings: list[str]) -> None:
    azint.run_means(file, messages.start(), messages.end(az_int_result={"all": TEN}), warnings)
    assert file["azint/mean/all"].shape == (1, 10)
