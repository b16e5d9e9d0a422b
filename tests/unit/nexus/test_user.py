from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pytest

from jfwriter.nexus.user import MAX_KEYS, user
from tests.support.dump import type_name


def test_scalars_by_their_type(file: h5py.File, warnings: list[str]) -> None:
    user(file, {"hdf5": {"proposal": "p1", "visit": 3, "dose": 1.25, "test": True}, "other": [1]}, warnings)
    group = file["user"]
    assert group.attrs["NX_class"] == b"NXcollection"
    kinds = {name: type_name(item.id.get_type()) for name, item in group.items()}
    assert kinds == {"proposal": "str3", "visit": "i8", "dose": "f8", "test": "u1"}
    assert group["visit"][()] == 3
    assert group["test"][()] == 1
    assert warnings == []


def test_hostile_entries_are_skipped_and_counted(file: h5py.File, warnings: list[str]) -> None:
    hostile: dict[str, Any] = {
        "": 1, ".": 1, "..": 1, "a/b": 1, "/entry/data": 1, "a\0": 1, "\n": 1, "x" * 300: 1, "\ud800": 1,
        "list": [1], "map": {"a": 1}, "none": None, "huge": 2**63, "good": -(2**63), "größe": "Å",
    }  # fmt: skip
    user(file, {"hdf5": hostile}, warnings)
    assert sorted(file["user"]) == ["good", "größe"]
    assert list(file) == ["user"]
    assert len(warnings) == 1
    assert "13 of 15" in warnings[0]


def test_a_long_text_is_kept(file: h5py.File, warnings: list[str]) -> None:
    text = "x" * 10_000_000
    user(file, {"hdf5": {"log": text}}, warnings)
    assert len(file["user/log"][()]) == len(text)


def test_floats_that_json_does_not_know_are_kept(file: h5py.File, warnings: list[str]) -> None:
    user(file, {"hdf5": {"nan": float("nan"), "inf": float("inf")}}, warnings)
    assert np.isnan(file["user/nan"][()])


def test_the_number_of_keys_is_bounded(file: h5py.File, warnings: list[str]) -> None:
    user(file, {"hdf5": {f"k{i}": i for i in range(MAX_KEYS + 5)}}, warnings)
    assert len(file["user"]) == MAX_KEYS
    assert f"5 of {MAX_KEYS + 5}" in warnings[0]


@pytest.mark.parametrize("appendix", [None, "text", 3, [], {}, {"hdf5": None}])
def test_nothing_to_store(file: h5py.File, warnings: list[str], appendix: object) -> None:
    user(file, appendix, warnings)
    assert list(file) == []
    assert warnings == []


def test_an_appendix_of_another_type(file: h5py.File, warnings: list[str]) -> None:
    user(file, {"hdf5": [1, 2]}, warnings)
    assert list(file) == []
    assert len(warnings) == 1
