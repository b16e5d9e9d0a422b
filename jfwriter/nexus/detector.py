"""NXdetector: what NXmx says about the detector, and what DECTRIS-style readers look for beside it."""

from __future__ import annotations

import h5py
import numpy as np

from jfwriter.nexus import fields, packed, pixel_types
from jfwriter.nexus.stored_images import StoredImages
from jfwriter.wire.messages import StartMessage

_MATERIALS = {"si": "Si", "silicon": "Silicon", "cdte": "CdTe", "gaas": "GaAs"}
"""Sensor materials as dxtbx spells them; other materials are written as sent."""


def detector(
    instrument: h5py.Group, start: StartMessage, images: StoredImages, warnings: list[str]
) -> h5py.Group:
    """NXdetector without its transformations, module and detectorSpecific."""
    group = fields.group(instrument, "detector", "NXdetector")
    _identity(group, start)
    _sensor(group, start, images, warnings)
    _position_and_times(group, start, warnings)
    if images.dtype is not None:
        _pixel_values(group, start, images.dtype, warnings)
    _corrections(group, start, warnings)
    _flatfield(group, start, images, warnings)
    return group


def _identity(group: h5py.Group, start: StartMessage) -> None:
    if start.detector_description is not None:
        fields.text(group, "description", start.detector_description)
    if start.detector_serial_number is not None:
        fields.text(group, "serial_number", start.detector_serial_number)
        fields.text(group, "detector_number", start.detector_serial_number)
    fields.text(group, "acquisition_type", "triggered")


def _sensor(group: h5py.Group, start: StartMessage, images: StoredImages, warnings: list[str]) -> None:
    """Sensor material and thickness in m; threshold in eV if one channel only, because it has one value."""
    material = start.sensor_material
    if material is None:
        material = "Si"
        warnings.append("sensor_material: not sent; NXmx requires it, 'Si' is written")
    fields.text(group, "sensor_material", _MATERIALS.get(material.strip().casefold(), material))
    if start.sensor_thickness is None:
        warnings.append("sensor_thickness: not sent; NXmx requires it")
    fields.optional(group, "sensor_thickness", start.sensor_thickness, "f8", "m", warnings=warnings)
    if len(images.channels) == 1 or (not images.channels and len(start.threshold_energy) == 1):
        threshold = images.of_first_channel(start.threshold_energy)
        fields.optional(group, "threshold_energy", threshold, "f8", "eV", warnings=warnings)


def _position_and_times(group: h5py.Group, start: StartMessage, warnings: list[str]) -> None:
    for name, value, unit in (
        ("beam_center_x", start.beam_center_x, "pixel"),
        ("beam_center_y", start.beam_center_y, "pixel"),
        ("distance", start.detector_distance, "m"),
        ("detector_distance", start.detector_distance, "m"),
        ("x_pixel_size", start.pixel_size_x, "m"),
        ("y_pixel_size", start.pixel_size_y, "m"),
        ("count_time", start.count_time, "s"),
        ("frame_time", start.frame_time, "s"),
    ):
        fields.optional(group, name, value, "f8", unit, warnings=warnings)


def _pixel_values(
    group: h5py.Group, start: StartMessage, dtype: np.dtype[np.generic], warnings: list[str]
) -> None:
    bits = 8 * dtype.itemsize
    readout = pixel_types.bit_depth_readout(dtype, start.bit_depth_readout)
    error = pixel_types.error_value(dtype, start.error_value)
    underload = pixel_types.underload_value(dtype, start.error_value)
    fields.scalar(group, "bit_depth_image", bits, "i4")
    fields.optional(group, "bit_depth_readout", readout, "i4", warnings=warnings)
    fields.optional(group, "saturation_value", start.saturation_value, "i8", warnings=warnings)
    fields.optional(group, "error_value", error, "i8", warnings=warnings)
    fields.optional(group, "underload_value", underload, "i8", warnings=warnings)


def _corrections(group: h5py.Group, start: StartMessage, warnings: list[str]) -> None:
    """What was done to the pixels before they came. Conversion factor in eV."""
    for name, value in (
        ("flatfield_applied", start.flatfield_enabled),
        ("pixel_mask_applied", start.pixel_mask_enabled),
        ("countrate_correction_applied", start.countrate_correction_enabled),
        ("virtual_pixel_interpolation_applied", start.virtual_pixel_interpolation_enabled),
        ("jungfrau_conversion_applied", start.jungfrau_conversion_enabled),
        ("geometry_transformation_applied", start.geometry_transformation_enabled),
    ):
        fields.optional(group, name, value, "u1", warnings=warnings)
    fields.optional(
        group, "jungfrau_conversion_factor", start.jungfrau_conversion_factor, "f8", "eV", warnings=warnings
    )
    n_summed = 1 if start.summation is None else start.summation
    fields.optional(group, "number_of_cycles", n_summed, "i4", warnings=warnings)
    table = start.countrate_correction_lookup_table
    if table is not None:
        fields.array(group, "countrate_correction_lookup_table", table, table.dtype)


def _flatfield(group: h5py.Group, start: StartMessage, images: StoredImages, warnings: list[str]) -> None:
    """Flat-field factors f4 [y, x], contiguous."""
    payload = images.of_first_channel(start.flatfield)
    if payload is None:
        return
    factors = packed.unpacked(payload, "flatfield", images.shape, "f4", warnings)
    if factors is not None:
        fields.array(group, "flatfield", factors, "f4")
