from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pytest

from jfwriter.nexus.detector import detector
from jfwriter.nexus.stored_images import StoredImages
from jfwriter.payload import Codec
from tests.support import messages, payloads

SHAPE = (24, 40)
I2 = np.dtype("i2")


def written(
    file: h5py.File,
    warnings: list[str] | None = None,
    *,
    dtype: np.dtype[np.generic] | None = I2,
    channels: tuple[str, ...] = (),
    **fields: Any,
) -> h5py.Group:
    fields = {"sensor_material": "Si", "sensor_thickness": 320e-6} | fields
    found: list[str] = []
    images = StoredImages(SHAPE, dtype, channels)
    group = detector(file, messages.start(**fields), images, found if warnings is None else warnings)
    assert found == []
    return group


FIELDS = [
    ("beam_center_x", {"beam_center_x": 511.5}, 511.5, "f8", "pixel"),
    ("beam_center_y", {"beam_center_y": -250.25}, -250.25, "f8", "pixel"),
    ("distance", {"detector_distance": 0.12}, 0.12, "f8", "m"),
    ("detector_distance", {"detector_distance": 0.12}, 0.12, "f8", "m"),
    ("x_pixel_size", {"pixel_size_x": 75e-6}, 75e-6, "f8", "m"),
    ("y_pixel_size", {"pixel_size_y": 172e-6}, 172e-6, "f8", "m"),
    ("count_time", {"count_time": 0.009}, 0.009, "f8", "s"),
    ("frame_time", {"frame_time": 0.01}, 0.01, "f8", "s"),
    ("sensor_thickness", {"sensor_thickness": 1e-3}, 1e-3, "f8", "m"),
    ("description", {"detector_description": "JUNGFRAU 4M"}, b"JUNGFRAU 4M", None, None),
    ("serial_number", {"detector_serial_number": "E-18"}, b"E-18", None, None),
    ("detector_number", {"detector_serial_number": "E-18"}, b"E-18", None, None),
    ("acquisition_type", {}, b"triggered", None, None),
    ("threshold_energy", {"threshold_energy": {"default": 6200.0}}, 6200.0, "f8", "eV"),
    ("bit_depth_image", {}, 16, "i4", None),
    ("bit_depth_readout", {"bit_depth_readout": 14}, 14, "i4", None),
    ("saturation_value", {"saturation_value": 32766}, 32766, "i8", None),
    ("error_value", {}, -32768, "i8", None),
    ("error_value", {"error_value": -1}, -1, "i8", None),
    ("underload_value", {"error_value": -1}, 0, "i8", None),
    ("flatfield_applied", {"flatfield_enabled": True}, 1, "u1", None),
    ("pixel_mask_applied", {"pixel_mask_enabled": False}, 0, "u1", None),
    ("countrate_correction_applied", {"countrate_correction_enabled": True}, 1, "u1", None),
    ("virtual_pixel_interpolation_applied", {"virtual_pixel_interpolation_enabled": True}, 1, "u1", None),
    ("jungfrau_conversion_applied", {"jungfrau_conversion_enabled": True}, 1, "u1", None),
    ("jungfrau_conversion_factor", {"jungfrau_conversion_factor": 12400.0}, 12400.0, "f8", "eV"),
    ("geometry_transformation_applied", {"geometry_transformation_enabled": False}, 0, "u1", None),
    ("number_of_cycles", {}, 1, "i4", None),
    ("number_of_cycles", {"summation": 8}, 8, "i4", None),
]


@pytest.mark.parametrize(("name", "fields", "value", "dtype", "units"), FIELDS)
def test_every_field_with_its_type_and_unit(
    file: h5py.File, *, name: str, fields: dict[str, Any], value: Any, dtype: str | None, units: str | None
) -> None:
    dataset = written(file, **fields)[name]
    assert dataset[()] == value
    assert dataset.shape == ()
    if dtype is not None:
        assert dataset.dtype == np.dtype(dtype)
    unit = dataset.attrs.get("units")
    assert (unit.decode() if unit is not None else None) == units


def test_what_was_not_sent_is_absent(file: h5py.File, warnings: list[str]) -> None:
    group = written(file, warnings, dtype=None, sensor_material=None, sensor_thickness=None)
    assert sorted(group) == ["acquisition_type", "number_of_cycles", "sensor_material"]
    assert group["sensor_material"][()] == b"Si"
    assert group.attrs["NX_class"] == b"NXdetector"
    assert [warning.split(":")[0] for warning in warnings] == ["sensor_material", "sensor_thickness"]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [("si", "Si"), ("Silicon", "Silicon"), ("SILICON", "Silicon"), ("CdTe", "CdTe"), ("CDTE ", "CdTe"),
     ("gaas", "GaAs"), ("CdZnTe", "CdZnTe"), ("germanium", "germanium")],
)  # fmt: skip
def test_sensor_material_is_spelt_as_readers_know_it(file: h5py.File, sent: str, stored: str) -> None:
    assert written(file, sensor_material=sent)["sensor_material"][()] == stored.encode()


@pytest.mark.parametrize(
    ("thresholds", "channels", "stored"),
    [
        ({"default": 1.0}, (), 1.0),
        ({"default": 1.0}, ("default",), 1.0),
        ({"threshold_1": 1.0, "threshold_2": 2.0}, ("threshold_2",), 2.0),
        ({"threshold_1": 1.0, "threshold_2": 2.0}, ("threshold_1", "threshold_2"), None),
        ({"threshold_1": 1.0, "threshold_2": 2.0}, (), None),
        ({}, ("default",), None),
    ],
)
def test_the_threshold_of_one_channel_only(
    file: h5py.File, thresholds: dict[str, float], channels: tuple[str, ...], stored: float | None
) -> None:
    group = written(file, channels=channels, threshold_energy=thresholds)
    assert (group["threshold_energy"][()] if "threshold_energy" in group else None) == stored


def test_uint32_is_never_said_to_have_16_bits(file: h5py.File) -> None:
    group = written(file, dtype=np.dtype("u4"), bit_depth_readout=16)
    assert group["bit_depth_readout"][()] == 32
    assert group["bit_depth_image"][()] == 32
    assert group["error_value"][()] == 2**32 - 1
    assert group["underload_value"][()] == 0


def test_numbers_beyond_their_type_cost_only_themselves(file: h5py.File, warnings: list[str]) -> None:
    group = written(file, warnings, saturation_value=2**63, summation=2**31, error_value=-(2**63))
    assert "saturation_value" not in group
    assert "number_of_cycles" not in group
    assert group["error_value"][()] == -(2**63)
    assert len(warnings) == 2


def test_flatfield_of_the_first_channel(file: h5py.File) -> None:
    factors = np.linspace(0.5, 1.5, SHAPE[0] * SHAPE[1]).reshape(SHAPE)
    sent = {
        "threshold_2": payloads.packed(2 * factors),
        "threshold_1": payloads.packed(factors.astype(">f4"), Codec.NONE),
    }
    group = written(file, channels=("threshold_1", "threshold_2"), flatfield=sent)
    assert group["flatfield"].dtype == np.dtype("f4")
    assert group["flatfield"].chunks is None
    np.testing.assert_array_equal(group["flatfield"], factors.astype("f4"))


def test_a_bad_flatfield_costs_only_itself(file: h5py.File, warnings: list[str]) -> None:
    group = written(file, warnings, flatfield={"default": payloads.broken((3, 3))}, detector_distance=0.1)
    assert "flatfield" not in group
    assert "distance" in group
    assert len(warnings) == 1


@pytest.mark.parametrize("dtype", ["<u4", ">f4", "<f8"])
def test_countrate_table_as_sent(file: h5py.File, dtype: str) -> None:
    table = np.arange(10, dtype=dtype)
    stored = written(file, countrate_correction_lookup_table=table)["countrate_correction_lookup_table"]
    assert stored.dtype == np.dtype(dtype).newbyteorder("<")
    np.testing.assert_array_equal(stored, table)
