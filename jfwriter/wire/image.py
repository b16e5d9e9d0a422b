"""The image message: its fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from jfwriter.settings import LimitSettings
from jfwriter.wire import aliases, array_fields, collect, fields, jsonlike, tags
from jfwriter.wire.collect import Problems
from jfwriter.wire.messages import ImageMessage
from jfwriter.wire.mismatch import Mismatch
from jfwriter.wire.spots import read_reflections, read_roi_integrals, read_spots

DEFAULT_CHANNEL: Final = "default"
_images = array_fields.image_map(tags.IMAGE_DTYPES)


def _channels(value: object, limits: LimitSettings) -> object:
    return _images({DEFAULT_CHANNEL: value} if tags.is_array(value) else value, limits)


FIELDS: Final = collect.table(
    {
        "series_id": fields.uint63,
        "image_id": fields.uint63,
        "data": _channels,
        "series_unique_id": fields.text,
        "original_image_id": fields.uint63,
        "series_date": fields.date,
        "start_time": fields.rational,
        "stop_time": fields.rational,
        "real_time": fields.rational,
        "strong_pixel_count": fields.uint32,
        "spot_count": fields.uint32,
        "spot_count_low_res": fields.uint32,
        "spot_count_ice_rings": fields.uint32,
        "spot_count_indexed": fields.uint32,
        "az_int_profile": array_fields.profile,
        "az_int_profile_std": array_fields.profile,
        "az_int_profile_count": array_fields.bin_counts,
        "bkg_estimate": fields.measured,
        "resolution_estimate": fields.measured,
        "indexing_result": fields.boolean,
        "indexing_lattice": array_fields.lattice,
        "indexing_lattice_extra": array_fields.lattices,
        "indexing_lattice_count": fields.uint32,
        "indexing_unit_cell": array_fields.unit_cell,
        "niggli_class": fields.uint8,
        "bravais_lattice": fields.text,
        "profile_radius": fields.measured,
        "mosaicity": fields.measured,
        "b_factor": fields.measured,
        "beam_corr_x": fields.measured,
        "beam_corr_y": fields.measured,
        "image_scale_factor": fields.measured,
        "image_scale_cc": fields.measured,
        "image_scale_mosaicity": fields.measured,
        "image_scale_b_factor": fields.measured,
        "integrated_reflections": fields.uint32,
        "min_viable_pixel_value": fields.int64,
        "max_viable_pixel_value": fields.int64,
        "pixel_sum": fields.int64,
        "saturated_pixel_count": fields.uint63,
        "error_pixel_count": fields.uint63,
        "packets_expected": fields.uint64,
        "packets_received": fields.uint64,
        "data_collection_efficiency": fields.measured,
        "storage_cell": fields.uint8,
        "jf_info": fields.uint32,
        "receiver_aq_dev_delay": fields.uint63,
        "receiver_free_send_buf": fields.uint63,
        "xfel_pulse_id": fields.uint64,
        "xfel_event_code": fields.uint64,
        "spot_finding_time": fields.measured,
        "indexing_time": fields.measured,
        "integration_time": fields.measured,
        "refinement_time": fields.measured,
        "processing_time": fields.measured,
        "bragg_prediction_time": fields.measured,
        "preprocessing_time": fields.measured,
        "compression_time": fields.measured,
        "azint_time": fields.measured,
        "index_analysis_time": fields.measured,
        "image_scale_time": fields.measured,
    }
)
LISTS: Final = {
    "spots": read_spots,
    "reflections": read_reflections,
    "roi_integrals": read_roi_integrals,
}
ESSENTIAL: Final = {
    "series_id": "an unsigned integer",
    "image_id": "an unsigned integer",
    "data": "a map of images",
}


def read_image(
    message: Mapping[object, object],
    limits: LimitSettings,
    source: memoryview | None = None,
    cuts: Sequence[Sequence[int]] = (),
) -> ImageMessage:
    """`cuts`: of `source`, see ImageMessage.

    Raises ProtocolError where `series_id`, `image_id` or `data` is not usable.
    """
    problems = Problems()
    found = collect.flatten(message, limits, problems)
    aliases.rename(found, aliases.IMAGE)
    _expand_lattice_type(found)
    values = collect.convert(found, FIELDS, limits, problems)
    collect.require("image", ESSENTIAL, values, problems)
    for name, read in LISTS.items():
        if name in found:
            try:
                values[name] = read(found[name], limits, problems)
            except Mismatch as mismatch:
                problems.add(name, mismatch)
    values["channels"] = values.pop("data")
    if "user_data" in found:
        try:
            values["user_data"] = jsonlike.clean(found["user_data"], limits.max_nesting)
        except Mismatch as mismatch:
            problems.add("user_data", mismatch)
    if problems.found:
        values["problems"] = tuple(problems.found)
    values["source"] = source
    values["cuts"] = cuts
    return _message(values)


def _message(values: dict[str, object]) -> ImageMessage:
    """The message that holds `values`. What is absent is read from the class, as the dataclass leaves its
    defaults there: five times faster than a constructor of 65 arguments."""
    values.setdefault("roi_integrals", {})
    message = object.__new__(ImageMessage)
    object.__setattr__(message, "__dict__", values)
    return message


def _expand_lattice_type(found: dict[str, object]) -> None:
    """`lattice_type` {centering, system, niggli_class} -> `bravais_lattice`, `niggli_class`."""
    lattice_type = found.pop(aliases.LATTICE_TYPE, None)
    if not isinstance(lattice_type, dict):
        return
    if lattice_type.get("niggli_class") is not None:
        found.setdefault("niggli_class", lattice_type["niggli_class"])
    system, centering = lattice_type.get("system"), lattice_type.get("centering")
    if isinstance(system, str) and isinstance(centering, str):
        letter = aliases.CRYSTAL_SYSTEMS.get(system.lower(), system)
        found.setdefault("bravais_lattice", letter + centering)
