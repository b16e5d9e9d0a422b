"""What is particular to start messages."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from jfwriter.errors import ProtocolError, RunRefused
from jfwriter.session.planning import make_plan
from jfwriter.settings import Settings
from jfwriter.wire.messages import GoniometerAxis, GridScan, RoiAzimuthal, RoiBox, RoiCircle, UnitCell
from tests.support.wire_fields import FLAT, HEIGHT, MASK, WIDTH, assert_same, payload, raw_image, tag


def test_distance_from_the_translation(read):
    assert read("start", detector_translation=[0, 0, 0.2]).detector_distance == 0.2
    assert read("start", detector_translation=[0, 0, 0.2], detector_distance=0.3).detector_distance == 0.3


def test_energy_and_wavelength_from_each_other(read):
    assert read("start", incident_energy=12398.4198).incident_wavelength == pytest.approx(1.0, rel=1e-15)
    assert read("start", incident_wavelength=2.0).incident_energy == pytest.approx(6199.2099, rel=1e-15)
    both = read("start", incident_energy=100_000.0, incident_wavelength=0.0037)  # electrons
    assert (both.incident_energy, both.incident_wavelength) == (100_000.0, 0.0037)


@pytest.mark.parametrize("channels", [None, ["threshold_1", "threshold_2"]])
def test_values_of_a_channel_that_is_not_named(read, channels):
    first = channels[0] if channels else "default"
    got = read("start", channels=channels, threshold_energy=5000, pixel_mask=raw_image(MASK, 70))
    assert got.threshold_energy == {first: 5000.0}
    assert_same(got.pixel_mask, {first: payload(MASK)})


def test_pixels_without_dimensions_have_those_of_the_image(read):
    flat = tag(85, FLAT.tobytes())
    got = read(
        "start",
        pixel_mask={"default": raw_image(MASK, 70)},
        flatfield=flat,
        az_int_map=tag(70, MASK.tobytes()),
    )
    assert got.problems == ()
    assert_same(got.flatfield, {"default": payload(FLAT)})
    assert_same(got.az_int_map, payload(MASK))


@pytest.mark.parametrize("name", ["pixel_mask", "flatfield"])
def test_masks_of_another_size_are_left_out(read, name):
    number = 70 if name == "pixel_mask" else 85
    good = raw_image(MASK if number == 70 else FLAT, number)
    bad = tag(40, [[HEIGHT, WIDTH + 1], tag(number, bytes(4 * HEIGHT * (WIDTH + 1)))])
    short = tag(40, [[HEIGHT, WIDTH], tag(number, bytes(10))])
    got = read("start", **{name: {"a": good, "b": bad, "c": short}})
    assert list(getattr(got, name)) == ["a"]
    assert [problem.field for problem in got.problems] == [f"{name}.b", f"{name}.c"]
    assert got.problems[0].expected == "an image of 4 x 6 pixels"


@pytest.mark.parametrize("name", ["az_int_map", "roi_map"])
def test_maps_of_another_size_are_left_out(read, name):
    got = read("start", **{name: tag(40, [[1, 1], tag(70, b"abcd")])})
    assert getattr(got, name) is None
    assert got.problems[0].field == name


@pytest.mark.parametrize(
    ("sent", "number"),
    [
        *[(0, 0), ("NXmxOnlyData", 0), (1, 1), ("NXmxLegacy", 1), ("nxmxvds", 2), ("NXmxIntegrated", 3)],
        *[("CBF", 4), ("TIFF", 5), (6.0, 6), ("NoFileWritten", 6)],
    ],
)
def test_file_formats(read, sent, number):
    assert read("start", user_data={"file_format": sent}).file_format == number


@pytest.mark.parametrize(
    ("name", "sent", "reason"),
    [
        *[("file_format", sent, "format") for sent in (7, -1, "HDF5", "None", "x" * 4000, "a\nb")],
        *[("images_per_file", sent, "images_per_file") for sent in (-1, -1.0, -(2**63))],
        *[("image_dtype", sent, "image_dtype") for sent in ("uint64", "float16", "object")],
    ],
)
def test_what_cannot_be_written_refuses_the_run(read, name, sent, reason):
    start = read("start", user_data={"file_prefix": "a"}, **{name: sent})
    with pytest.raises(RunRefused, match=name) as caught:
        make_plan(start, Settings(), 1, 0.0)
    assert caught.value.reason == reason
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("name", "sent"),
    [("file_format", 1.5), ("file_format", True), ("images_per_file", "5"), ("images_per_file", 2**64)],
)
def test_requests_of_another_type_refuse_the_message(read, name, sent):
    with pytest.raises(ProtocolError, match=f"field '{name}': expected"):
        read("start", user_data={name: sent})


@pytest.mark.parametrize("name", ["overwrite", "write_master_file"])
def test_requests_may_say_0_and_1(read, name):
    assert [getattr(read("start", **{name: sent}), name) for sent in (0, 1, False, True)] == [
        False, True, False, True,
    ]  # fmt: skip
    assert read("start", **{name: 2}).problems[0].field == name


def test_big_integers_in_the_appendix_cost_nothing(read):
    got = read("start", user_data={"user": {"a": 2**70, "b": -(2**100)}, "file_prefix": "a"})
    assert got.user == {"a": float(2**70), "b": -float(2**100)}
    assert got.file_prefix == "a"
    wrong = read("start", number_of_images=2**70, sample_temperature=2**70, saturation_value=-(2**64) - 1)
    assert (wrong.number_of_images, wrong.saturation_value) == (None, None)
    assert wrong.sample_temperature == float(2**70)


@pytest.mark.parametrize("sent", [5, True, ["a"], b"abc"])
def test_a_prefix_that_is_no_text_refuses_the_run(read, sent):
    with pytest.raises(ProtocolError, match="field 'file_prefix': expected text"):
        read("start", user_data={"file_prefix": sent})


@pytest.mark.parametrize("prefix", ["/etc/x", "../x", "a\0b", "a\nb", "", "x" * 5000])
def test_prefixes_are_judged_elsewhere(read, prefix):
    got = read("start", user_data={"file_prefix": prefix})
    assert got.file_prefix == prefix
    assert got.problems == ()


@pytest.mark.parametrize(
    ("x", "y"), [(0, 4), (4, 0), (-1, 4), (10**6, 10**6), (2**64 - 1, 1), (4.5, 4), ("4", 4)]
)
def test_sizes_that_are_none_refuse_the_run(read, x, y):
    with pytest.raises(ProtocolError, match="image_size_"):
        read("start", image_size_x=x, image_size_y=y)


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("detector_distance", math.nan),
        ("detector_distance", math.inf),
        ("beam_center_x", math.nan),
        ("incident_energy", 0),
        ("incident_wavelength", -1.0),
        ("pixel_size_x", 0.0),
        ("frame_time", -1.0),
        ("attenuator_transmission", 1.5),
        ("data_reduction_factor_serialmx", -0.1),
        ("detector_translation", [0, 0, math.nan]),
        ("detector_translation", [0, 0]),
        ("az_int_bin_to_q", [0.1, math.nan]),
        ("space_group_number", 231),
        ("bit_depth_readout", 0),
        ("image_dtype", 5),
        ("number_of_images", 2**64),
        ("channels", ["a", "a"]),
        ("channels", ["a"] * 17),
        ("arm_date", "yesterday"),
        ("arm_date", 1e300),
        ("unit_cell", [79, 79, 38, 90, 90, 0]),
        ("unit_cell", {"a": 79}),
        ("ub_matrix", [[1, 2, 3], [4, 5, 6]]),
        ("threshold_energy", {"a": -1}),
        ("saturation_value", 2**63),
        ("sample_name", "a" * 5000),
        ("gain_file_names", ["a", 5]),
        ("fluorescence", {"energy": [1, 2], "data": [1]}),
        ("grid_scan", {"n_slow": 5}),
        ("grid_scan", {"n_fast": 0}),
        ("goniometer", {"omega": {"start": "x"}}),
        ("goniometer", {"omega": {"axis": [1, 2]}}),
        ("goniometer", {str(i): {} for i in range(17)}),
    ],
)
def test_values_out_of_bounds_are_ignored_and_listed(read, name, sent):
    got = read("start", **{name: sent})
    assert got.problems[0].field.split(".")[0].split("[")[0] == name
    assert getattr(got, name) in (None, (), {})


def test_dates(read):
    for sent in ("2026-03-04T05:06:07Z", "2026-03-04t05:06:07.123456789+01:00"):
        assert read("start", arm_date=sent).arm_date == sent
        assert read("start", arm_date=tag(0, sent)).arm_date == sent
    assert read("start", arm_date=tag(1, 0)).arm_date == "1970-01-01T00:00:00Z"
    assert read("start", arm_date=tag(1, 1.5)).arm_date == "1970-01-01T00:00:01.500000Z"


def test_goniometer_of_plain_stream_v2(read):
    axes = {name: {"start": 1.5, "increment": 0.0} for name in ("chi", "kappa", "omega", "phi", "two_theta")}
    assert read("start", goniometer=axes).goniometer == {name: GoniometerAxis(1.5, 0.0) for name in axes}


def test_grid_scan_with_defaults(read):
    assert read("start", grid_scan={"n_fast": 5}).grid_scan == GridScan(5)


def test_regions_under_other_spellings(read):
    got = read(
        "start",
        rois=[
            {"name": "a", "type": "box", "xmin": 1, "xmax": 2, "ymin": 3, "ymax": 4},
            {"name": "b", "type": "circle", "x": 1, "y": 2, "r": 3},
            {"name": "c", "type": "azim", "qmin": 0.5, "qmax": 1},
            {"name": "d", "xmin": 1, "xmax": 2, "ymin": 3, "ymax": 4},
        ],
    )
    assert got.rois == (
        RoiBox("a", 1, 2, 3, 4),
        RoiCircle("b", 1.0, 2.0, 3.0),
        RoiAzimuthal("c", 0.5, 1.0),
        RoiBox("d", 1, 2, 3, 4),
    )


BOX = {"name": "a", "type": "box", "min_x_pxl": 1, "max_x_pxl": 2, "min_y_pxl": 0, "max_y_pxl": 3}


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        (BOX, "rois[1].name"),
        ({**BOX, "name": ""}, "rois[1].name"),
        ({**BOX, "name": "b", "type": "square"}, "rois[1].type"),
        ({**BOX, "name": "b", "min_x_pxl": "a"}, "rois[1].min_x_pxl"),
        (5, "rois[1]"),
        (
            {"name": "b", "type": "circle", "center_x_pxl": 1, "center_y_pxl": 1, "radius_pxl": 0},
            "rois[1].radius_pxl",
        ),
        ({"name": "b", "type": "azim", "q_min_recipA": 1, "q_max_recipA": 1, "phi_min_deg": 1}, "rois[1]"),
        ({}, "rois[1].type"),
        (None, None),
    ],
)
def test_a_wrong_region_leaves_the_others_their_bits(read, wrong, place):
    got = read("start", rois=[BOX, wrong, {**BOX, "name": "c"}])
    assert [(region.name, region.bit_index) for region in got.rois] == [("a", 0), ("c", 2)]
    assert [problem.field for problem in got.problems] == ([] if place is None else [place])


def test_regions_without_a_bit_are_left_out(read):
    got = read("start", rois=[{**BOX, "name": str(i)} for i in range(17)])
    assert [region.name for region in got.rois] == [str(i) for i in range(16)]
    assert got.problems[0].field == "rois"


@pytest.mark.parametrize("rois", [5, "a", {"a": BOX}])
def test_regions_that_are_no_array(read, rois):
    got = read("start", rois=rois)
    assert got.rois == ()
    assert got.problems[0].field == "rois"


def test_unit_cell_as_six_numbers(read):
    assert read("start", unit_cell=[1, 2, 3, 90, 91, 92.5]).unit_cell == UnitCell(
        1.0, 2.0, 3.0, 90.0, 91.0, 92.5
    )


def test_ub_matrix_as_rows(read):
    assert_same(
        read("start", ub_matrix=[[1, 2, 3], [4, 5, 6], [7, 8, 9]]).ub_matrix, np.arange(1.0, 10).reshape(3, 3)
    )


def test_lookup_table_keeps_type_and_shape(read):
    table = np.arange(6, dtype=">u2").reshape(2, 3)
    got = read("start", countrate_correction_lookup_table=raw_image(table, 65))
    assert_same(got.countrate_correction_lookup_table, table.astype("<u2"))


def test_header_appendix(read):
    user = {"hdf5": {"a": 1}, "x": [1.5, None]}
    assert read("start", user_data={"user": user}).user == user
    assert read("start", user_data=json.dumps({"user": user})).user == user
    text = read("start", user_data={"user": "just text"})
    assert (text.user, text.user_data_text) == ("just text", None)


@pytest.mark.parametrize("sent", [[1, "\N{BLUE HEART}"], 5, True, 2.5])
def test_user_data_of_plain_stream_v2(read, sent):
    got = read("start", user_data=sent)
    assert (got.user, got.user_data_text, got.problems) == (sent, None, ())


@pytest.mark.parametrize("sent", ["beamtime", "{broken", "[1, 2]", "", '{"a":' * 1000])
def test_user_data_that_is_no_json_object_stays_text(read, sent):
    got = read("start", user_data=sent)
    assert (got.user_data_text, got.user) == (sent, None)


def test_no_unique_id_is_empty(read):
    assert read("start").series_unique_id == ""
    assert read("start", series_unique_id=5).series_unique_id == ""
