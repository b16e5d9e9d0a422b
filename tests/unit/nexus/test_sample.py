from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from jfwriter.nexus.image_numbers import image_numbers
from jfwriter.nexus.sample import sample
from jfwriter.wire.messages import UnitCell
from tests.support import messages


def written(file: h5py.File, **fields: Any) -> h5py.Group:
    warnings: list[str] = []
    group = sample(file, messages.start(**fields), image_numbers(3, {}), warnings)
    assert warnings == []
    return group


def test_sample(file: h5py.File) -> None:
    matrix = np.arange(9.0).reshape(3, 3)
    group = written(
        file,
        sample_name="lysozyme",
        sample_temperature=100.0,
        unit_cell=UnitCell(79.0, 79.1, 37.5, 90.0, 90.5, 91.0),
        ub_matrix=matrix,
        space_group_number=96,
    )
    assert group.attrs["NX_class"] == b"NXsample"
    assert group["name"][()] == b"lysozyme"
    assert group["temperature"][()] == 100
    assert group["temperature"].attrs["units"] == b"K"
    assert group["unit_cell"][()].tolist() == [79.0, 79.1, 37.5, 90.0, 90.5, 91.0]
    assert group["ub_matrix"].shape == (1, 3, 3)
    np.testing.assert_array_equal(group["ub_matrix"][0], matrix)
    assert group["ub_matrix"].attrs["units"] == b"Angstrom^-1"
    assert group["space_group"][()] == b"96"


def test_what_was_not_sent_is_absent(file: h5py.File) -> None:
    group = written(file)
    assert {name: item[()] for name, item in group.items()} == {"name": b"", "depends_on": b"."}
