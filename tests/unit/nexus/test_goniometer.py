from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import nxmx
import pytest

from jfwriter.nexus.goniometer import goniometer, moving_axes
from jfwriter.nexus.image_numbers import image_numbers
from jfwriter.nexus.sample import sample
from jfwriter.wire.messages import GoniometerAxis, GridScan
from tests.support import messages

N_IMAGES = 6
NUMBERS = image_numbers(N_IMAGES, {})
GROUP = "/entry/sample/transformations"


def written(file: h5py.File, numbers: Any = NUMBERS, **fields: Any) -> h5py.Group:
    warnings: list[str] = []
    group = sample(file.create_group("entry"), messages.start(**fields), numbers, warnings)
    assert warnings == []
    return group


def text(dataset: h5py.Dataset) -> str:
    return str(dataset[()].decode())


def test_one_rotation_axis(file: h5py.File) -> None:
    axis = GoniometerAxis(10.0, -0.1, (0.0, 1.0, 0.0))
    group = written(file, goniometer={"omega": axis})
    transformations = group["transformations"]
    angles = 10.0 - 0.1 * np.arange(N_IMAGES)
    assert text(group["depends_on"]) == f"{GROUP}/omega"
    np.testing.assert_allclose(transformations["omega"], angles, rtol=1e-15)
    np.testing.assert_allclose(transformations["omega_end"], angles - 0.1, rtol=1e-14)
    assert transformations["omega_range_average"][()] == -0.1
    assert transformations["omega_range_total"][()] == pytest.approx(-0.6)
    attributes = transformations["omega"].attrs
    np.testing.assert_array_equal(attributes["vector"], (0, 1, 0))
    np.testing.assert_array_equal(attributes["offset"], (0, 0, 0))
    assert attributes["depends_on"] == b"."
    assert attributes["transformation_type"] == b"rotation"
    for name in ("omega", "omega_end", "omega_range_average", "omega_range_total"):
        assert transformations[name].dtype == np.dtype("<f8")
        assert transformations[name].attrs["units"] == b"deg"
    assert group["goniometer"] == transformations
    assert transformations.attrs["NX_class"] == b"NXtransformations"


def test_stills_have_no_transformations(file: h5py.File) -> None:
    group = written(file)
    assert text(group["depends_on"]) == "."
    assert "transformations" not in group
    assert "goniometer" not in group


def test_an_axis_without_direction_is_the_default_spindle(file: h5py.File) -> None:
    group = written(file, goniometer={"omega": GoniometerAxis(0.0, 0.5)})
    np.testing.assert_array_equal(group["transformations/omega"].attrs["vector"], (-1, 0, 0))


def test_the_direction_gets_length_one(file: h5py.File) -> None:
    group = written(file, goniometer={"omega": GoniometerAxis(0.0, 0.5, (3.0, 0.0, -4.0))})
    np.testing.assert_allclose(group["transformations/omega"].attrs["vector"], (0.6, 0, -0.8), rtol=1e-15)


@pytest.mark.parametrize("direction", [(0.0, 0.0, 0.0), (1e308, 1e308, 1e308), (1e-200, 0.0, 0.0)])
def test_odd_directions_never_become_nan(file: h5py.File, direction: tuple[float, float, float]) -> None:
    warnings: list[str] = []
    axes = {"omega": GoniometerAxis(0.0, 0.5, direction)}
    goniometer(file.create_group("t"), axes, NUMBERS, warnings)
    assert np.linalg.norm(file["t/omega"].attrs["vector"]) == pytest.approx(1)


def test_helical_positions_are_no_axes(file: h5py.File) -> None:
    axis = GoniometerAxis(0.0, 0.5, helical_step=(1e-6, 0.0, -2e-6))
    transformations = written(file, goniometer={"omega": axis})["transformations"]
    for letter, step in zip("xyz", (1e-6, 0.0, -2e-6), strict=True):
        positions = transformations[f"omega_helical_{letter}"]
        np.testing.assert_allclose(positions, step * np.arange(N_IMAGES), rtol=1e-15)
        assert positions.attrs["units"] == b"m"
        assert "vector" not in positions.attrs


def test_the_axes_of_stream_v2_form_a_chain_and_idle_ones_are_left_out(file: h5py.File) -> None:
    axes = {
        "omega": GoniometerAxis(0.0, 0.1),
        "kappa": GoniometerAxis(0.0, 0.0),
        "chi": GoniometerAxis(30.0, 0.0),
        "phi": GoniometerAxis(0.0, 0.0, (0.0, 1.0, 0.0)),
        "two_theta": GoniometerAxis(5.0, 0.0),
    }
    group = written(file, goniometer=axes)
    transformations = group["transformations"]
    assert text(group["depends_on"]) == f"{GROUP}/phi"
    assert "kappa" not in transformations
    chain = nxmx.get_dependency_chain(nxmx.NXtransformationsAxis(transformations["phi"]))
    assert [axis.path for axis in chain] == [f"{GROUP}/{name}" for name in ("phi", "chi", "omega")]
    assert transformations["two_theta"].attrs["depends_on"] == b"."
    assert all(len(transformations[name]) == N_IMAGES for name in ("phi", "chi", "omega"))
    rotations = nxmx.get_rotation_axes(chain)
    assert rotations.is_scan_axis.tolist() == [False, False, True]
    assert rotations.angles.tolist() == [0, 30, 0]


def test_an_axis_of_another_name_sits_nearest_to_the_sample() -> None:
    axes = {"omega": GoniometerAxis(0.0, 0.1), "gonio": GoniometerAxis(1.0, 0.0)}
    assert list(moving_axes(axes)) == ["gonio", "omega"]


def test_angles_follow_the_numbers_before_image_rejection(file: h5py.File) -> None:
    numbers = image_numbers(N_IMAGES, {0: 2, 1: 5, 4: 11, 5: 12})
    axis = GoniometerAxis(0.0, 0.5, helical_step=(1.0, 0.0, 0.0))
    transformations = written(file, numbers, goniometer={"omega": axis})["transformations"]
    expected = np.array([2, 5, 6, 7, 11, 12])
    np.testing.assert_allclose(transformations["omega"], 0.5 * expected)
    np.testing.assert_allclose(transformations["omega_end"], 0.5 * expected + 0.5)
    np.testing.assert_allclose(transformations["omega_helical_x"], expected)


@pytest.mark.parametrize("n_images", [0, 1])
def test_lengths_of_empty_and_single_image_runs(file: h5py.File, n_images: int) -> None:
    grid = GridScan(n_fast=3, step_x_axis=1e-5)
    group = written(
        file, image_numbers(n_images, {}), goniometer={"omega": GoniometerAxis(0, 0.1)}, grid_scan=grid
    )
    for name in ("omega", "omega_end", "grid_x", "grid_y"):
        assert group[f"transformations/{name}"].shape == (n_images,)


def test_hostile_axis_names_harm_nothing(file: h5py.File, warnings: list[str]) -> None:
    moving = GoniometerAxis(1.0, 0.1)
    axes = dict.fromkeys(("..", "a/b", "", "omega", "omega_end", "x" * 300), moving)
    group = file.create_group("t")
    last = goniometer(group, moving_axes(axes), NUMBERS, warnings)
    assert last in {f"/t/{name}" for name in group}
    assert {"a_b", "omega", "omega_end"} & set(group) == {"a_b", "omega", "omega_end"}
    assert list(file) == ["t"]
    assert len(warnings) >= 3
    chain = nxmx.get_dependency_chain(nxmx.NXtransformationsAxis(file[last]))
    assert len(chain) == 2


@pytest.mark.parametrize("axis", [GoniometerAxis(1e308, 1e308), GoniometerAxis(0, 1, None, (1e308, 0, 0))])
def test_infinite_positions_leave_the_axis_out(
    file: h5py.File, warnings: list[str], axis: GoniometerAxis
) -> None:
    group = file.create_group("t")
    assert goniometer(group, {"omega": axis}, 10.0 * NUMBERS, warnings) == "."
    assert list(group) == []
    assert len(warnings) == 1
