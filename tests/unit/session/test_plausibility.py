"""What cannot be true of a run, and that real runs are left alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from jfwriter.session.plausibility import HC_EV_ANGSTROM, Axis, Facts, facts_of, implausible
from jfwriter.wire.messages import GoniometerAxis, StartMessage, UnitCell
from tests.support import messages

GOOD = Facts(
    image_size=(1024, 1032), incident_energy_eV=12400.0,
    incident_wavelength_angstrom=HC_EV_ANGSTROM / 12400, detector_distance_m=0.1, beam_center_x=500.0,
    beam_center_y=480.0, pixel_size_x_m=75e-6, pixel_size_y_m=75e-6, sensor_thickness_m=320e-6,
    count_time_s=0.0099, frame_time_s=0.01, attenuator_transmission=0.5, sample_temperature_K=100.0,
    poni_rot1_rad=0.1, poni_rot2_rad=0.0, poni_rot3_rad=-0.1, total_flux=1e12,
    unit_cell=(78.0, 78.0, 37.0, 90.0, 90.0, 90.0), axes={"omega": Axis(0.1, (-1.0, 0.0, 0.0))},
)  # fmt: skip


def fields_of(**changes: Any) -> list[str]:
    return [problem.field for problem in implausible(dataclasses.replace(GOOD, **changes))]


def test_a_sound_run_and_an_empty_one_raise_no_doubt() -> None:
    assert implausible(GOOD) == ()
    assert implausible(Facts()) == ()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"incident_energy_eV": 12.4, "incident_wavelength_angstrom": None}, "incident_energy"),
        ({"incident_energy_eV": 11000.0}, "incident_wavelength"),
        ({"incident_energy_eV": 0.0}, "incident_energy"),
        ({"incident_energy_eV": -12400.0}, "incident_energy"),
        ({"incident_wavelength_angstrom": 0.0}, "incident_wavelength"),
        ({"incident_wavelength_angstrom": -1.0}, "incident_wavelength"),
        ({"incident_wavelength_angstrom": 1e-10, "incident_energy_eV": None}, "incident_wavelength"),
        ({"detector_distance_m": 120.0}, "detector_distance"),
        ({"detector_distance_m": 0.0}, "detector_distance"),
        ({"detector_distance_m": -0.1}, "detector_distance"),
        ({"detector_distance_m": float("nan")}, "detector_distance"),
        ({"beam_center_x": -1033.0}, "beam_center_x"),
        ({"beam_center_y": 2050.0}, "beam_center_y"),
        ({"beam_center_y": float("inf")}, "beam_center_y"),
        ({"pixel_size_x_m": 75.0}, "pixel_size_x"),
        ({"pixel_size_y_m": 0.0}, "pixel_size_y"),
        ({"sensor_thickness_m": 0.32}, "sensor_thickness"),
        ({"count_time_s": 0.011}, "count_time"),
        ({"frame_time_s": 0.0, "count_time_s": None}, "frame_time"),
        ({"attenuator_transmission": 50.0}, "attenuator_transmission"),
        ({"sample_temperature_K": -173.0}, "sample_temperature"),
        ({"poni_rot1_rad": 30.0}, "poni_rot1"),
        ({"total_flux": -1.0}, "total_flux"),
        ({"unit_cell": (78.0, 78.0, 0.0, 90.0, 90.0, 90.0)}, "unit_cell"),
        ({"unit_cell": (78.0, 78.0, 1e6, 90.0, 90.0, 90.0)}, "unit_cell"),
        ({"unit_cell": (78.0, 78.0, 37.0, 30.0, 30.0, 90.0)}, "unit_cell"),
        ({"unit_cell": (78.0, 78.0, 37.0, 200.0, 90.0, 90.0)}, "unit_cell"),
        ({"axes": {"omega": Axis(400.0)}}, "omega"),
        ({"axes": {"omega": Axis(-400.0)}}, "omega"),
        ({"axes": {"phi": Axis(0.1, (float("inf"), 0.0, 0.0))}}, "phi"),
        ({"axes": {"phi": Axis(0.1, (0.0, 0.0, 0.0))}}, "phi"),
        ({"axes": {"phi": Axis(float("nan"))}}, "phi"),
    ],
)
def test_what_cannot_be_is_named(changes: dict[str, Any], field: str) -> None:
    assert fields_of(**changes) == [field]


def test_equal_times_and_a_centre_beside_the_detector_are_no_problem() -> None:
    assert fields_of(count_time_s=0.01) == []
    assert fields_of(count_time_s=0.01 * (1 + 1e-7)) == []
    assert fields_of(beam_center_x=-300.0, beam_center_y=1500.0) == []
    assert fields_of(incident_energy_eV=12400.0 * 1.0005) == []


def test_a_cell_of_another_number_of_values_is_none_to_judge() -> None:
    assert fields_of(unit_cell=(0.0, 0.0)) == []


def test_a_long_name_of_an_axis_is_cut_short() -> None:
    start = messages.start(goniometer={"o" * 100: GoniometerAxis(0.0, 999.0, None, None)})
    assert [problem.field for problem in implausible(facts_of(start)) if "o" * 9 in problem.field] == [
        "o" * 40
    ]


def test_every_fact_of_a_start_message_is_judged() -> None:
    start = messages.start(
        incident_energy=1.0, incident_wavelength=1e9, detector_distance=1e9, beam_center_x=1e9,
        beam_center_y=1e9, pixel_size_x=1.0, pixel_size_y=1.0, sensor_thickness=1.0, count_time=1e9,
        frame_time=1e8, attenuator_transmission=2.0, sample_temperature=-1.0, poni_rot1=9.0, poni_rot2=9.0,
        poni_rot3=9.0, total_flux=-1.0, unit_cell=UnitCell(1, 1, 1, 0, 90, 90),
        goniometer={"omega": GoniometerAxis(0.0, 999.0, None, None)},
    )  # fmt: skip
    judged = {problem.field for problem in implausible(facts_of(start))}
    sent = {field.name for field in dataclasses.fields(StartMessage)}
    assert judged - {"omega"} <= sent
    assert len(judged) == len(dataclasses.fields(Facts)) - 1
