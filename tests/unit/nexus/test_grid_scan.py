from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import nxmx
import pytest

from jfwriter.nexus.grid_scan import grid_scan
from jfwriter.nexus.image_numbers import image_numbers
from jfwriter.nexus.sample import sample
from jfwriter.wire.messages import GoniometerAxis, GridScan
from tests.support import messages

STEP_X_M, STEP_Y_M = 2e-5, -1e-5
GROUP = "/entry/sample/transformations"


def written(file: h5py.File, n_images: int, **fields: Any) -> h5py.Group:
    warnings: list[str] = []
    start = messages.start(**fields)
    group = sample(file.create_group("entry"), start, image_numbers(n_images, {}), warnings)
    assert warnings == []
    return group


def grid(n_fast: int = 3, **changes: Any) -> GridScan:
    values: dict[str, Any] = {"n_slow": 2, "step_x_axis": STEP_X_M, "step_y_axis": STEP_Y_M}
    return GridScan(n_fast=n_fast, **(values | changes))


@pytest.mark.parametrize(
    ("changes", "columns", "rows"),
    [
        ({}, [0, 1, 2, 0, 1, 2, 0], [0, 0, 0, 1, 1, 1, 2]),
        ({"snake": True}, [0, 1, 2, 2, 1, 0, 0], [0, 0, 0, 1, 1, 1, 2]),
        ({"vertical": True}, [0, 0, 0, 1, 1, 1, 2], [0, 1, 2, 0, 1, 2, 0]),
        ({"vertical": True, "snake": True}, [0, 0, 0, 1, 1, 1, 2], [0, 1, 2, 2, 1, 0, 0]),
    ],
)
def test_positions(file: h5py.File, changes: dict[str, Any], columns: list[int], rows: list[int]) -> None:
    transformations = written(file, 7, grid_scan=grid(**changes))["transformations"]
    np.testing.assert_allclose(transformations["grid_x"], STEP_X_M * np.array(columns), rtol=1e-15)
    np.testing.assert_allclose(transformations["grid_y"], STEP_Y_M * np.array(rows), rtol=1e-15)
    for name, vector in (("grid_x", (-1, 0, 0)), ("grid_y", (0, -1, 0))):
        attributes = transformations[name].attrs
        assert attributes["units"] == b"m"
        assert attributes["transformation_type"] == b"translation"
        np.testing.assert_array_equal(attributes["vector"], vector)


def test_without_goniometer_the_chain_ends_in_a_standing_spindle(file: h5py.File) -> None:
    group = written(file, 6, grid_scan=grid())
    assert group["depends_on"][()] == f"{GROUP}/grid_x".encode()
    chain = nxmx.get_dependency_chain(nxmx.NXsample(group).depends_on)
    assert [axis.path for axis in chain] == [f"{GROUP}/{name}" for name in ("grid_x", "grid_y", "omega")]
    np.testing.assert_array_equal(group["transformations/omega"], np.zeros(6))
    np.testing.assert_array_equal(group["transformations/omega"].attrs["vector"], (-1, 0, 0))
    assert group["goniometer"] == group["transformations"]


def test_with_a_goniometer_the_grid_hangs_on_it(file: h5py.File) -> None:
    group = written(file, 6, grid_scan=grid(), goniometer={"phi": GoniometerAxis(45.0, 0.0)})
    chain = nxmx.get_dependency_chain(nxmx.NXsample(group).depends_on)
    assert [axis.path for axis in chain] == [f"{GROUP}/{name}" for name in ("grid_x", "grid_y", "phi")]
    assert "omega" not in group["transformations"]


def test_a_goniometer_axis_cannot_take_the_grid_s_names(file: h5py.File) -> None:
    warnings: list[str] = []
    start = messages.start(grid_scan=grid(), goniometer={"grid_x": GoniometerAxis(45.0, 1.0)})
    group = sample(file.create_group("entry"), start, image_numbers(6, {}), warnings)
    assert len(warnings) == 1
    assert group["transformations/grid_x"].attrs["transformation_type"] == b"translation"


@pytest.mark.parametrize("bad", [grid(0), grid(1, step_y_axis=1e308)])
def test_a_grid_that_is_none_is_left_out(file: h5py.File, warnings: list[str], bad: GridScan) -> None:
    group = file.create_group("t")
    assert grid_scan(group, bad, image_numbers(6, {}), ".", warnings) == "."
    assert len(warnings) == 1
