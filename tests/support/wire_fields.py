"""Every field of every message, written by hand: what is sent, and what must stand in which attribute."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import cbor2
import numpy as np

from jfwriter.payload import Codec, Payload
from jfwriter.wire.messages import (
    Fluorescence,
    GoniometerAxis,
    GridScan,
    Rational,
    RoiAzimuthal,
    RoiBox,
    RoiCircle,
    RoiIntegral,
    Spots,
    UnitCell,
)

WIDTH, HEIGHT = 6, 4


def tag(number: int, value: object) -> cbor2.CBORTag:
    return cbor2.CBORTag(number, value)


def raw_image(array: np.ndarray, number: int) -> cbor2.CBORTag:
    """Tag 40 around a typed array of the given tag; the bytes are the array's own."""
    return tag(40, [list(array.shape), tag(number, array.tobytes())])


def payload(array: np.ndarray, codec: Codec = Codec.NONE) -> Payload:
    return Payload(memoryview(array.tobytes()), codec, array.dtype, array.shape)


PIXELS = np.arange(WIDTH * HEIGHT, dtype="<i2").reshape(HEIGHT, WIDTH)
MASK = np.arange(WIDTH * HEIGHT, dtype="<u4").reshape(HEIGHT, WIDTH)
FLAT = np.linspace(0.5, 1.5, WIDTH * HEIGHT, dtype="<f4").reshape(HEIGHT, WIDTH)
ROI_MAP = np.arange(WIDTH * HEIGHT, dtype="<u2").reshape(HEIGHT, WIDTH)
LATTICE = [79.0, 0.0, 0.0, 0.0, 79.0, 0.0, 0.0, 0.0, 38.0]


class Example(NamedTuple):
    """`attribute` of the message holds `value` after `sent` came under the field's name."""

    sent: Any
    attribute: str
    value: Any


def same(name: str, value: Any, sent: Any = None) -> tuple[str, Example]:
    """A field that keeps its name; `sent` where it differs from the value."""
    return name, Example(value if sent is None else sent, name, value)


START: dict[str, Example] = dict(
    [
        same("series_id", 17),
        same("series_unique_id", "01GRXWT80JSDY2FNW8SGCCDZD9"),
        same("image_size_x", WIDTH),
        same("image_size_y", HEIGHT),
        same("number_of_images", 100),
        same("magic_number", 0xA1B2),
        same("arm_date", "2026-03-04T05:06:07.25Z", tag(0, "2026-03-04T05:06:07.25Z")),
        same("image_dtype", "int16"),
        same("channels", ("default",), ["default"]),
        same("beam_center_x", 2.5),
        same("beam_center_y", 1.25),
        same("detector_distance", 0.155),
        same("detector_translation", (0.001, 0.002, 0.2), [0.001, 0.002, 0.2]),
        same("poni_rot1", 0.01),
        same("poni_rot2", -0.02),
        same("poni_rot3", 0.03),
        same("incident_energy", 12400.0),
        same("incident_wavelength", 0.99),
        same("incident_wavelength_spread", 0.01),
        same("frame_time", 0.001),
        same("count_time", 0.0009),
        same("pixel_size_x", 75e-6),
        same("pixel_size_y", 76e-6),
        same("sensor_thickness", 320e-6),
        same("sensor_material", "Si"),
        same("saturation_value", 32766),
        same("error_value", -32768),
        same("detector_description", "JUNGFRAU 4M"),
        same("detector_serial_number", "JF4M-X06SA"),
        same("bit_depth_readout", 16),
        same("countrate_correction_enabled", False),
        same("flatfield_enabled", True),
        same("pixel_mask_enabled", True),
        same("virtual_pixel_interpolation_enabled", False),
        same(
            "countrate_correction_lookup_table",
            np.array([0, 1, 3], "u4"),
            tag(70, b"\0\0\0\0\1\0\0\0\3\0\0\0"),
        ),
        same("flatfield", {"default": payload(FLAT)}, {"default": raw_image(FLAT, 85)}),
        same("pixel_mask", {"default": payload(MASK)}, {"default": raw_image(MASK, 70)}),
        same("threshold_energy", {"default": 6200.0}),
        same(
            "goniometer",
            {"omega": GoniometerAxis(10.0, 0.1, (-1.0, 0.0, 0.0), (0.0, 1e-6, 0.0))},
            {"omega": {"start": 10.0, "increment": 0.1, "axis": [-1, 0, 0], "helical_step": [0, 1e-6, 0]}},
        ),
        same(
            "grid_scan",
            GridScan(10, 5, 1e-5, -2e-5, vertical=True, snake=True),
            {
                "n_fast": 10,
                "n_slow": 5,
                "step_x_axis": 1e-5,
                "step_y_axis": -2e-5,
                "vertical": True,
                "snake": True,
            },
        ),
        same("summation", 4),
        same("storage_cell_number", 16),
        same("storage_cell_delay", Rational(10500, 2), [10500, 2]),
        same("jungfrau_conversion_enabled", True),
        same("jungfrau_conversion_factor", 12400.0),
        same("geometry_transformation_enabled", True),
        same("max_spot_count", 250),
        same("az_int_bin_number", 3),
        same("az_int_bin_to_q", np.array([0.5, 1.0, 1.5]), [0.5, 1.0, 1.5]),
        same("az_int_bin_to_two_theta", np.array([5.0, 10.0, 15.0]), [5, 10, 15]),
        same("az_int_bin_to_phi", np.array([180.0, 180.0, 180.0]), tag(85, np.full(3, 180, "<f4").tobytes())),
        same("az_int_q_bin_count", 3),
        same("az_int_phi_bin_count", 1),
        same("az_int_map", payload(MASK), raw_image(MASK, 70)),
        same(
            "rois",
            (
                RoiBox("beam", 1, 2, 0, 3, bit_index=0),
                RoiCircle("spot", 1.5, 2.5, 3.5, bit_index=1),
                RoiAzimuthal("ring", 0.5, 1.5, bit_index=2),
                RoiAzimuthal("sector", 0.5, 1.5, 350.0, 10.0, bit_index=3),
            ),
            [
                {
                    "name": "beam",
                    "type": "box",
                    "min_x_pxl": 1,
                    "max_x_pxl": 2,
                    "min_y_pxl": 0,
                    "max_y_pxl": 3,
                },
                {
                    "name": "spot",
                    "type": "circle",
                    "center_x_pxl": 1.5,
                    "center_y_pxl": 2.5,
                    "radius_pxl": 3.5,
                },
                {"name": "ring", "type": "azim", "q_min_recipA": 0.5, "q_max_recipA": 1.5},
                {
                    "name": "sector",
                    "type": "azim",
                    "q_min_recipA": 0.5,
                    "q_max_recipA": 1.5,
                    "phi_min_deg": 350,
                    "phi_max_deg": 10,
                },
            ],
        ),
        same("roi_map", payload(ROI_MAP), raw_image(ROI_MAP, 69)),
        same(
            "unit_cell",
            UnitCell(79.0, 79.0, 38.0, 90.0, 90.0, 90.0),
            {"a": 79, "b": 79.0, "c": 38.0, "alpha": 90.0, "beta": 90.0, "gamma": 90.0},
        ),
        same("space_group_number", 96),
        same("indexing_algorithm", "FFT"),
        same("geom_refinement_algorithm", "BeamCenter"),
        same(
            "fluorescence",
            Fluorescence(np.array([1000.0, 2000.0]), np.array([3.0, 5.0])),
            {"energy": [1000, 2000], "data": [3.0, 5.0]},
        ),
        same("ring_current", 0.4),
        same("sample_temperature", 100.0),
        same("ub_matrix", np.eye(3) * 0.01, [0.01, 0, 0, 0, 0.01, 0, 0, 0, 0.01]),
        same("file_prefix", "lysozyme/run_1"),
        same("images_per_file", 500),
        same("file_format", 2),
        same("overwrite", True),
        same("write_master_file", False),
        same("socket_number", 1),
        same("source_name", "Swiss Light Source"),
        same("source_type", "Synchrotron X-ray Source"),
        same("instrument_name", "X06SA"),
        same("sample_name", "lysozyme"),
        same("attenuator_transmission", 0.25),
        same("total_flux", 1e12),
        same("run_name", "17:lysozyme"),
        same("run_number", 17),
        same("experiment_group", "p12345"),
        same("gain_file_names", ("M1.bin", "M2.bin"), ["M1.bin", "M2.bin"]),
        same("data_reduction_factor_serialmx", 0.5),
        same("jfjoch_release", "1.0.0"),
        same("detect_ice_rings", True),
        same("writer_notification_zmq_addr", "tcp://dcu:5555"),
        same("user", {"hdf5": {"operator": "me", "n": 5}, "list": [1, None, 2.5, True]}),
        ("user_data", Example("beamtime of March", "user_data_text", "beamtime of March")),
    ]
)

SPOTS = [
    {
        "x": 1.5, "y": 2.5, "I": 30.0, "maxc": 12, "ice_ring": False, "indexed": True, "lattice": 0,
        "h": 1, "k": -2, "l": 3, "dist_ewald": 0.001,
    },
    {"x": 3, "y": 4.25, "I": 7.0, "maxc": 5, "ice_ring": True, "indexed": False},
]  # fmt: skip
SPOT_COLUMNS = Spots(
    x=np.array([1.5, 3], "f4"),
    y=np.array([2.5, 4.25], "f4"),
    intensity=np.array([30, 7], "f4"),
    maxc=np.array([12, 5], "i8"),
    ice_ring=np.array([0, 1], "u1"),
    indexed=np.array([1, 0], "u1"),
    lattice=np.array([0, -1], "i4"),
    h=np.array([1, 0], "i4"),
    k=np.array([-2, 0], "i4"),
    l=np.array([3, 0], "i4"),
    dist_ewald=np.array([0.001, np.nan], "f4"),
)
REFLECTIONS = [
    {
        "h": 1, "k": -2, "l": 3, "d": 2.5, "I": 100.0, "sigma": 10.0, "bkg": 1.5, "x": 1.0, "y": 2.0,
        "obs_x": 1.25, "obs_y": 2.25, "image": 5.0, "lp": 0.5, "partiality": 0.75, "delta_phi": 0.125,
        "zeta": 0.875, "image_scale_corr": 1.0625,
    },
    {"h": -4, "k": 5, "l": 6, "d": 1.25, "I": -3.0, "sigma": 4.0, "bkg": 1.0, "x": 3.0, "y": 1.0, "image": 5},
]  # fmt: skip
REFLECTION_COLUMNS = {
    name: np.array([row.get(name, np.nan) for row in REFLECTIONS], "i4" if name in "hkl" else "f4")
    for name in REFLECTIONS[0]
}
NUMBERS_U4 = (
    "strong_pixel_count",
    "spot_count",
    "spot_count_low_res",
    "spot_count_ice_rings",
    "spot_count_indexed",
)
FLOATS = (
    "bkg_estimate", "resolution_estimate", "profile_radius", "mosaicity", "b_factor", "beam_corr_x",
    "beam_corr_y", "image_scale_factor", "image_scale_cc", "image_scale_mosaicity", "image_scale_b_factor",
    "data_collection_efficiency", "spot_finding_time", "indexing_time", "integration_time", "refinement_time",
    "processing_time", "bragg_prediction_time", "preprocessing_time", "compression_time", "azint_time",
    "index_analysis_time", "image_scale_time",
)  # fmt: skip

IMAGE: dict[str, Example] = dict(
    [
        same("series_id", 17),
        same("image_id", 5),
        (
            "data",
            Example(
                {"default": raw_image(PIXELS, 77)},
                "channels",
                {"default": payload(PIXELS)},
            ),
        ),
        same("series_unique_id", "01GRXWT80JSDY2FNW8SGCCDZD9"),
        same("original_image_id", 1005),
        same("series_date", "2026-03-04T05:06:07+01:00", tag(0, "2026-03-04T05:06:07+01:00")),
        same("start_time", Rational(5000, 10_000_000), [5000, 10_000_000]),
        same("stop_time", Rational(6000, 10_000_000), [6000, 10_000_000]),
        same("real_time", Rational(999, 10_000_000), tag(30, [999, 10_000_000])),
        same("user_data", [1, "\N{BLUE HEART}"]),
        same("spots", SPOT_COLUMNS, SPOTS),
        *(same(name, 100 + i) for i, name in enumerate(NUMBERS_U4)),
        same(
            "az_int_profile",
            np.array([1.0, np.nan, 3.0], "f4"),
            tag(85, np.array([1, np.nan, 3], "<f4").tobytes()),
        ),
        same("az_int_profile_std", np.array([0.5, np.nan, 0.25]), [0.5, float("nan"), 0.25]),
        same(
            "az_int_profile_count",
            np.array([10, 0, 20], "u8"),
            tag(70, np.array([10, 0, 20], "<u4").tobytes()),
        ),
        *(same(name, 0.5 + i) for i, name in enumerate(FLOATS)),
        same("indexing_result", True),
        same("indexing_lattice", np.array(LATTICE), LATTICE),
        same("indexing_lattice_extra", np.array([LATTICE, LATTICE]), [LATTICE, LATTICE]),
        same("indexing_lattice_count", 3),
        same("indexing_unit_cell", UnitCell(79.0, 79.0, 38.0, 90.0, 90.0, 90.0), [79, 79, 38, 90, 90, 90]),
        same("niggli_class", 21),
        same("bravais_lattice", "tP"),
        same("reflections", REFLECTION_COLUMNS, REFLECTIONS),
        same("integrated_reflections", 2),
        same(
            "roi_integrals",
            {
                "beam": RoiIntegral(sum=10, sum_square=40, max=4, pixels=5, x=1.5, y=2.5),
                "empty": RoiIntegral(),
                "ring": RoiIntegral(sum=-3, sum_square=9, max=-1, pixels=2, x=1.25, y=2.25),
            },
            {
                "beam": {
                    "sum": 10,
                    "sum_square": 40,
                    "max": 4,
                    "pixels": 5,
                    "x_weighted": 15,
                    "y_weighted": 25,
                },
                "empty": {"sum": 0, "sum_square": 0, "pixels": 0, "x_weighted": 0, "y_weighted": 0},
                "ring": {"sum": -3, "sum_square": 9, "max": -1, "pixels": 2, "x": 1.25, "y": 2.25},
            },
        ),
        same("min_viable_pixel_value", -7),
        same("max_viable_pixel_value", 30_000),
        same("pixel_sum", -123_456_789_012),
        same("saturated_pixel_count", 11),
        same("error_pixel_count", 12),
        same("packets_expected", 1024),
        same("packets_received", 1023),
        same("storage_cell", 15),
        same("jf_info", 2**32 - 1),
        same("receiver_aq_dev_delay", 5),
        same("receiver_free_send_buf", 6),
        same("xfel_pulse_id", 2**64 - 1),
        same("xfel_event_code", 254),
    ]
)

END: dict[str, Example] = dict(
    [
        same("series_id", 17),
        same("series_unique_id", "01GRXWT80JSDY2FNW8SGCCDZD9"),
        same("end_date", "2026-03-04T05:07:07Z", tag(0, "2026-03-04T05:07:07Z")),
        same("max_image_number", 100),
        same("images_collected", 99),
        same("images_sent_to_write", 98),
        same("data_collection_efficiency", 0.99),
        same("max_receiver_delay", 40),
        same("az_int_result", {"dataset": np.array([1.0, np.nan])}, {"dataset": [1.0, float("nan")]}),
        same("adu_histogram", {"module0": np.array([1, 2], "u8")}, {"module0": [1, 2]}),
        same("adu_histogram_bin_width", 32),
        same("bkg_estimate", 5.5),
        same("indexing_rate", 0.5),
        same("rotation_lattice", np.array(LATTICE), LATTICE),
        same("rotation_lattice_extra", np.array([LATTICE]), [LATTICE]),
        same("rotation_lattice_niggli_class", 21),
        same("cancelled", True),
    ]
)

CALIBRATION: dict[str, Example] = dict(
    [
        same("series_id", 17),
        same("series_unique_id", "01GRXWT80JSDY2FNW8SGCCDZD9"),
        same("data", {"pedestal_g0": payload(ROI_MAP)}, {"pedestal_g0": raw_image(ROI_MAP, 69)}),
    ]
)

METADATA: dict[str, Example] = dict([same("series_id", 17)])

MESSAGES = {"start": START, "image": IMAGE, "end": END, "calibration": CALIBRATION, "metadata": METADATA}
ESSENTIAL = {
    "start": {"series_id", "image_size_x", "image_size_y"},
    "image": {"series_id", "image_id", "data"},
    "end": {"series_id"},
    "calibration": {"series_id", "data"},
    "metadata": set(),
}


def message(kind: str) -> dict[str, Any]:
    """All fields of one message, as plain cbor2 takes them."""
    return {"type": kind, **{name: example.sent for name, example in MESSAGES[kind].items()}}


def smallest(kind: str) -> dict[str, Any]:
    """A message of the essential fields alone."""
    return {"type": kind, **{name: MESSAGES[kind][name].sent for name in sorted(ESSENTIAL[kind])}}


def assert_same(got: Any, wanted: Any, where: str = "") -> None:
    """Equality through data classes, maps and arrays; NaN equals NaN, and types count."""
    if isinstance(wanted, np.ndarray):
        assert isinstance(got, np.ndarray), where
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape), where
        np.testing.assert_array_equal(got, wanted, err_msg=where)
    elif dataclasses.is_dataclass(wanted) and not isinstance(wanted, Payload):
        assert type(got) is type(wanted), where
        for field in (field for field in dataclasses.fields(wanted) if field.compare):
            assert_same(getattr(got, field.name), getattr(wanted, field.name), f"{where}.{field.name}")
    elif isinstance(wanted, dict):
        assert list(got) == list(wanted), where
        for name, item in wanted.items():
            assert_same(got[name], item, f"{where}.{name}")
    elif isinstance(wanted, tuple | list):
        assert type(got) is type(wanted), where
        assert len(got) == len(wanted), where
        for i, item in enumerate(wanted):
            assert_same(got[i], item, f"{where}[{i}]")
    else:
        assert type(got) is type(wanted), f"{where}: {got!r} is no {type(wanted).__name__}"
        assert got == wanted or (got != got and wanted != wanted), f"{where}: {got!r} != {wanted!r}"  # noqa: PLR0124
