"""Fields of start and calibration messages, in the flavour of Jungfraujoch or of plain DECTRIS Stream V2."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from jfwriter.compression import compress
from jfwriter.payload import Codec
from jfwriter.simulator.images import error_value, saturation_value
from jfwriter.simulator.options import FILE_FORMATS, Experiment, Flavour, RunOptions
from jfwriter.simulator.tables import Tables
from jfwriter.wire.encode import pixels, typed_array
from jfwriter.wire.messages import Roi, RoiBox, RoiCircle

Fields = dict[str, object]

MAGIC_NUMBER = 0x52320000
"""Interface version that the simulator claims."""

SOFTWARE = "jfwriter simulator"


def start_fields(options: RunOptions, pixel_mask: npt.NDArray[np.uint32], tables: Tables) -> Fields:
    """What the start messages of all runs with the same images have."""
    fields = _detector(options, pixel_mask) | _beam(options)
    return fields | (
        _stream2(options) if options.flavour is Flavour.STREAM2 else _jungfraujoch(options, tables)
    )


def naming_fields(
    options: RunOptions,
    armed_at: datetime.datetime,
    socket_number: int | None = None,
    *,
    write_master: bool = True,
) -> Fields:
    """What differs from run to run and from socket to socket, `type` first.

    `socket_number` is sent where several writers share the run.
    """
    user = _file_request(options)
    if options.flavour is Flavour.JUNGFRAUJOCH:
        user |= _beamline(options)
    if socket_number is not None:
        user |= {"socket_number": socket_number, "write_master_file": write_master}
    if options.notification_address is not None:
        user["writer_notification_zmq_addr"] = options.notification_address
    fields: Fields = {"type": "start", **identity(options), "arm_date": armed_at}
    if user:
        # Jungfraujoch sends user_data as a text that holds JSON, DECTRIS as the map that the user set.
        fields["user_data"] = user if options.flavour is Flavour.STREAM2 else json.dumps(user)
    return fields


def identity(options: RunOptions) -> Fields:
    return {"series_id": options.run_number, "series_unique_id": options.unique_id}


def calibration_data(options: RunOptions) -> list[Fields]:
    """Pedestal images of the three JUNGFRAU gain stages, one message each, without type and run."""
    wanted = options.with_calibration and options.detector.has_pedestals
    if not wanted or options.flavour is Flavour.STREAM2:
        return []
    rng = np.random.default_rng([options.seed, 3])
    height, width = options.detector.shape
    columns = rng.normal(0, 20, width).astype(np.int16)
    messages: list[Fields] = []
    for stage, level in enumerate((2600, 14200, 14600)):
        image = rng.integers(0, 8, (height, width), np.uint8) + (columns + level).astype(np.uint16)
        messages.append({"data": {f"pedestal_g{stage}": packed(image)}})
    return messages


def packed(image: npt.NDArray[np.generic]) -> object:
    """An image [y, x] for a message, packed with bitshuffle and LZ4."""
    height, width = image.shape
    return pixels(compress(image, Codec.BSLZ4), Codec.BSLZ4, image.dtype, (height, width))


def _detector(options: RunOptions, pixel_mask: npt.NDArray[np.uint32]) -> Fields:
    detector, channels = options.detector, options.channels
    mask = packed(pixel_mask)
    return {
        "number_of_images": options.n_images,
        "image_size_x": detector.width,
        "image_size_y": detector.height,
        "image_dtype": options.dtype.name,
        "channels": list(channels),
        "pixel_size_x": detector.pixel_size_m,
        "pixel_size_y": detector.pixel_size_m,
        "sensor_thickness": detector.sensor_thickness_m,
        "sensor_material": detector.sensor_material,
        "saturation_value": saturation_value(options.dtype),
        "detector_description": detector.description,
        "detector_serial_number": "SIM-0001",
        "frame_time": options.frame_time_s,
        "count_time": options.count_time_s,
        "countrate_correction_enabled": options.flavour is Flavour.STREAM2,
        "flatfield_enabled": options.flavour is Flavour.STREAM2,
        "pixel_mask_enabled": True,
        "virtual_pixel_interpolation_enabled": False,
        "pixel_mask": dict.fromkeys(channels, mask),
        "threshold_energy": {
            channel: options.geometry.energy_eV * (0.5 + 0.4 * i / len(channels))
            for i, channel in enumerate(channels)
        },
    }


def _beam(options: RunOptions) -> Fields:
    geometry, scan = options.geometry, options.scan
    fields: Fields = {
        "beam_center_x": geometry.beam_x_pxl,
        "beam_center_y": geometry.beam_y_pxl,
        "detector_translation": [0.0, 0.0, geometry.distance_m],
        "incident_energy": geometry.energy_eV,
        "incident_wavelength": geometry.wavelength_angstrom,
    }
    if scan.experiment is Experiment.ROTATION and options.flavour is Flavour.JUNGFRAUJOCH:
        axis: Fields = {"start": scan.start_deg, "increment": scan.increment_deg, "axis": list(scan.axis)}
        fields["goniometer"] = {"omega": axis}
    return fields


def _stream2(options: RunOptions) -> Fields:
    scan = options.scan
    rotating = scan.experiment is Experiment.ROTATION
    turning = {"start": scan.start_deg, "increment": scan.increment_deg if rotating else 0.0}
    still = {"start": 0.0, "increment": 0.0}
    flat = packed(np.ones(options.detector.shape, np.float32))
    return {
        "goniometer": {"omega": turning} | dict.fromkeys(("chi", "kappa", "phi", "two_theta"), still),
        "countrate_correction_lookup_table": typed_array(np.arange(1024, dtype=np.uint32)),
        "flatfield": dict.fromkeys(options.channels, flat),
    }


def _jungfraujoch(options: RunOptions, tables: Tables) -> Fields:
    geometry, sample, scan = options.geometry, options.sample, options.scan
    hole = error_value(options.dtype)
    fields: Fields = {
        "magic_number": MAGIC_NUMBER,
        "detector_distance": geometry.distance_m,
        "poni_rot1": 0.0,
        "poni_rot2": 0.0,
        "poni_rot3": 0.0,
        "bit_depth_readout": 16,
        "summation": 1,
        "storage_cell_number": 1,
        "storage_cell_delay": [5000, 1],
        "jungfrau_conversion_enabled": True,
        "jungfrau_conversion_factor": geometry.energy_eV,
        "geometry_transformation_enabled": True,
        "max_spot_count": options.max_spot_count,
        "az_int_bin_number": len(tables.bin_to_q),
        "az_int_bin_to_q": typed_array(tables.bin_to_q.astype(np.float32)),
        "az_int_bin_to_two_theta": typed_array(
            np.degrees(geometry.two_theta_from_q(tables.bin_to_q)).astype(np.float32)
        ),
        "az_int_bin_to_phi": typed_array(np.zeros(len(tables.bin_to_q), np.float32)),
        "az_int_q_bin_count": len(tables.bin_to_q),
        "az_int_phi_bin_count": 1,
        "az_int_map": packed(tables.bin_map),
        "rois": [_roi(roi) for roi in tables.rois],
        "roi_map": packed(tables.roi_map),
        "ring_current": 0.4,
        "sample_temperature": 100.0,
        "indexing_algorithm": "FFT",
        "geom_refinement_algorithm": "None",
        "fluorescence": {
            "energy": typed_array(np.linspace(1000, 12000, 128, dtype=np.float32)),
            "data": typed_array(np.exp(-(np.linspace(-3, 3, 128, dtype=np.float32) ** 2))),
        },
    }
    if hole is not None:
        fields["error_value"] = hole
    if sample.spots:
        cell = sample.unit_cell
        fields["unit_cell"] = {
            name: getattr(cell, name) for name in ("a", "b", "c", "alpha", "beta", "gamma")
        }
        fields["space_group_number"] = sample.space_group_number
    if scan.experiment is Experiment.GRID:
        fields["grid_scan"] = {
            "n_fast": scan.n_fast,
            "n_slow": -(-options.n_images // scan.n_fast),
            "step_x_axis": scan.step_m,
            "step_y_axis": scan.step_m,
            "vertical": scan.vertical,
            "snake": scan.snake,
        }
    return fields


def _roi(roi: Roi) -> Mapping[str, object]:
    names: tuple[str, ...]
    if isinstance(roi, RoiBox):
        names, kind = ("min_x_pxl", "max_x_pxl", "min_y_pxl", "max_y_pxl"), "box"
    elif isinstance(roi, RoiCircle):
        names, kind = ("center_x_pxl", "center_y_pxl", "radius_pxl"), "circle"
    else:
        names, kind = ("q_min_recipA", "q_max_recipA", "phi_min_deg", "phi_max_deg"), "azim"
    values = {name: getattr(roi, name) for name in names}
    return {"name": roi.name, "type": kind} | {k: v for k, v in values.items() if v is not None}


def _file_request(options: RunOptions) -> Fields:
    """What the writer has to know about files. An empty prefix: no file is written."""
    if not options.file_prefix:
        return {}
    request: Fields = {"file_prefix": options.file_prefix}
    if options.images_per_file is not None:
        request["images_per_file"] = options.images_per_file
    if options.file_format is not None:
        request["file_format"] = FILE_FORMATS.index(options.file_format)
    if options.overwrite is not None:
        request["overwrite"] = options.overwrite
    return request


def _beamline(options: RunOptions) -> Fields:
    return {
        "source_name": "Simulated Light Source",
        "source_type": "Synchrotron X-ray Source",
        "instrument_name": "SIM beamline",
        "sample_name": "lysozyme" if options.sample.space_group_number == 96 else "crystal",
        "attenuator_transmission": 0.5,
        "total_flux": 1e12,
        "run_name": options.unique_id,
        "run_number": options.run_number,
        "experiment_group": "p00000",
        "gain_file_names": ["gain_M001.bin"],
        "data_reduction_factor_serialmx": 1.0,
        "jfjoch_release": SOFTWARE,
        "detect_ice_rings": True,
        "user": {"hdf5": {"sample_barcode": "SIM-42", "puck_position": 7, "loop_size_um": 80.5}},
    }
