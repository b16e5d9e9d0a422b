"""A run in which every field of every message is set, and where each of them must stand in the files.

Written by hand from the message and layout descriptions; `value` functions take the image number.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cbor2
import numpy as np

from tests.support.plain_dcu import Array, encode, image, typed_array

N_SPOTS_MAX = 20
PHI_BINS, Q_BINS = 2, 5
F4 = np.float32
NAN = float("nan")
INT64_MIN = -(2**63)


def start(frames: Array, *, prefix: str, file_format: str, images_per_file: int, json_user_data: bool,
          n_images: int | None = None) -> bytes:  # fmt: skip
    height, width = frames.shape[1:]
    user_data = {
        "file_prefix": prefix,
        "images_per_file": images_per_file,
        "file_format": file_format,
        "overwrite": False,
        "write_master_file": True,
        "source_name": "Swiss Light Source",
        "source_type": "Synchrotron X-ray Source",
        "instrument_name": "X06SA",
        "sample_name": "lysozyme",
        "attenuator_transmission": 0.25,
        "total_flux": 1.5e12,
        "run_name": "lyso scan 7",
        "run_number": 7,
        "experiment_group": "p12345",
        "gain_file_names": ["gain_a.bin", "gain_bb.bin"],
        "data_reduction_factor_serialmx": 1.0,
        "jfjoch_release": "1.0.0",
        "detect_ice_rings": True,
        "user": {"hdf5": {"proposal": "p12345", "visit": 3, "dose": 1.25, "test": True, "skipped": [1, 2]}},
    }
    mask = np.zeros((height, width), np.uint32)
    mask[3, 5] = 1
    mask[7, 9] = 1 << 8
    bins = np.arange(PHI_BINS * Q_BINS)
    message = {
        "type": "start",
        "magic_number": 0x52320000,
        "arm_date": cbor2.CBORTag(0, "2026-03-04T12:34:56.500000+01:00"),
        "series_id": 7,
        "series_unique_id": "lyso scan 7",
        "number_of_images": len(frames) if n_images is None else n_images,
        "image_size_x": width,
        "image_size_y": height,
        "image_dtype": frames.dtype.name,
        "channels": ["default"],
        "beam_center_x": 511.5,
        "beam_center_y": 250.25,
        "detector_distance": 0.12,
        "detector_translation": [0.0, 0.0, 0.12],
        "poni_rot1": 0.01,
        "poni_rot2": -0.02,
        "poni_rot3": 0.03,
        "incident_energy": 12398.4198,
        "incident_wavelength": 1.0,
        "incident_wavelength_spread": 0.01,
        "frame_time": 0.002,
        "count_time": 0.00195,
        "pixel_size_x": 75e-6,
        "pixel_size_y": 75e-6,
        "sensor_thickness": 320e-6,
        "sensor_material": "Si",
        "saturation_value": 32766,
        "error_value": -32768,
        "detector_description": "JUNGFRAU 0.5M",
        "detector_serial_number": "JF-05M-1",
        "bit_depth_readout": 16,
        "countrate_correction_enabled": False,
        "flatfield_enabled": True,
        "pixel_mask_enabled": False,
        "virtual_pixel_interpolation_enabled": True,
        "countrate_correction_lookup_table": typed_array(np.arange(100, dtype="<u4")),
        "flatfield": {"default": image(np.full((height, width), 1.5, "<f4"), None)},
        "pixel_mask": {"default": image(mask, "bslz4")},
        "threshold_energy": {"default": 6200.0},
        "goniometer": {
            "omega": {"start": 10.0, "increment": 0.1, "axis": [-1.0, 0.0, 0.0],
                      "helical_step": [1e-6, 0.0, 2e-6]}
        },
        "summation": 4,
        "storage_cell_number": 2,
        "storage_cell_delay": [5000, 1],
        "jungfrau_conversion_enabled": True,
        "jungfrau_conversion_factor": 12400.0,
        "geometry_transformation_enabled": True,
        "max_spot_count": N_SPOTS_MAX,
        "az_int_bin_number": PHI_BINS * Q_BINS,
        "az_int_q_bin_count": Q_BINS,
        "az_int_phi_bin_count": PHI_BINS,
        "az_int_bin_to_q": typed_array((0.5 + bins).astype("<f4")),
        "az_int_bin_to_two_theta": typed_array((1.5 + bins).astype("<f4")),
        "az_int_bin_to_phi": [float(v) for v in 90.0 * (bins // Q_BINS)],
        "az_int_map": image((np.indices((height, width)).sum(0) % 10).astype("<u4"), "bslz4"),
        "rois": [
            {"name": "beam", "type": "box", "min_x_pxl": 10, "max_x_pxl": 20,
             "min_y_pxl": 30, "max_y_pxl": 40},
            {"name": "a/b", "type": "circle", "center_x_pxl": 100.5, "center_y_pxl": 50.5, "radius_pxl": 7.0},
            {"name": "ring", "type": "azim", "q_min_recipA": 1.0, "q_max_recipA": 2.0,
             "phi_min_deg": 350.0, "phi_max_deg": 10.0},
        ],
        "roi_map": image(np.full((height, width), 5, "<u2"), "bslz4"),
        "unit_cell": {"a": 79.0, "b": 79.1, "c": 37.5, "alpha": 90.0, "beta": 90.5, "gamma": 91.0},
        "space_group_number": 96,
        "indexing_algorithm": "FFT",
        "geom_refinement_algorithm": "BeamCenter",
        "fluorescence": {"energy": [7000.0, 7100.0, 7200.0], "data": [1.0, 5.0, 2.0]},
        "ring_current": 0.4,
        "sample_temperature": 100.0,
        "user_data": json.dumps(user_data) if json_user_data else user_data,
        "a_field_of_the_future": {"anything": [1, 2, 3]},
    }  # fmt: skip
    return encode(message)


def spots(i: int) -> list[dict[str, Any]]:
    return [
        {"x": 100.0 + j + i, "y": 200.5 + j, "I": 1000.0 - j, "maxc": 50 + j, "ice_ring": j == 1,
         "indexed": j != 2, "lattice": 0, "h": j, "k": -i, "l": 3, "dist_ewald": 0.001 * j}
        for j in range(n_spots(i))
    ]  # fmt: skip


def n_spots(i: int) -> int:
    return 3 + i % 2


def roi(i: int, scale: int) -> dict[str, Any]:
    total = scale * (100 + i)
    return {"sum": total, "sum_square": total * 7, "max": 40 + i, "pixels": 121,
            "x_weighted": 15 * total, "y_weighted": 35 * total}  # fmt: skip


def image_message(i: int, pixels: Array, algorithm: str | None) -> dict[str, Any]:
    profile = np.arange(PHI_BINS * Q_BINS) + 10.0 * i
    return {
        "type": "image",
        "image_id": i,
        "original_image_id": 100 + i,
        "series_id": 7,
        "series_unique_id": "lyso scan 7",
        "series_date": cbor2.CBORTag(0, "2026-03-04T12:34:56Z"),
        "start_time": [1000 + 2 * i, 1_000_000],
        "stop_time": [1001 + 2 * i, 1_000_000],
        "real_time": [2000, 1_000_000],
        "user_data": {"appendix": i},
        "spots": spots(i),
        "strong_pixel_count": 50 + i,
        "spot_count": 7 + i,
        "spot_count_low_res": 2 + i,
        "spot_count_ice_rings": 1 + i,
        "spot_count_indexed": 3 + i,
        "az_int_profile": typed_array(profile.astype("<f4")),
        "az_int_profile_std": typed_array((profile / 2).astype(">f4")),
        "az_int_profile_count": [int(v) for v in profile],
        "bkg_estimate": 1.5 + i,
        "resolution_estimate": 2.5 + i,
        "indexing_result": i % 2 == 0,
        "indexing_lattice": [float(v + i) for v in range(9)],
        "indexing_lattice_extra": [[float(v - i) for v in range(9)]],
        "indexing_lattice_count": 2,
        "niggli_class": 31,
        "bravais_lattice": "tP",
        "profile_radius": 0.001 * (1 + i),
        "mosaicity": 0.1 * (1 + i),
        "b_factor": 20.0 + i,
        "beam_corr_x": 0.25 + i,
        "beam_corr_y": -0.25 - i,
        "image_scale_factor": 1.1 + i,
        "image_scale_cc": 0.9,
        "image_scale_mosaicity": 0.2 + i,
        "image_scale_b_factor": 5.0 + i,
        "reflections": [
            {"h": 1, "k": 2, "l": j, "d": 2.0 + j, "I": 100.0 + i, "sigma": 10.0, "bkg": 3.0, "x": 11.0,
             "y": 12.0, "obs_x": 11.5, "obs_y": 12.5, "image": float(i), "lp": 0.5, "partiality": 0.75,
             "delta_phi": 0.01, "zeta": 0.9, "image_scale_corr": 1.01}
            for j in range(2)
        ],
        "integrated_reflections": 40 + i,
        "roi_integrals": {"beam": roi(i, 1), "a/b": roi(i, 2)},
        "min_viable_pixel_value": -1 - i,
        "max_viable_pixel_value": 1000 + i,
        "pixel_sum": 10**10 + i,
        "saturated_pixel_count": 2 + i,
        "error_pixel_count": 3 + i,
        "packets_expected": 256,
        "packets_received": 250 + i % 6,
        "data_collection_efficiency": 0.5 + 0.01 * i,
        "storage_cell": i % 16,
        "jf_info": 0x80000000 + i,
        "receiver_aq_dev_delay": 60 + i,
        "receiver_free_send_buf": 70 + i,
        "xfel_pulse_id": 2**63 + i,
        "xfel_event_code": 200 + i,
        "spot_finding_time": 0.001 + i,
        "indexing_time": 0.002 + i,
        "integration_time": 0.003 + i,
        "refinement_time": 0.004 + i,
        "processing_time": 0.005 + i,
        "bragg_prediction_time": 0.006 + i,
        "preprocessing_time": 0.007 + i,
        "compression_time": 0.008 + i,
        "azint_time": 0.009 + i,
        "index_analysis_time": 0.010 + i,
        "image_scale_time": 0.011 + i,
        "data": {"default": image(pixels, algorithm)},
    }  # fmt: skip


def calibration(frames: Array) -> bytes:
    pedestal = np.full(frames.shape[1:], 1234, "<u2")
    return encode({
        "type": "calibration", "series_id": 7, "series_unique_id": "lyso scan 7",
        "data": {"pedestal_g0": image(pedestal, "bslz4"), "pedestal_g1": image(pedestal + 1, None)},
    })  # fmt: skip


def end(n_images: int) -> bytes:
    return encode({
        "type": "end", "series_id": 7, "series_unique_id": "lyso scan 7",
        "end_date": cbor2.CBORTag(0, "2026-03-04T11:40:00Z"), "max_image_number": n_images,
        "images_collected": n_images, "images_sent_to_write": n_images, "data_collection_efficiency": 0.995,
        "max_receiver_delay": 17, "az_int_result": {"dataset": [float(v) for v in range(PHI_BINS * Q_BINS)]},
        "adu_histogram": {"module_0": [1, 2, 3]}, "adu_histogram_bin_width": 32, "bkg_estimate": 2.25,
        "indexing_rate": 0.75, "rotation_lattice": [float(v) for v in range(9)],
        "rotation_lattice_extra": [[float(-v) for v in range(9)]], "rotation_lattice_niggli_class": 31,
        "cancelled": False,
    })  # fmt: skip


@dataclass(frozen=True)
class PerImage:
    """A per-image dataset: path in a data file, units, sentinel of a row without image, value of image i."""

    path: str
    dtype: str
    units: str | None
    sentinel: Any
    value: Callable[[int], Any]


def _spot_column(key: str, fill: Any) -> Callable[[int], Any]:
    return lambda i: [s[key] for s in spots(i)] + [fill] * (N_SPOTS_MAX - n_spots(i))


def _profile(scale: float) -> Callable[[int], Any]:
    return lambda i: ((np.arange(PHI_BINS * Q_BINS) + 10.0 * i) * scale).reshape(PHI_BINS, Q_BINS)


MX, IMG, DET, PROF = "/entry/MX", "/entry/image", "/entry/detector", "/entry/profiling"
PER_IMAGE: tuple[PerImage, ...] = (
    PerImage(f"{MX}/nPeaks", "u4", None, 0, n_spots),
    PerImage(f"{MX}/peakXPosRaw", "f4", "pixel", 0, _spot_column("x", 0)),
    PerImage(f"{MX}/peakYPosRaw", "f4", "pixel", 0, _spot_column("y", 0)),
    PerImage(f"{MX}/peakTotalIntensity", "f4", "photons", 0, _spot_column("I", 0)),
    PerImage(f"{MX}/peakIceRingRes", "u1", None, 0, _spot_column("ice_ring", 0)),
    PerImage(f"{MX}/peakH", "i4", None, 0, _spot_column("h", 0)),
    PerImage(f"{MX}/peakK", "i4", None, 0, _spot_column("k", 0)),
    PerImage(f"{MX}/peakL", "i4", None, 0, _spot_column("l", 0)),
    PerImage(f"{MX}/peakDistEwaldSphere", "f4", "Angstrom^-1", NAN, _spot_column("dist_ewald", NAN)),
    PerImage(f"{MX}/peakIndexed", "u1", None, 0, _spot_column("indexed", 0)),
    PerImage(f"{MX}/peakLattice", "i4", None, -1, _spot_column("lattice", -1)),
    PerImage(f"{MX}/strongPixels", "u4", None, 0, lambda i: 50 + i),
    PerImage(f"{MX}/peakCountUnfiltered", "u4", None, 0, lambda i: 7 + i),
    PerImage(f"{MX}/peakCountLowRes", "u4", None, 0, lambda i: 2 + i),
    PerImage(f"{MX}/peakCountIceRingRes", "u4", None, 0, lambda i: 1 + i),
    PerImage(f"{MX}/peakCountIndexed", "u4", None, 0, lambda i: 3 + i),
    PerImage(f"{MX}/imageIndexed", "u1", None, 0, lambda i: i % 2 == 0),
    PerImage(f"{MX}/indexingLatticeCount", "u4", None, 0, lambda i: 2),
    PerImage(f"{MX}/niggliClass", "u1", None, 0, lambda i: 31),
    PerImage(f"{MX}/bravaisLattice", "S3", None, b"", lambda i: b"tP"),
    PerImage(f"{MX}/profileRadius", "f4", "Angstrom^-1", NAN, lambda i: 0.001 * (1 + i)),
    PerImage(f"{MX}/mosaicity", "f4", "deg", NAN, lambda i: 0.1 * (1 + i)),
    PerImage(f"{MX}/bFactor", "f4", "Angstrom^2", NAN, lambda i: 20.0 + i),
    PerImage(f"{MX}/resolutionEstimate", "f4", "Angstrom", NAN, lambda i: 2.5 + i),
    PerImage(f"{MX}/integratedReflections", "u4", None, 0, lambda i: 40 + i),
    PerImage(f"{MX}/bkgEstimate", "f4", "photons", NAN, lambda i: 1.5 + i),
    PerImage(f"{MX}/beam_corr_x", "f4", "pixel", NAN, lambda i: 0.25 + i),
    PerImage(f"{MX}/beam_corr_y", "f4", "pixel", NAN, lambda i: -0.25 - i),
    PerImage(f"{MX}/imageScaleFactor", "f4", None, NAN, lambda i: 1.1 + i),
    PerImage(f"{MX}/imageScaleCC", "f4", None, NAN, lambda i: 0.9),
    PerImage(f"{MX}/imageScaleMosaicity", "f4", "deg", NAN, lambda i: 0.2 + i),
    PerImage(f"{MX}/imageScaleBFactor", "f4", "Angstrom^2", NAN, lambda i: 5.0 + i),
    PerImage(f"{MX}/latticeIndexed", "f4", "Angstrom", NAN, lambda i: np.arange(9.0) + i),
    PerImage(f"{MX}/latticeIndexedExtra", "f4", "Angstrom", NAN,
             lambda i: np.vstack([np.arange(9.0) - i, np.full((3, 9), NAN)])),
    PerImage("/entry/azint/image", "f4", None, NAN, _profile(1.0)),
    PerImage("/entry/azint/image_std", "f4", None, NAN, _profile(0.5)),
    PerImage("/entry/azint/image_count", "u4", None, 0, _profile(1.0)),
    PerImage("/entry/roi/beam/sum", "i8", None, 0, lambda i: 100 + i),
    PerImage("/entry/roi/beam/sum_sq", "u8", None, 0, lambda i: 7 * (100 + i)),
    PerImage("/entry/roi/beam/max", "i8", None, INT64_MIN, lambda i: 40 + i),
    PerImage("/entry/roi/beam/npixel", "u8", None, 0, lambda i: 121),
    PerImage("/entry/roi/beam/x", "f4", None, NAN, lambda i: 15.0),
    PerImage("/entry/roi/beam/y", "f4", None, NAN, lambda i: 35.0),
    PerImage("/entry/roi/a_b/sum", "i8", None, 0, lambda i: 2 * (100 + i)),
    PerImage(f"{IMG}/max_value", "i8", None, INT64_MIN, lambda i: 1000 + i),
    PerImage(f"{IMG}/min_value", "i8", None, INT64_MIN, lambda i: -1 - i),
    PerImage(f"{IMG}/pixel_sum", "i8", None, INT64_MIN, lambda i: 10**10 + i),
    PerImage(f"{IMG}/error_pixels", "i8", None, -1, lambda i: 3 + i),
    PerImage(f"{IMG}/saturated_pixels", "i8", None, -1, lambda i: 2 + i),
    PerImage(f"{DET}/number", "i8", None, -1, lambda i: 100 + i),
    PerImage(f"{DET}/timestamp", "u8", None, 0, lambda i: 1000 + 2 * i),
    PerImage(f"{DET}/exptime", "u8", None, 0, lambda i: 2000),
    PerImage(f"{DET}/det_info", "u4", None, 0, lambda i: 0x80000000 + i),
    PerImage(f"{DET}/storage_cell_image", "u1", None, 255, lambda i: i % 16),
    PerImage(f"{DET}/rcv_delay", "i8", None, -1, lambda i: 60 + i),
    PerImage(f"{DET}/rcv_free_send_buffers", "i8", None, -1, lambda i: 70 + i),
    PerImage(f"{DET}/packets_expected", "u8", None, 0, lambda i: 256),
    PerImage(f"{DET}/packets_received", "u8", None, 0, lambda i: 250 + i % 6),
    PerImage(f"{DET}/data_collection_efficiency_image", "f4", None, NAN, lambda i: 0.5 + 0.01 * i),
    PerImage("/entry/xfel/pulseID", "u8", None, 0, lambda i: 2**63 + i),
    PerImage("/entry/xfel/eventCode", "u8", None, 0, lambda i: 200 + i),
    PerImage(f"{PROF}/spotFindingTime", "f4", "s", NAN, lambda i: 0.001 + i),
    PerImage(f"{PROF}/indexingTime", "f4", "s", NAN, lambda i: 0.002 + i),
    PerImage(f"{PROF}/integrationTime", "f4", "s", NAN, lambda i: 0.003 + i),
    PerImage(f"{PROF}/refinementTime", "f4", "s", NAN, lambda i: 0.004 + i),
    PerImage(f"{PROF}/processingTime", "f4", "s", NAN, lambda i: 0.005 + i),
    PerImage(f"{PROF}/braggPredictionTime", "f4", "s", NAN, lambda i: 0.006 + i),
    PerImage(f"{PROF}/preprocessingTime", "f4", "s", NAN, lambda i: 0.007 + i),
    PerImage(f"{PROF}/compressionTime", "f4", "s", NAN, lambda i: 0.008 + i),
    PerImage(f"{PROF}/azIntTime", "f4", "s", NAN, lambda i: 0.009 + i),
    PerImage(f"{PROF}/indexAnalysisTime", "f4", "s", NAN, lambda i: 0.010 + i),
    PerImage(f"{PROF}/imageScaleTime", "f4", "s", NAN, lambda i: 0.011 + i),
)  # fmt: skip

REFLECTION_COLUMNS: dict[str, tuple[Any, str | None]] = {
    "h": ([1, 1], None), "k": ([2, 2], None), "l": ([0, 1], None), "d": ([2.0, 3.0], "Angstrom"),
    "int_err": ([10.0, 10.0], "photons"), "background_mean": ([3.0, 3.0], "photons"),
    "predicted_x": ([11.0, 11.0], "pixel"), "predicted_y": ([12.0, 12.0], "pixel"),
    "observed_x": ([11.5, 11.5], "pixel"), "observed_y": ([12.5, 12.5], "pixel"), "lp": ([0.5, 0.5], None),
    "partiality": ([0.75, 0.75], None), "delta_phi": ([0.01, 0.01], "deg"), "zeta": ([0.9, 0.9], None),
    "image_scale_corr": ([1.01, 1.01], None),
}  # fmt: skip

D, S = "/entry/instrument/detector", "/entry/instrument/detector/detectorSpecific"


def master_values(
    n_images: int, missing: list[int], height: int, width: int
) -> dict[str, tuple[Any, str | None]]:
    """Path -> (value, units) of the run-level content of a master."""
    return {
        "/entry/definition": (b"NXmx", None),
        "/entry/start_time": (b"2026-03-04T11:34:56.500000Z", None),
        "/entry/end_time": (b"2026-03-04T11:40:00Z", None),
        "/entry/end_time_estimated": (b"2026-03-04T11:40:00Z", None),
        "/entry/source/name": (b"Swiss Light Source", None),
        "/entry/source/type": (b"Synchrotron X-ray Source", None),
        "/entry/source/current": (0.4, "A"),
        "/entry/instrument/name": (b"X06SA", None),
        "/entry/instrument/beam/incident_wavelength": (1.0, "angstrom"),
        "/entry/instrument/beam/incident_wavelength_spread": (0.01, "angstrom"),
        "/entry/instrument/beam/total_flux": (1.5e12, "Hz"),
        "/entry/instrument/attenuator/attenuator_transmission": (0.25, None),
        f"{D}/depends_on": (f"{D}/transformations/rot3".encode(), None),
        f"{D}/beam_center_x": (511.5, "pixel"),
        f"{D}/beam_center_y": (250.25, "pixel"),
        f"{D}/distance": (0.12, "m"),
        f"{D}/detector_distance": (0.12, "m"),
        f"{D}/count_time": (0.00195, "s"),
        f"{D}/frame_time": (0.002, "s"),
        f"{D}/sensor_thickness": (320e-6, "m"),
        f"{D}/sensor_material": (b"Si", None),
        f"{D}/description": (b"JUNGFRAU 0.5M", None),
        f"{D}/serial_number": (b"JF-05M-1", None),
        f"{D}/detector_number": (b"JF-05M-1", None),
        f"{D}/x_pixel_size": (75e-6, "m"),
        f"{D}/y_pixel_size": (75e-6, "m"),
        f"{D}/threshold_energy": (6200.0, "eV"),
        f"{D}/bit_depth_readout": (16, None),
        f"{D}/bit_depth_image": (16, None),
        f"{D}/saturation_value": (32766, None),
        f"{D}/error_value": (-32768, None),
        f"{D}/underload_value": (-32767, None),
        f"{D}/flatfield_applied": (1, None),
        f"{D}/pixel_mask_applied": (0, None),
        f"{D}/countrate_correction_applied": (0, None),
        f"{D}/virtual_pixel_interpolation_applied": (1, None),
        f"{D}/countrate_correction_lookup_table": (np.arange(100), None),
        f"{D}/flatfield": (np.full((height, width), 1.5), None),
        f"{D}/number_of_cycles": (4, None),
        f"{D}/acquisition_type": (b"triggered", None),
        f"{D}/jungfrau_conversion_applied": (1, None),
        f"{D}/jungfrau_conversion_factor": (12400.0, "eV"),
        f"{D}/geometry_transformation_applied": (1, None),
        f"{D}/transformations/rot1": (0.01, "rad"),
        f"{D}/transformations/rot2": (-0.02, "rad"),
        f"{D}/transformations/rot3": (0.03, "rad"),
        f"{D}/module/data_size": ([height, width], None),
        f"{D}/module/data_origin": ([0, 0], None),
        f"{D}/module/fast_pixel_direction": (75e-6, "m"),
        f"{D}/module/slow_pixel_direction": (75e-6, "m"),
        f"{D}/calibration/pedestal_g0": (np.full((height, width), 1234), None),
        f"{D}/calibration/pedestal_g1": (np.full((height, width), 1235), None),
        "/entry/sample/name": (b"lysozyme", None),
        "/entry/sample/depends_on": (b"/entry/sample/transformations/omega", None),
        "/entry/sample/temperature": (100.0, "K"),
        "/entry/sample/unit_cell": ([79.0, 79.1, 37.5, 90.0, 90.5, 91.0], None),
        "/entry/sample/space_group": (b"96", None),
        "/entry/sample/transformations/omega": (10.0 + 0.1 * (100 + np.arange(n_images)), "deg"),
        "/entry/sample/transformations/omega_end": (10.1 + 0.1 * (100 + np.arange(n_images)), "deg"),
        "/entry/sample/goniometer/omega_range_average": (0.1, "deg"),
        "/entry/sample/goniometer/omega_range_total": (0.1 * n_images, "deg"),
        "/entry/sample/transformations/omega_helical_x": (1e-6 * (100 + np.arange(n_images)), "m"),
        "/entry/sample/transformations/omega_helical_z": (2e-6 * (100 + np.arange(n_images)), "m"),
        f"{S}/nimages": (n_images, None),
        f"{S}/ntrigger": (1, None),
        f"{S}/x_pixels_in_detector": (width, None),
        f"{S}/y_pixels_in_detector": (height, None),
        f"{S}/nimages_collected": (n_images, None),
        f"{S}/nimages_written": (n_images - len(missing), None),
        f"{S}/missing_images": (missing, None),
        f"{S}/data_collection_efficiency": (0.995, None),
        f"{S}/max_receiver_delay": (17, None),
        f"{S}/storage_cell_number": (2, None),
        f"{S}/storage_cell_delay": (5000.0, "ns"),
        f"{S}/jfjoch_release": (b"1.0.0", None),
        f"{S}/summation_mode": (1, None),
        f"{S}/detect_ice_rings": (1, None),
        f"{S}/gain_file_names": ([b"gain_a.bin", b"gain_bb.bin"], None),
        f"{S}/data_reduction_factor_serialmx": (1.0, None),
        f"{S}/adu_histogram/bin_width": (32, None),
        f"{S}/adu_histogram/module_0": ([1, 2, 3], None),
        "/entry/instrument/fluorescence/energy": ([7000.0, 7100.0, 7200.0], "eV"),
        "/entry/instrument/fluorescence/data": ([1.0, 5.0, 2.0], None),
        "/entry/user/proposal": (b"p12345", None),
        "/entry/user/visit": (3, None),
        "/entry/user/dose": (1.25, None),
        "/entry/user/test": (1, None),
        f"{MX}/indexing_algorithm": (b"FFT", None),
        f"{MX}/geom_refinement_algorithm": (b"BeamCenter", None),
        f"{MX}/rotationLatticeIndexed": (np.arange(9.0), "Angstrom"),
        f"{MX}/rotationLatticeIndexedExtra": ([-np.arange(9.0)], "Angstrom"),
        f"{MX}/rotationLatticeNiggliClass": (31, None),
        f"{MX}/imageIndexedMean": (0.75, None),
        f"{MX}/bkgEstimateMean": (2.25, "photons"),
        "/entry/azint/bin_to_q": (0.5 + np.arange(10.0).reshape(2, 5), "Angstrom^-1"),
        "/entry/azint/bin_to_two_theta": (1.5 + np.arange(10.0).reshape(2, 5), "deg"),
        "/entry/azint/bin_to_phi": ([[0.0] * 5, [90.0] * 5], "deg"),
        "/entry/azint/map": (np.indices((height, width)).sum(0) % 10, None),
        "/entry/azint/mean/dataset": (np.arange(10.0).reshape(2, 5), None),
        "/entry/roi_defs/beam/bit_index": (0, None),
        "/entry/roi_defs/beam/type": (b"box", None),
        "/entry/roi_defs/beam/min_x_pxl": (10, None),
        "/entry/roi_defs/beam/max_y_pxl": (40, None),
        "/entry/roi_defs/a_b/center_x_pxl": (100.5, None),
        "/entry/roi_defs/a_b/radius_pxl": (7.0, None),
        "/entry/roi_defs/ring/q_min_recipA": (1.0, None),
        "/entry/roi_defs/ring/phi_min_deg": (350.0, None),
        "/entry/roi_defs/roi_map": (np.full((height, width), 5), None),
    }  # fmt: skip
