"""Where each pixel is: PyFAI's own positions and nxmx's own composition of the chain are the judges."""

from __future__ import annotations

from itertools import product
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import nxmx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyFAI.geometry import Geometry
from scipy.spatial.transform import Rotation

from jfwriter.nexus import detector_module, geometry
from tests.support import messages

HEIGHT, WIDTH = 400, 600
PIXEL_X_M, PIXEL_Y_M = 75e-6, 172e-6
CENTER_X, CENTER_Y = 311.25, 187.5
DISTANCE_M = 0.12
TOLERANCE_M = 1e-9

ROTATIONS = [
    (0.0, 0.0, 0.0),
    (0.1, 0.0, 0.0),
    (0.0, 0.2, 0.0),
    (0.0, 0.0, 0.3),
    (0.1, 0.2, 0.3),
    (-0.7, 0.4, 2.5),
]
CORNERS = list(product((0, HEIGHT), (0, WIDTH)))
"""(slow, fast) corners of the detector, in pixels."""


def start(rotations: tuple[float, float, float] = (0.0, 0.0, 0.0), **changes: Any) -> Any:
    values: dict[str, Any] = {
        "image_size_x": WIDTH,
        "image_size_y": HEIGHT,
        "beam_center_x": CENTER_X,
        "beam_center_y": CENTER_Y,
        "detector_distance": DISTANCE_M,
        "pixel_size_x": PIXEL_X_M,
        "pixel_size_y": PIXEL_Y_M,
        "poni_rot1": rotations[0],
        "poni_rot2": rotations[1],
        "poni_rot3": rotations[2],
    }
    return messages.start(**(values | changes))


def written(file: h5py.File, message: Any) -> h5py.Group:
    detector = file.create_group("entry/instrument/detector")
    warnings: list[str] = []
    detector_module.detector_position(detector, message, (HEIGHT, WIDTH), warnings)
    assert warnings == []
    return detector


def pyfai_positions(rotations: tuple[float, float, float]) -> npt.NDArray[np.float64]:
    """Corners [4, xyz] in the NeXus frame: PyFAI's axes 1, 2, 3 are up, to the right, along the beam."""
    pyfai = Geometry(
        dist=DISTANCE_M,
        poni1=CENTER_Y * PIXEL_Y_M,
        poni2=CENTER_X * PIXEL_X_M,
        rot1=rotations[0],
        rot2=rotations[1],
        rot3=rotations[2],
        pixel1=PIXEL_Y_M,
        pixel2=PIXEL_X_M,
    )
    slow, fast = (np.array(corner, dtype=np.float64) - 0.5 for corner in zip(*CORNERS, strict=True))
    along_beam, axis1, axis2 = pyfai.calc_pos_zyx(d1=slow, d2=fast)
    return np.stack([-axis2, -axis1, along_beam], axis=1)


def nxmx_positions(detector: h5py.Group) -> npt.NDArray[np.float64]:
    """Corners [4, xyz] in m, by nxmx's dependency chains."""
    axes = [
        nxmx.NXtransformationsAxis(detector[f"module/{name}_pixel_direction"]) for name in ("slow", "fast")
    ]
    steps = [np.asarray(axis.vector) * axis[()].to("m").magnitude for axis in axes]
    frame = nxmx.get_cumulative_transformation(nxmx.get_dependency_chain(axes[0].depends_on))[0]
    origin_m, turn = frame[:3, 3] / 1000.0, frame[:3, :3]
    return np.array([origin_m + turn @ (slow * steps[0] + fast * steps[1]) for slow, fast in CORNERS])


@pytest.mark.parametrize("rotations", ROTATIONS)
def test_corners_are_where_pyfai_has_them(file: h5py.File, rotations: tuple[float, float, float]) -> None:
    detector = written(file, start(rotations))
    np.testing.assert_allclose(nxmx_positions(detector), pyfai_positions(rotations), rtol=0, atol=TOLERANCE_M)


def test_without_rotation_the_chain_is_a_plain_translation(file: h5py.File) -> None:
    detector = written(file, start())
    chain = detector["transformations/translation"]
    np.testing.assert_allclose(
        chain[()] * chain.attrs["vector"],
        (CENTER_X * PIXEL_X_M, CENTER_Y * PIXEL_Y_M, DISTANCE_M),
        rtol=1e-15,
    )
    assert [detector[f"transformations/rot{number}"][()] for number in (1, 2, 3)] == [0, 0, 0]
    np.testing.assert_array_equal(detector["module/fast_pixel_direction"].attrs["vector"], (-1, 0, 0))
    np.testing.assert_array_equal(detector["module/slow_pixel_direction"].attrs["vector"], (0, -1, 0))


@pytest.mark.parametrize("rotations", ROTATIONS)
def test_every_axis_has_unit_vector_zero_offset_and_a_carrier(
    file: h5py.File, rotations: tuple[float, float, float]
) -> None:
    detector = written(file, start(rotations))
    chain = ["translation", "rot1", "rot2", "rot3"]
    places = [f"transformations/{name}" for name in chain]
    places += ["module/module_offset", "module/fast_pixel_direction", "module/slow_pixel_direction"]
    carriers = [".", *(f"{detector.name}/{place}" for place in places[:5]), f"{detector.name}/{places[4]}"]
    for place, carrier in zip(places, carriers, strict=True):
        attributes = detector[place].attrs
        assert attributes["depends_on"].decode() == carrier, place
        np.testing.assert_allclose(np.linalg.norm(attributes["vector"]), 1, rtol=1e-14)
        np.testing.assert_array_equal(attributes["offset"], (0, 0, 0))
        assert attributes["offset_units"] == b"m"
        turns = place.startswith("transformations/rot")
        assert attributes["transformation_type"] == (b"rotation" if turns else b"translation")
        assert attributes["units"] == (b"rad" if turns else b"m")
    assert detector["depends_on"][()].decode() == f"{detector.name}/transformations/rot3"
    assert detector["transformations"].attrs["NX_class"] == b"NXtransformations"
    assert detector["module"].attrs["NX_class"] == b"NXdetector_module"


def test_module_size_is_slow_then_fast(file: h5py.File) -> None:
    detector = written(file, start())
    assert detector["module/data_size"][()].tolist() == [HEIGHT, WIDTH]
    assert detector["module/data_origin"][()].tolist() == [0, 0]
    assert detector["module/data_size"].dtype == np.dtype("i4")


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3), st.floats(-7, 7))
def test_rotation_matrix_against_scipy(axis: list[float], angle_rad: float) -> None:
    length = np.linalg.norm(axis)
    if length > 1e-3:
        unit = np.array(axis) / length
        wanted = Rotation.from_rotvec(unit * angle_rad).as_matrix()
        np.testing.assert_allclose(geometry.rotation(unit, angle_rad), wanted, atol=1e-14)


@pytest.mark.parametrize(
    "field", ["beam_center_x", "beam_center_y", "detector_distance", "pixel_size_x", "pixel_size_y"]
)
def test_an_unknown_position_is_not_invented(file: h5py.File, field: str) -> None:
    warnings: list[str] = []
    detector = file.create_group("detector")
    detector_module.detector_position(detector, start(**{field: None}), (HEIGHT, WIDTH), warnings)
    assert list(detector) == []
    assert len(warnings) == 1
    assert field in warnings[0]


def test_absurd_numbers_leave_the_geometry_out(file: h5py.File) -> None:
    warnings: list[str] = []
    detector = file.create_group("detector")
    message = start((0.1, 0.2, 0.3), beam_center_x=1e308, pixel_size_x=1e10)
    detector_module.detector_position(detector, message, (HEIGHT, WIDTH), warnings)
    assert list(detector) == []
    assert len(warnings) == 1


def test_a_detector_at_the_origin_still_has_a_unit_vector(file: h5py.File) -> None:
    detector = written(file, start(beam_center_x=0.0, beam_center_y=0.0, detector_distance=0.0))
    assert detector["transformations/translation"][()] == 0
    np.testing.assert_array_equal(detector["transformations/translation"].attrs["vector"], (0, 0, 1))
