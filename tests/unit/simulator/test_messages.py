"""The messages of a run, read with plain cbor2 and with the decoder."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from jfwriter.payload import Codec
from jfwriter.settings import LimitSettings
from jfwriter.simulator import Experiment, Flavour, RunOptions, Scan, SimulatedRun
from jfwriter.simulator.options import FILE_FORMATS, PIXEL_TYPES
from jfwriter.wire.decode import decode
from jfwriter.wire.messages import CalibrationMessage, EndMessage, ImageMessage, StartMessage
from tests.support.plain_cbor import load, unpack
from tests.support.simulated import small_options

LIMITS = LimitSettings()

# DECTRIS Stream V2, the fields of each message.
STREAM2 = {
    "start": {
        "type", "arm_date", "beam_center_x", "beam_center_y", "channels", "count_time",
        "countrate_correction_enabled", "countrate_correction_lookup_table", "detector_description",
        "detector_serial_number", "detector_translation", "flatfield", "flatfield_enabled", "frame_time",
        "goniometer", "image_dtype", "image_size_x", "image_size_y", "incident_energy",
        "incident_wavelength", "number_of_images", "pixel_mask", "pixel_mask_enabled", "pixel_size_x",
        "pixel_size_y", "saturation_value", "sensor_material", "sensor_thickness", "series_id",
        "series_unique_id", "threshold_energy", "user_data", "virtual_pixel_interpolation_enabled",
    },
    "image": {
        "type", "data", "image_id", "real_time", "series_date", "series_id", "series_unique_id", "start_time",
        "stop_time", "user_data",
    },
    "end": {"type", "series_id", "series_unique_id"},
}  # fmt: skip

# What a Jungfraujoch start or image message of a rotation series leaves out, and why.
NOT_IN_START = {
    "flatfield", "countrate_correction_lookup_table",  # DECTRIS only
    "grid_scan", "incident_wavelength_spread", "ub_matrix", "user_data_text", "problems",
    "writer_notification_zmq_addr", "socket_number", "write_master_file",  # only when asked for
    "file_format", "overwrite",
}  # fmt: skip
NOT_IN_IMAGE = {
    "indexing_lattice_extra", "indexing_unit_cell", "problems",
    "xfel_pulse_id", "xfel_event_code",  # stills
}  # fmt: skip
NOT_IN_END = {"rotation_lattice_extra", "problems"}


def by_type(options: RunOptions) -> dict[str, list[dict]]:
    sorted_: dict[str, list[dict]] = {}
    for message in SimulatedRun(options).messages():
        fields = load(message)
        sorted_.setdefault(fields["type"], []).append(fields)
    return sorted_


def is_empty(value: object) -> bool:
    return value is None or (isinstance(value, tuple | dict) and not value)


@pytest.mark.parametrize("flavour", Flavour)
@pytest.mark.parametrize("experiment", Experiment)
def test_the_decoder_finds_nothing_to_complain_about(flavour: Flavour, experiment: Experiment) -> None:
    options = small_options(flavour=flavour, scan=Scan(experiment=experiment), with_reflections=True)
    kinds = []
    for message in SimulatedRun(options).messages():
        decoded = decode(message, LIMITS)
        kinds.append(type(decoded))
        assert decoded.problems == ()  # type: ignore[union-attr]
    calibrations = [CalibrationMessage] * 3 if flavour is Flavour.JUNGFRAUJOCH else []
    assert kinds == [StartMessage, *calibrations, *[ImageMessage] * 8, EndMessage]


def test_jungfraujoch_messages_fill_every_field() -> None:
    options = small_options(with_reflections=True)
    messages = [decode(message, LIMITS) for message in SimulatedRun(options).messages()]
    for message, left_out in (
        (messages[0], NOT_IN_START),
        (messages[4], NOT_IN_IMAGE),
        (messages[-1], NOT_IN_END),
    ):
        fields = {field.name for field in dataclasses.fields(message)}
        empty = {name for name in fields if is_empty(getattr(message, name))}
        assert empty == left_out & fields


def test_plain_stream2_has_no_field_of_its_own() -> None:
    messages = by_type(small_options(flavour=Flavour.STREAM2, n_channels=2, file_prefix=""))
    assert set(messages) == set(STREAM2)
    for kind, wanted in STREAM2.items():
        for message in messages[kind]:
            assert set(message) == wanted - {"user_data"}
    (start,) = messages["start"]
    assert start["channels"] == list(start["pixel_mask"]) == list(start["threshold_energy"])
    assert list(messages["image"][0]["data"]) == ["threshold_1", "threshold_2"]
    assert start["goniometer"]["omega"] == {"start": 0.0, "increment": 0.2}


def test_numbers_and_times_of_the_images() -> None:
    images = by_type(small_options(frame_time_s=0.01, count_time_s=0.0099, run_number=12))["image"]
    assert [image["image_id"] for image in images] == list(range(8))
    for i, image in enumerate(images):
        assert (image["series_id"], image["series_unique_id"]) == (12, "12:run")
        start, stop, real = (np.divide(*image[name]) for name in ("start_time", "stop_time", "real_time"))
        assert start == pytest.approx(i * 0.01)
        assert stop - start == pytest.approx(0.0099)
        assert real == pytest.approx(0.0099)


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("dtype", PIXEL_TYPES)
def test_the_pixels_are_those_of_the_source(codec: Codec, dtype: str) -> None:
    run = SimulatedRun(small_options(dtype, codec=codec, n_images=2, n_channels=2))
    fields = load(run.image(1))
    for channel, name in enumerate(run.options.channels):
        image = fields["data"][name]
        assert image[0] == codec.value
        assert image[2:] == (np.dtype(dtype), run.options.detector.shape)
        assert image[1] == run.payload(1, channel)
        np.testing.assert_array_equal(unpack(image), run.pixels(1, channel))


def test_few_distinct_images_serve_many() -> None:
    run = SimulatedRun(small_options(n_images=100, n_distinct=3))
    assert len(run.prepared) == 3
    assert load(run.image(97))["data"] == load(run.image(1))["data"]
    assert load(run.image(97))["image_id"] == 97
    assert load(run.image(96))["data"] != load(run.image(97))["data"]


def test_a_run_without_images() -> None:
    messages = by_type(small_options(n_images=0))
    assert "image" not in messages
    assert messages["end"][0]["max_image_number"] == 0


def test_what_stands_beside_an_image_is_measured_on_it() -> None:
    run = SimulatedRun(small_options())
    fields = load(run.image(3))
    pixels = run.pixels(3).astype(np.int64)
    good = run.pixel_mask == 0
    assert fields["pixel_sum"] == pixels[good].sum()
    assert fields["max_viable_pixel_value"] == pixels[good].max()
    assert fields["error_pixel_count"] == (pixels == -32768).sum()
    start = load(run.start())
    bins = unpack(start["az_int_map"])
    for number in (10, 30, 49):
        ring = pixels[bins == number]
        assert fields["az_int_profile"][number] == pytest.approx(ring.mean(), rel=1e-5)
        assert fields["az_int_profile_std"][number] == pytest.approx(ring.std(), rel=1e-4)
        assert fields["az_int_profile_count"][number] == ring.size
    for bit, roi in enumerate(start["rois"]):
        inside = ((unpack(start["roi_map"]) >> bit) & 1).astype(bool) & good
        found = fields["roi_integrals"][roi["name"]]
        y, x = np.nonzero(inside)
        assert found["pixels"] == inside.sum() > 0
        assert found["sum"] == pixels[inside].sum()
        assert found["sum_square"] == (pixels[inside] ** 2).sum()
        assert found["max"] == pixels[inside].max()
        assert found["x_weighted"] == (pixels[inside] * x).sum()
        assert found["y_weighted"] == (pixels[inside] * y).sum()


def test_spots_are_at_bright_places_with_their_indices() -> None:
    run = SimulatedRun(small_options())
    fields = load(run.image(0))
    pixels = run.pixels(0)
    assert 5 < len(fields["spots"]) == fields["spot_count"]
    lattice = np.array(fields["indexing_lattice"], np.float64).reshape(3, 3)
    geometry = run.options.geometry
    intensities = [spot["I"] for spot in fields["spots"]]
    assert intensities == sorted(intensities, reverse=True)
    for spot in fields["spots"]:
        x, y = round(spot["x"]), round(spot["y"])
        assert 0 < spot["maxc"] == pixels[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4].max()
        # Laue's equations with the lattice of the message, whose frame has x along columns, y along rows.
        place = np.array([
            (spot["x"] + 0.5 - geometry.beam_x_pxl) * geometry.pixel_size_m,
            (spot["y"] + 0.5 - geometry.beam_y_pxl) * geometry.pixel_size_m,
            geometry.distance_m,
        ])  # fmt: skip
        scattering = (place / np.linalg.norm(place) - [0, 0, 1]) / geometry.wavelength_angstrom
        np.testing.assert_allclose(lattice @ scattering, [spot["h"], spot["k"], spot["l"]], atol=0.2)


def test_start_says_what_the_images_are() -> None:
    options = small_options("uint16", file_format="NXmxVDS", images_per_file=7, overwrite=True, run_number=5)
    run = SimulatedRun(options)
    start = load(run.start())
    assert (start["image_size_x"], start["image_size_y"]) == (260, 240)
    assert (start["image_dtype"], start["number_of_images"]) == ("uint16", 8)
    assert (start["error_value"], start["saturation_value"]) == (65535, 65534)
    assert start["incident_energy"] * start["incident_wavelength"] == pytest.approx(12398.4198)
    assert start["detector_translation"] == [0.0, 0.0, start["detector_distance"]]
    assert start["goniometer"]["omega"]["axis"] == [-1.0, 0.0, 0.0]
    np.testing.assert_array_equal(unpack(start["pixel_mask"]["default"]), run.pixel_mask)
    assert len(start["az_int_bin_to_q"]) == start["az_int_bin_number"] == 50
    two_theta = np.radians(start["az_int_bin_to_two_theta"])
    np.testing.assert_allclose(start["az_int_bin_to_q"], 4 * math.pi * np.sin(two_theta / 2), rtol=1e-5)
    user = json.loads(start["user_data"])
    assert (user["file_prefix"], user["images_per_file"], user["overwrite"]) == ("run", 7, True)
    assert FILE_FORMATS[user["file_format"]] == "NXmxVDS"
    assert (user["run_number"], user["run_name"]) == (5, "5:run")
    assert "socket_number" not in user


def test_start_tells_each_of_several_writers_its_part() -> None:
    run = SimulatedRun(small_options(n_images=1, notification_address="tcp://127.0.0.1:5"))
    users = [json.loads(load(run.start(i, write_master=i == 0))["user_data"]) for i in range(2)]
    assert [user["socket_number"] for user in users] == [0, 1]
    assert [user["write_master_file"] for user in users] == [True, False]
    assert users[0]["writer_notification_zmq_addr"] == "tcp://127.0.0.1:5"


def test_float_images_have_no_error_value() -> None:
    assert "error_value" not in load(SimulatedRun(small_options("float32", n_images=1)).start())


def test_a_grid_scan_and_stills_have_no_rotation() -> None:
    grid = by_type(small_options(scan=Scan(experiment=Experiment.GRID, n_fast=3)))
    assert "goniometer" not in grid["start"][0]
    assert (grid["start"][0]["grid_scan"]["n_fast"], grid["start"][0]["grid_scan"]["n_slow"]) == (3, 3)
    still = by_type(small_options(scan=Scan(experiment=Experiment.STILL)))
    assert "goniometer" not in still["start"][0]
    pulses = [image["xfel_pulse_id"] for image in still["image"]]
    assert pulses == sorted(set(pulses))


def test_end_says_what_was_sent() -> None:
    run = SimulatedRun(small_options())
    end = load(run.end([0, 1, 5]))
    assert (end["max_image_number"], end["images_sent_to_write"], end["cancelled"]) == (6, 3, False)
    assert load(run.end([], cancelled=True))["cancelled"] is True
    mean = np.mean([load(run.image(i))["az_int_profile"] for i in range(8)], axis=0)
    np.testing.assert_allclose(end["az_int_result"]["dataset"], mean, rtol=1e-5)


def test_a_renamed_run_shows_the_same_images() -> None:
    run = SimulatedRun(small_options())
    other = run.renamed(9, "again", "NXmxVDS")
    assert other.prepared is run.prepared
    start = load(other.start())
    assert (start["series_id"], start["series_unique_id"]) == (9, "9:again")
    assert json.loads(start["user_data"])["file_format"] == 2
    assert load(other.calibration()[0])["series_id"] == 9
    assert load(other.image(2))["data"] == load(run.image(2))["data"]
    assert load(run.start())["series_id"] == 1


def test_pedestals_are_those_of_an_integrating_detector() -> None:
    names = [list(fields["data"]) for fields in by_type(small_options())["calibration"]]
    assert names == [["pedestal_g0"], ["pedestal_g1"], ["pedestal_g2"]]
    options = small_options()
    counting = dataclasses.replace(options.detector, has_pedestals=False)
    assert "calibration" not in by_type(dataclasses.replace(options, detector=counting))
    assert "calibration" not in by_type(small_options(with_calibration=False))


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    SimulatedRun(small_options(n_images=5), progress=lambda done, of: told.append((done, of)))
    assert told == [(i, 5) for i in range(1, 6)]
