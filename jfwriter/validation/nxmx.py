"""What NXmx requires of a master, units, and whether its numbers can be."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping

import h5py
import numpy as np

from jfwriter.reader.contents import DETECTOR_SPECIFIC
from jfwriter.reader.fields import Vector, attribute_text, number_of, numbers_of, text_of
from jfwriter.reader.nodes import dataset_at, find
from jfwriter.session.plausibility import Axis, Facts, implausible
from jfwriter.validation.findings import Check, Report

DETECTOR = "/entry/instrument/detector"
BEAM = "/entry/instrument/beam"

CLASSES: Mapping[str, str] = {
    "/entry": "NXentry",
    "/entry/data": "NXdata",
    "/entry/instrument": "NXinstrument",
    "/entry/source": "NXsource",
    BEAM: "NXbeam",
    DETECTOR: "NXdetector",
    "/entry/sample": "NXsample",
}
"""Required groups."""
REQUIRED_TEXTS = ("/entry/start_time", "/entry/end_time_estimated", "/entry/source/name",
                  "/entry/instrument/name", f"{DETECTOR}/sensor_material", "/entry/sample/name",
                  "/entry/sample/depends_on")  # fmt: skip
TIMES = ("/entry/start_time", "/entry/end_time", "/entry/end_time_estimated")
REQUIRED_NUMBERS = (f"{BEAM}/incident_wavelength", f"{DETECTOR}/sensor_thickness")

_LENGTH = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "micron": 1e-6, "nm": 1e-9, "angstrom": 1e-10, "Angstrom": 1e-10,
           "A": 1e-10, "\u00c5": 1e-10, "\u212b": 1e-10, "cm": 1e-2, "pm": 1e-12}  # fmt: skip
_TIME = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "second": 1.0, "seconds": 1.0}
_ANGLE = {"rad": 1.0, "deg": math.pi / 180, "degree": math.pi / 180, "degrees": math.pi / 180, "mrad": 1e-3}
_PIXEL = {"pixel": 1.0, "pixels": 1.0, "px": 1.0}
_ENERGY = {"eV": 1.0, "keV": 1e3, "MeV": 1e6}

UNITS: Mapping[str, Mapping[str, float]] = {
    f"{BEAM}/incident_wavelength": _LENGTH,
    f"{BEAM}/incident_energy": _ENERGY,
    f"{BEAM}/incident_wavelength_spread": _LENGTH,
    f"{DETECTOR}/distance": _LENGTH,
    f"{DETECTOR}/detector_distance": _LENGTH,
    f"{DETECTOR}/beam_center_x": _PIXEL,
    f"{DETECTOR}/beam_center_y": _PIXEL,
    f"{DETECTOR}/x_pixel_size": _LENGTH,
    f"{DETECTOR}/y_pixel_size": _LENGTH,
    f"{DETECTOR}/sensor_thickness": _LENGTH,
    f"{DETECTOR}/count_time": _TIME,
    f"{DETECTOR}/frame_time": _TIME,
    f"{DETECTOR}/threshold_energy": _ENERGY,
    f"{DETECTOR}/transformations/translation": _LENGTH,
    f"{DETECTOR}/transformations/rot1": _ANGLE,
    f"{DETECTOR}/transformations/rot2": _ANGLE,
    f"{DETECTOR}/transformations/rot3": _ANGLE,
    f"{DETECTOR}/module/fast_pixel_direction": _LENGTH,
    f"{DETECTOR}/module/slow_pixel_direction": _LENGTH,
    f"{DETECTOR}/module/module_offset": _LENGTH,
}
"""Factor to m, s, rad, pixel or eV of the units that a value may have."""
TEMPERATURE = "/entry/sample/temperature"
TRANSFORMATIONS = "/entry/sample/transformations"
ANGLE_TOLERANCE = 1e-3
_MAX_CHAIN = 32


def check_description(
    file: h5py.File, name: str, n_images: int | None, image_size: tuple[int, int] | None, report: Report
) -> None:
    """`n_images`: length of the run; `image_size`: (height, width) of the images, None where not known."""
    _required(file, name, report)
    values = _units(file, name, report)
    _mask(file, name, image_size, report)
    _chain(file, name, "/entry/sample/depends_on", report)
    _chain(file, name, f"{DETECTOR}/depends_on", report)
    _module(file, name, image_size, report)
    axes = _goniometer(file, name, n_images, report)
    wavelength_m = values.get(f"{BEAM}/incident_wavelength")
    facts = Facts(
        image_size=image_size,
        incident_energy_eV=values.get(f"{BEAM}/incident_energy"),
        incident_wavelength_angstrom=None if wavelength_m is None else wavelength_m * 1e10,
        detector_distance_m=values.get(f"{DETECTOR}/distance", values.get(f"{DETECTOR}/detector_distance")),
        beam_center_x=values.get(f"{DETECTOR}/beam_center_x"),
        beam_center_y=values.get(f"{DETECTOR}/beam_center_y"),
        pixel_size_x_m=values.get(f"{DETECTOR}/x_pixel_size"),
        pixel_size_y_m=values.get(f"{DETECTOR}/y_pixel_size"),
        sensor_thickness_m=values.get(f"{DETECTOR}/sensor_thickness"),
        count_time_s=values.get(f"{DETECTOR}/count_time"),
        frame_time_s=values.get(f"{DETECTOR}/frame_time"),
        attenuator_transmission=number_of(file, "/entry/instrument/attenuator/attenuator_transmission"),
        sample_temperature_K=number_of(file, TEMPERATURE),
        poni_rot1_rad=values.get(f"{DETECTOR}/transformations/rot1"),
        poni_rot2_rad=values.get(f"{DETECTOR}/transformations/rot2"),
        poni_rot3_rad=values.get(f"{DETECTOR}/transformations/rot3"),
        total_flux=number_of(file, f"{BEAM}/total_flux"),
        unit_cell=_cell(file),
        axes=axes,
    )
    for problem in implausible(facts):
        report.problem(Check.PLAUSIBILITY, name, str(problem))


def _required(file: h5py.File, name: str, report: Report) -> None:
    definition = text_of(file, "/entry/definition")
    if definition != "NXmx":
        report.problem(Check.NXMX, name, f"/entry/definition is {definition!r}; expected 'NXmx'")
    for path, nx_class in CLASSES.items():
        node = find(file, path)
        found = attribute_text(node, "NX_class") if isinstance(node, h5py.Group) else None
        if not isinstance(node, h5py.Group):
            report.problem(Check.NXMX, name, f"the group {path} ({nx_class}) is missing")
        elif found != nx_class:
            report.problem(Check.NXMX, name, f"{path} is of class {found!r}; expected {nx_class!r}")
    _required_fields(file, name, report)


def _required_fields(file: h5py.File, name: str, report: Report) -> None:
    for path in REQUIRED_TEXTS:
        if text_of(file, path) is None:
            report.problem(Check.NXMX, name, f"{path} is missing or no text")
    for path in REQUIRED_NUMBERS:
        if number_of(file, path) is None:
            report.problem(Check.NXMX, name, f"{path} is missing or no number")
    for path in TIMES:
        text = text_of(file, path)
        if text is not None and not _is_time(text):
            report.problem(Check.NXMX, name, f"{path} is {text[:40]!r}; expected YYYY-MM-DDThh:mm:ssZ")


def _is_time(text: str) -> bool:
    try:
        return datetime.datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _units(file: h5py.File, name: str, report: Report) -> dict[str, float]:
    """Values in m, s, rad, pixel, eV; units that are absent or none of the quantity's are reported."""
    values = {}
    for path, factors in UNITS.items():
        dataset = dataset_at(file, path)
        if dataset is None:
            continue
        value, unit = number_of(file, path), attribute_text(dataset, "units")
        if value is None:
            report.problem(Check.NXMX, name, f"{path} is no single number")
        elif unit is None or unit not in factors:
            expected = next(iter(factors))
            report.problem(Check.UNITS, name, f"{path} has units {unit!r}; expected e.g. {expected!r}")
        elif not math.isfinite(value):
            report.problem(Check.PLAUSIBILITY, name, f"{path} is {value}")
        else:
            values[path] = value * factors[unit]
    return values


def _mask(file: h5py.File, name: str, image_size: tuple[int, int] | None, report: Report) -> None:
    for path in (f"{DETECTOR}/pixel_mask", f"{DETECTOR_SPECIFIC}/pixel_mask"):
        mask = dataset_at(file, path)
        if mask is None:
            report.problem(Check.NXMX, name, f"{path} is missing: XDS takes the image size from it")
        elif mask.dtype.kind not in "iu" or (image_size is not None and mask.shape != image_size):
            text = (
                f"{path} is {mask.dtype.name} {mask.shape}; expected integers of the image size {image_size}"
            )
            report.problem(Check.EXTENT, name, text)


def _chain(file: h5py.File, name: str, path: str, report: Report) -> None:
    """`depends_on` leads from axis to axis to "."."""
    at = text_of(file, path)
    if at is None:
        return
    seen: list[str] = []
    while at not in {".", ""}:
        if at in seen or len(seen) > _MAX_CHAIN:
            report.problem(Check.NXMX, name, f"{path}: the chain of axes turns in circles at {at}")
            return
        seen.append(at)
        axis = dataset_at(file, at) if at.startswith("/") else None
        if axis is None:
            report.problem(Check.NXMX, name, f"{path}: the chain of axes leads to {at!r}, which is not there")
            return
        following = attribute_text(axis, "depends_on")
        if following is None:
            report.problem(Check.NXMX, name, f"{at} has no depends_on: its chain of axes has no end")
            return
        at = following


def _module(file: h5py.File, name: str, image_size: tuple[int, int] | None, report: Report) -> None:
    size = numbers_of(file, f"{DETECTOR}/module/data_size")
    if size is None:
        report.problem(
            Check.NXMX,
            name,
            f"{DETECTOR}/module is missing or has no data_size: there is no detector geometry",
        )
    elif image_size is not None and tuple(size.tolist()) != image_size:
        text = f"{DETECTOR}/module/data_size is {size.tolist()}; expected {list(image_size)} (slow, fast)"
        report.problem(Check.EXTENT, name, text)


def _goniometer(file: h5py.File, name: str, n_images: int | None, report: Report) -> dict[str, Axis]:
    """Rotation axes: one angle per image, each image as wide as the increment says."""
    group = find(file, TRANSFORMATIONS)
    if not isinstance(group, h5py.Group):
        return {}
    axes: dict[str, Axis] = {}
    for axis in sorted(group):
        dataset = dataset_at(group, axis)
        if dataset is None or attribute_text(dataset, "transformation_type") is None:
            continue
        path = f"{TRANSFORMATIONS}/{axis}"
        angles = numbers_of(file, path)
        if angles is None or angles.ndim != 1 or (n_images is not None and len(angles) != n_images):
            report.problem(Check.ARRAY, name, f"{path} is {dataset.shape}; expected one value per image")
            continue
        if not np.isfinite(angles).all():
            report.problem(Check.PLAUSIBILITY, name, f"{path} holds values that are no numbers")
        if attribute_text(dataset, "transformation_type") != "rotation":
            continue
        if attribute_text(dataset, "units") not in _ANGLE:
            report.problem(Check.UNITS, name, f"{path} has no unit of an angle")
        axes[axis] = Axis(_increment(file, path, name, angles, report), _direction(dataset))
    return axes


def _increment(file: h5py.File, path: str, name: str, angles: Vector, report: Report) -> float:
    """Degrees per image; start and end of each image must be so far apart."""
    increment = number_of(file, f"{path}_range_average")
    ends = numbers_of(file, f"{path}_end")
    if ends is not None and ends.shape != angles.shape:
        report.problem(Check.ARRAY, name, f"{path}_end is {ends.shape}; expected {angles.shape}")
    elif ends is not None and increment is not None and angles.size:
        with np.errstate(invalid="ignore"):
            off = np.abs(ends - angles - increment)
        tolerance = ANGLE_TOLERANCE * max(abs(increment), 1e-6)
        wrong = np.flatnonzero(~(off <= tolerance))
        if wrong.size:
            text = (
                f"{path}_end is not {path} + {increment:g} degrees, first at this image ({wrong.size} in all)"
            )
            report.problem(Check.PLAUSIBILITY, name, text, int(wrong[0]))
    return 0.0 if increment is None else increment


def _direction(dataset: h5py.Dataset) -> tuple[float, float, float] | None:
    vector = np.asarray(dataset.attrs.get("vector", ()))
    if vector.shape != (3,) or vector.dtype.kind not in "iuf":
        return None
    x, y, z = (float(value) for value in vector)
    return x, y, z


def _cell(file: h5py.File) -> tuple[float, ...] | None:
    cell = numbers_of(file, "/entry/sample/unit_cell")
    return None if cell is None or cell.shape != (6,) else tuple(float(value) for value in cell)
