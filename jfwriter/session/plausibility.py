"""What the description of a run says and cannot be true. Plain numbers in, a list of problems out.

The same rules judge a start message when it comes and a finished file when it is validated. Nothing here
stops a run: a wrong distance can be put right later, an image that was not written cannot. The bounds are
wide; they are there for units (keV for eV, mm for m) and mixed-up fields.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields

from jfwriter.wire.messages import StartMessage

HC_EV_ANGSTROM = 12398.4198
"""As in `docs/reference/messages/start.md`."""

ENERGY_TOLERANCE = 1e-3
TIME_TOLERANCE = 1e-6
CENTRE_MARGIN = 1.0
"""How far outside the detector the beam centre may lie, in widths (heights) of the detector."""

_BOUNDS: Mapping[str, tuple[float, float, str, str]] = {
    "incident_energy_eV": (100.0, 2e6, "eV", "is it in keV?"),
    "incident_wavelength_angstrom": (0.005, 130.0, "Å", "is it in m or nm?"),
    "detector_distance_m": (1e-3, 60.0, "m", "is it in mm?"),
    "pixel_size_x_m": (1e-7, 5e-3, "m", "is it in mm or µm?"),
    "pixel_size_y_m": (1e-7, 5e-3, "m", "is it in mm or µm?"),
    "sensor_thickness_m": (1e-6, 2e-2, "m", "is it in mm or µm?"),
    "count_time_s": (1e-9, 1e5, "s", "is it in ms or ns?"),
    "frame_time_s": (1e-9, 1e5, "s", "is it in ms or ns?"),
    "attenuator_transmission": (0.0, 1.0, "", "is it in percent?"),
    "sample_temperature_K": (0.0, 5e3, "K", "is it in °C?"),
    "poni_rot1_rad": (-2 * math.pi, 2 * math.pi, "rad", "is it in degrees?"),
    "poni_rot2_rad": (-2 * math.pi, 2 * math.pi, "rad", "is it in degrees?"),
    "poni_rot3_rad": (-2 * math.pi, 2 * math.pi, "rad", "is it in degrees?"),
    "total_flux": (0.0, 1e20, "photons/s", ""),
}

MAX_INCREMENT_DEG = 180.0


@dataclass(frozen=True, slots=True)
class Axis:
    """A rotation axis: angle per image in deg; direction as given, None if not."""

    increment_deg: float
    direction: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a run; None where it is not. `image_size` is (height, width) in pixels."""

    image_size: tuple[int, int] | None = None
    incident_energy_eV: float | None = None  # noqa: N815 the unit's own spelling
    incident_wavelength_angstrom: float | None = None
    detector_distance_m: float | None = None
    beam_center_x: float | None = None
    """pixel"""
    beam_center_y: float | None = None
    pixel_size_x_m: float | None = None
    pixel_size_y_m: float | None = None
    sensor_thickness_m: float | None = None
    count_time_s: float | None = None
    frame_time_s: float | None = None
    attenuator_transmission: float | None = None
    sample_temperature_K: float | None = None  # noqa: N815 the unit's own spelling
    poni_rot1_rad: float | None = None
    poni_rot2_rad: float | None = None
    poni_rot3_rad: float | None = None
    total_flux: float | None = None
    unit_cell: tuple[float, ...] | None = None
    """a, b, c in Å, alpha, beta, gamma in deg."""
    axes: Mapping[str, Axis] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """`field` is named as in the start message (of an axis: its name), `text` says what is wrong with it."""

    field: str
    text: str

    def __str__(self) -> str:
        return f"{self.field}: {self.text}"


def implausible(facts: Facts) -> tuple[Problem, ...]:
    """Everything that cannot be, in the order of the fields."""
    return (
        *_out_of_bounds(facts),
        *_energy(facts),
        *_beam_center(facts),
        *_times(facts),
        *_cell(facts),
        *_axes(facts),
    )


def facts_of(start: StartMessage) -> Facts:
    """What a start message says. A wavelength that was made from the energy agrees with it."""
    cell = start.unit_cell
    return Facts(
        image_size=(start.image_size_y, start.image_size_x),
        incident_energy_eV=start.incident_energy,
        incident_wavelength_angstrom=start.incident_wavelength,
        detector_distance_m=start.detector_distance,
        beam_center_x=start.beam_center_x,
        beam_center_y=start.beam_center_y,
        pixel_size_x_m=start.pixel_size_x,
        pixel_size_y_m=start.pixel_size_y,
        sensor_thickness_m=start.sensor_thickness,
        count_time_s=start.count_time,
        frame_time_s=start.frame_time,
        attenuator_transmission=start.attenuator_transmission,
        sample_temperature_K=start.sample_temperature,
        poni_rot1_rad=start.poni_rot1,
        poni_rot2_rad=start.poni_rot2,
        poni_rot3_rad=start.poni_rot3,
        total_flux=start.total_flux,
        unit_cell=None if cell is None else (cell.a, cell.b, cell.c, cell.alpha, cell.beta, cell.gamma),
        axes={name[:40]: Axis(axis.increment, axis.axis) for name, axis in start.goniometer.items()},
    )


def _out_of_bounds(facts: Facts) -> Iterator[Problem]:
    for place in fields(facts):
        bounds = _BOUNDS.get(place.name)
        value = getattr(facts, place.name)
        if bounds is None or value is None:
            continue
        low, high, unit, question = bounds
        if not low <= value <= high:
            shown = f"{value:g} {unit}".strip()
            expected = f"expected {low:g} to {high:g} {unit}".strip()
            yield Problem(
                _sent_as(place.name), "; ".join(part for part in (shown, expected, question) if part)
            )


def _sent_as(name: str) -> str:
    """The start message's fields have no unit in their names."""
    stem, _, unit = name.rpartition("_")
    return stem if unit in {"eV", "angstrom", "m", "s", "K", "rad"} else name


def _energy(facts: Facts) -> Iterator[Problem]:
    energy_eV, wavelength = facts.incident_energy_eV, facts.incident_wavelength_angstrom  # noqa: N806 unit
    if not energy_eV or not wavelength or energy_eV < 0 or wavelength < 0:
        return
    expected = HC_EV_ANGSTROM / energy_eV
    if abs(wavelength - expected) > ENERGY_TOLERANCE * expected:
        yield Problem(
            "incident_wavelength",
            f"{wavelength:.6g} Å; the energy of {energy_eV:.6g} eV has {expected:.6g} Å",
        )


def _beam_center(facts: Facts) -> Iterator[Problem]:
    if facts.image_size is None:
        return
    height, width = facts.image_size
    for name, value, size in (
        ("beam_center_x", facts.beam_center_x, width),
        ("beam_center_y", facts.beam_center_y, height),
    ):
        margin = CENTRE_MARGIN * size
        if value is not None and not -margin <= value <= size + margin:
            yield Problem(name, f"{value:g} pixels; far outside a detector of {size}: is it in mm?")


def _times(facts: Facts) -> Iterator[Problem]:
    count_s, frame_s = facts.count_time_s, facts.frame_time_s
    if count_s is not None and frame_s is not None and count_s > frame_s * (1 + TIME_TOLERANCE):
        yield Problem("count_time", f"{count_s:g} s; longer than the {frame_s:g} s from image to image")


def _cell(facts: Facts) -> Iterator[Problem]:
    cell = facts.unit_cell
    if cell is None or len(cell) != 6:
        return
    lengths, angles = cell[:3], cell[3:]
    if not all(0 < length < 1e5 for length in lengths) or not all(0 < angle < 180 for angle in angles):
        yield Problem("unit_cell", f"{_numbers(cell)}; expected lengths in Å and angles in degrees")
        return
    cosines = [math.cos(math.radians(angle)) for angle in angles]
    squared = 1 - sum(c * c for c in cosines) + 2 * math.prod(cosines)
    if squared <= 0:
        yield Problem("unit_cell", f"{_numbers(cell)}; no cell has these three angles")


def _axes(facts: Facts) -> Iterator[Problem]:
    for name, axis in facts.axes.items():
        increment = axis.increment_deg
        if not abs(increment) <= MAX_INCREMENT_DEG:
            yield Problem(name, f"{increment:g} degrees per image; expected at most {MAX_INCREMENT_DEG:g}")
        direction = axis.direction
        if direction is not None and not 0 < math.hypot(*direction) < math.inf:
            yield Problem(name, f"its direction {_numbers(direction)} has no length")


def _numbers(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"
