"""Fields of image and end messages."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jfwriter.simulator.analysis import RoiSums
from jfwriter.simulator.options import Experiment, Flavour, RunOptions
from jfwriter.simulator.source import PreparedImage
from jfwriter.simulator.tables import ICE_RINGS_ANGSTROM, Tables
from jfwriter.wire.encode import pixels, typed_array

Fields = dict[str, object]


@dataclass(frozen=True, slots=True)
class Sent:
    """What an end message tells about its run; `highest_id` is -1 when no image was sent."""

    n_images: int
    highest_id: int
    ended_at: datetime.datetime
    cancelled: bool = False


_NANOSECONDS = 1_000_000_000
_TO_DETECTOR_FRAME = np.array([-1.0, -1.0, 1.0])
"""Jungfraujoch's laboratory frame has x along the columns and y along the rows; ours has them reversed."""

_LOW_RESOLUTION_ANGSTROM = 5.0
_ICE_RING_HALF_WIDTH_RECIPA = 0.02
_MAX_REFLECTIONS = 200
_TIMED = (
    *("preprocessing", "compression", "azint", "spot_finding", "indexing", "index_analysis"),
    *("refinement", "bragg_prediction", "integration", "image_scale", "processing"),
)


def varying_fields(options: RunOptions, image_id: int, collected_at: datetime.datetime) -> Fields:
    """What differs between two messages that show the same image: number and times."""
    frame = round(options.frame_time_s * _NANOSECONDS)
    exposure = round(options.count_time_s * _NANOSECONDS)
    fields: Fields = {
        "type": "image",
        "image_id": image_id,
        "series_id": options.run_number,
        "series_unique_id": options.unique_id,
        "series_date": collected_at,
        "start_time": [image_id * frame, _NANOSECONDS],
        "stop_time": [image_id * frame + exposure, _NANOSECONDS],
        "real_time": [exposure, _NANOSECONDS],
    }
    if options.flavour is Flavour.JUNGFRAUJOCH:
        fields["original_image_id"] = image_id
        fields["receiver_free_send_buf"] = 512 - image_id % 32
        if options.scan.experiment is Experiment.STILL:
            fields |= {"xfel_pulse_id": 17_000_000_000 + image_id, "xfel_event_code": 13}
    return fields


def constant_fields(options: RunOptions, tables: Tables, image: PreparedImage, number: int) -> Fields:
    """What every message has that shows distinct image `number`: pixels, and what was measured on them."""
    shape = options.detector.shape
    fields: Fields = {}
    if options.flavour is Flavour.JUNGFRAUJOCH:
        fields |= _measurements(tables, image)
        fields |= _spots(options, image)
        fields |= _indexing(options, image, number)
        fields |= _readout(options, number)
        fields["user_data"] = {"note": "simulated"}
    fields["data"] = {
        channel: pixels(payload, options.codec, options.dtype, shape)
        for channel, payload in zip(options.channels, image.payloads, strict=True)
    }
    return fields


def end_fields(
    options: RunOptions,
    tables: Tables,
    images: Sequence[PreparedImage],
    sent: Sent,
) -> Fields:
    """An end message after the images that were `sent`."""
    fields: Fields = {
        "type": "end",
        "series_id": options.run_number,
        "series_unique_id": options.unique_id,
    }
    if options.flavour is Flavour.STREAM2:
        return fields
    fields |= {
        "end_date": sent.ended_at,
        "max_image_number": sent.highest_id + 1,
        "images_collected": sent.n_images,
        "images_sent_to_write": sent.n_images,
        "data_collection_efficiency": sent.n_images / options.n_images if options.n_images else 1.0,
        "max_receiver_delay": 3,
        "cancelled": sent.cancelled,
    }
    if not images:
        return fields
    mean = np.mean([image.profile.mean for image in images], axis=0)
    ring = (tables.bin_to_q > 2 * math.pi / 5) & (tables.bin_to_q < 2 * math.pi / 3)
    background = float(np.nanmean(mean[ring])) if np.isfinite(mean[ring]).any() else math.nan
    fields["az_int_result"] = {"dataset": typed_array(mean.astype(np.float32))}
    fields["adu_histogram"] = {"module_0": typed_array(_histogram(images))}
    fields["adu_histogram_bin_width"] = 32
    if math.isfinite(background):
        fields["bkg_estimate"] = background
    if images[0].reciprocal is not None:
        fields["indexing_rate"] = float(np.mean([len(image.spots.x) >= 10 for image in images]))
        if options.scan.experiment is Experiment.ROTATION:
            fields["rotation_lattice"] = _lattice(images[0])
            fields["rotation_lattice_niggli_class"] = 21
    return fields


def _measurements(tables: Tables, image: PreparedImage) -> Fields:
    profile, found = image.profile, image.statistics
    ring = (tables.bin_to_q > 2 * math.pi / 5) & (tables.bin_to_q < 2 * math.pi / 3)
    fields: Fields = {
        "az_int_profile": typed_array(profile.mean.astype(np.float32)),
        "az_int_profile_std": typed_array(profile.std.astype(np.float32)),
        "az_int_profile_count": typed_array(profile.count.astype(np.uint32)),
        "roi_integrals": {name: _roi_integral(roi) for name, roi in image.rois.items()},
        "min_viable_pixel_value": found.min_viable,
        "max_viable_pixel_value": found.max_viable,
        "pixel_sum": found.pixel_sum,
        "saturated_pixel_count": found.saturated,
        "error_pixel_count": found.error,
    }
    if np.isfinite(profile.mean[ring]).any():
        fields["bkg_estimate"] = float(np.nanmean(profile.mean[ring]))
    return fields


def _roi_integral(roi: RoiSums) -> Fields:
    return {
        "sum": roi.sum,
        "sum_square": roi.sum_square,
        "max": roi.max,
        "pixels": roi.pixels,
        "x_weighted": roi.x_weighted,
        "y_weighted": roi.y_weighted,
    }


def _spots(options: RunOptions, image: PreparedImage) -> Fields:
    spots = image.spots
    n_spots = min(len(spots.x), options.max_spot_count)
    d = 2 * math.pi / np.maximum(spots.q, 1e-6)
    ice_q = 2 * math.pi / np.array(ICE_RINGS_ANGSTROM)
    on_ice = np.any(np.abs(spots.q[:, np.newaxis] - ice_q) < _ICE_RING_HALF_WIDTH_RECIPA, axis=1)
    known = image.hkl is not None and image.distance_ewald is not None
    rows: list[Fields] = []
    for i in range(n_spots):
        row: Fields = {
            "x": float(spots.x[i]),
            "y": float(spots.y[i]),
            "I": float(spots.intensity[i]),
            "maxc": int(spots.maxc[i]),
            "ice_ring": bool(on_ice[i]),
            "indexed": known,
        }
        if image.hkl is not None and image.distance_ewald is not None:
            h, k, l = (int(v) for v in image.hkl[i])  # noqa: E741 Miller index
            row |= {"lattice": 0, "h": h, "k": k, "l": l, "dist_ewald": float(image.distance_ewald[i])}
        rows.append(row)
    fields: Fields = {
        "spots": rows,
        "strong_pixel_count": 4 * len(spots.x),
        "spot_count": len(spots.x),
        "spot_count_low_res": int((d > _LOW_RESOLUTION_ANGSTROM).sum()),
        "spot_count_ice_rings": int(on_ice.sum()),
        "spot_count_indexed": len(spots.x) if known else 0,
    }
    if len(spots.x):
        fields["resolution_estimate"] = float(np.percentile(d, 5))
    return fields


def _indexing(options: RunOptions, image: PreparedImage, number: int) -> Fields:
    if image.reciprocal is None or len(image.spots.x) < 10:
        return {"indexing_result": False, "indexing_lattice_count": 0}
    sample = options.sample
    wobble = math.sin(number)
    tetragonal = sample.unit_cell.a == sample.unit_cell.b
    fields: Fields = {
        "indexing_result": True,
        "indexing_lattice": _lattice(image),
        "indexing_lattice_count": 1,
        "niggli_class": 21 if tetragonal else 32,
        "bravais_lattice": "tP" if tetragonal else "oP",
        "profile_radius": sample.profile_radius_recipA,
        "mosaicity": sample.mosaicity_deg,
        "b_factor": sample.b_factor_angstrom2 + wobble,
        "beam_corr_x": 0.05 * wobble,
        "beam_corr_y": -0.05 * wobble,
        "image_scale_factor": 1.0 + 0.02 * wobble,
        "image_scale_cc": 0.97 + 0.01 * wobble,
        "image_scale_mosaicity": sample.mosaicity_deg,
        "image_scale_b_factor": 0.1 * wobble,
    }
    if options.with_reflections:
        rows = _reflections(options, image, number)
        fields |= {"reflections": rows, "integrated_reflections": len(rows)}
    return fields


def _reflections(options: RunOptions, image: PreparedImage, number: int) -> list[Fields]:
    spots, hkl = image.spots, image.hkl
    if hkl is None:
        return []
    rows: list[Fields] = []
    for i in range(min(len(spots.x), _MAX_REFLECTIONS)):
        h, k, l = (int(v) for v in hkl[i])  # noqa: E741 Miller index
        intensity = float(spots.intensity[i])
        two_theta = float(options.geometry.two_theta_from_q(spots.q[i : i + 1])[0])
        rows.append(
            {
                "h": h,
                "k": k,
                "l": l,
                "d": 2 * math.pi / float(spots.q[i]),
                "I": intensity,
                "sigma": math.sqrt(abs(intensity) + 25),
                "bkg": 1.0,
                "x": float(spots.x[i]),
                "y": float(spots.y[i]),
                "obs_x": float(spots.x[i]),
                "obs_y": float(spots.y[i]),
                "image": float(number),
                "lp": math.sin(two_theta) / max(1e-6, (1 + math.cos(two_theta) ** 2) / 2),
                "partiality": 0.5,
                "delta_phi": 0.0,
                "zeta": 0.8,
                "image_scale_corr": 1.0,
            }
        )
    return rows


def _lattice(image: PreparedImage) -> object:
    """Rows a, b, c in Å, flat, in the sender's frame."""
    if image.reciprocal is None:
        raise ValueError("no lattice")
    return typed_array((np.linalg.inv(image.reciprocal) * _TO_DETECTOR_FRAME).astype(np.float32).ravel())


def _readout(options: RunOptions, number: int) -> Fields:
    n_packets = 64 * max(1, options.detector.width * options.detector.height // (1 << 19))
    return {
        "packets_expected": n_packets,
        "packets_received": n_packets,
        "data_collection_efficiency": 1.0,
        "storage_cell": 0,
        "jf_info": 0x10,
        "receiver_aq_dev_delay": number % 3,
        **{f"{name}_time": 1e-4 * (i + 1) for i, name in enumerate(_TIMED)},
    }


def _histogram(images: Sequence[PreparedImage]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Pixel numbers over mean photon counts of their rings: what stands in for raw ADU values."""
    histogram = np.zeros(64, np.uint64)
    for image in images:
        mean = np.nan_to_num(image.profile.mean)
        bins = np.clip(mean, 0, 63).astype(np.int64)
        np.add.at(histogram, bins, image.profile.count.astype(np.uint64))
    return histogram
