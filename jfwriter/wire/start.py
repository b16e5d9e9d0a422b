"""The start message: its fields, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import cbor2

from jfwriter.payload import Codec, Payload
from jfwriter.settings import LimitSettings
from jfwriter.wire import array_fields, collect, fields, jsonlike, tags
from jfwriter.wire.collect import Problems
from jfwriter.wire.messages import StartMessage
from jfwriter.wire.mismatch import Mismatch, Said
from jfwriter.wire.structures import fluorescence, goniometer, grid_scan, roi, rois

ENERGY_WAVELENGTH_EV_ANGSTROM: Final = 12398.4198
"""h c (CODATA 2018) in eV Å."""
DEFAULT_CHANNEL: Final = "default"
FILE_FORMATS: Final = (
    "NXmxOnlyData",
    "NXmxLegacy",
    "NXmxVDS",
    "NXmxIntegrated",
    "CBF",
    "TIFF",
    "NoFileWritten",
)
_FLOATS: Final = frozenset({"float32", "float64"})


def _image_size(value: object, limits: LimitSettings) -> int:
    return fields.integer(value, 1, limits.max_image_pixels)


def _file_format(value: object, limits: LimitSettings) -> int | str:
    """The number of a known name; a number or a name that is none stays what it is."""
    if isinstance(value, str):
        names = [name.casefold() for name in FILE_FORMATS]
        known = value.casefold() in names
        return names.index(value.casefold()) if known else fields.text(value, limits)
    return fields.int64(value, limits)


def _flag(value: object, limits: LimitSettings) -> bool:
    """Requests say 0 and 1 as well."""
    return bool(value) if type(value) is int and value in (0, 1) else fields.boolean(value, limits)


def _thresholds(value: object, limits: LimitSettings) -> dict[str, float]:
    if not isinstance(value, dict):
        raise Mismatch("a map of energies, or one energy", value)
    if len(value) > limits.max_channels:
        raise Mismatch(f"at most {limits.max_channels} channels", value)
    return {
        fields.at(".*", fields.text, name, limits): fields.at(f".{name}", fields.positive, energy, limits)
        for name, energy in value.items()
        if energy is not None
    }


def _json(value: object, limits: LimitSettings) -> object:
    if isinstance(value, str):
        return jsonlike.clean_text(value)
    return jsonlike.clean(value, limits.max_nesting)


def _prefix(value: object, limits: LimitSettings) -> str:
    return jsonlike.clean_text(fields.any_text(value, limits))


FIELDS: Final = collect.table(
    {
        "series_id": fields.uint63,
        "series_unique_id": fields.text,
        "image_size_x": _image_size,
        "image_size_y": _image_size,
        "number_of_images": fields.uint63,
        "magic_number": fields.uint64,
        "arm_date": fields.date,
        "image_dtype": fields.text,
        "channels": fields.texts(lambda limits: limits.max_channels),
        "beam_center_x": fields.finite,
        "beam_center_y": fields.finite,
        "detector_distance": fields.finite,
        "detector_translation": array_fields.vector3,
        "poni_rot1": fields.finite,
        "poni_rot2": fields.finite,
        "poni_rot3": fields.finite,
        "incident_energy": fields.positive,
        "incident_wavelength": fields.positive,
        "incident_wavelength_spread": fields.not_negative,
        "frame_time": fields.not_negative,
        "count_time": fields.not_negative,
        "pixel_size_x": fields.positive,
        "pixel_size_y": fields.positive,
        "sensor_thickness": fields.not_negative,
        "sensor_material": fields.text,
        "saturation_value": fields.int64,
        "error_value": fields.int64,
        "detector_description": fields.text,
        "detector_serial_number": fields.text,
        "bit_depth_readout": fields.integer_field(1, 64),
        "countrate_correction_enabled": fields.boolean,
        "flatfield_enabled": fields.boolean,
        "pixel_mask_enabled": fields.boolean,
        "virtual_pixel_interpolation_enabled": fields.boolean,
        "countrate_correction_lookup_table": array_fields.table,
        "flatfield": array_fields.image_map(_FLOATS),
        "pixel_mask": array_fields.image_map(tags.INTEGER_DTYPES),
        "threshold_energy": _thresholds,
        "goniometer": goniometer,
        "grid_scan": grid_scan,
        "summation": fields.uint32,
        "storage_cell_number": fields.uint32,
        "storage_cell_delay": fields.rational,
        "jungfrau_conversion_enabled": fields.boolean,
        "jungfrau_conversion_factor": fields.finite,
        "geometry_transformation_enabled": fields.boolean,
        "max_spot_count": fields.uint32,
        "az_int_bin_number": fields.uint32,
        "az_int_bin_to_q": array_fields.finite_bins,
        "az_int_bin_to_two_theta": array_fields.finite_bins,
        "az_int_bin_to_phi": array_fields.finite_bins,
        "az_int_q_bin_count": fields.uint32,
        "az_int_phi_bin_count": fields.uint32,
        "az_int_map": array_fields.single_image(tags.INTEGER_DTYPES),
        "rois": rois,
        "roi_map": array_fields.single_image(tags.INTEGER_DTYPES),
        "unit_cell": array_fields.unit_cell,
        "space_group_number": fields.integer_field(1, 230),
        "indexing_algorithm": fields.text,
        "geom_refinement_algorithm": fields.text,
        "fluorescence": fluorescence,
        "ring_current": fields.finite,
        "sample_temperature": fields.finite,
        "ub_matrix": array_fields.matrix3,
        "file_prefix": _prefix,
        "images_per_file": fields.int64,
        "file_format": _file_format,
        "overwrite": _flag,
        "write_master_file": _flag,
        "socket_number": fields.uint63,
        "source_name": fields.text,
        "source_type": fields.text,
        "instrument_name": fields.text,
        "sample_name": fields.text,
        "attenuator_transmission": fields.fraction,
        "total_flux": fields.not_negative,
        "run_name": fields.text,
        "run_number": fields.uint63,
        "experiment_group": fields.text,
        "gain_file_names": fields.texts(lambda _limits: 1024),
        "data_reduction_factor_serialmx": fields.fraction,
        "jfjoch_release": fields.text,
        "detect_ice_rings": fields.boolean,
        "writer_notification_zmq_addr": fields.text,
        "user": _json,
    }
)
ESSENTIAL: Final = {
    "series_id": "an unsigned integer",
    "image_size_x": "an integer above 0",
    "image_size_y": "an integer above 0",
}
REQUESTS: Final = ("file_prefix", "images_per_file", "file_format", "user_data")
"""What the files shall be, or where it stands: a wrong one is refused loudly, because without it other files
are written than were asked for, or none."""


def read_start(
    message: Mapping[object, object], limits: LimitSettings, source: memoryview | None = None
) -> StartMessage:
    """Raises ProtocolError where `series_id`, the image size or one of `REQUESTS` is not usable.

    Whether a format, a number or a pixel type is one that can be written is decided with the plan of the run.
    """
    problems = Problems()
    found = collect.flatten(message, limits, problems)
    _name_single_values(found)
    _leave_out_wrong_rois(found, limits, problems)
    values = collect.convert(found, FIELDS, limits, problems)
    collect.require("start", ESSENTIAL, values, problems)
    for name in REQUESTS:
        if (problem := problems.about(name)) is not None:
            collect.refuse("start", problem)
    start = StartMessage(**_appendix(found, values, limits, problems))  # type: ignore[arg-type]
    n_pixels = start.image_size_x * start.image_size_y
    if n_pixels > limits.max_image_pixels:
        problems.add(
            "image_size_y", Mismatch(f"at most {limits.max_image_pixels} pixels", Said(f"{n_pixels} pixels"))
        )
        collect.refuse("start", problems.found[-1])
    start = _without_misfits(_with_derived(start), problems)
    return replace(start, problems=tuple(problems.found), source=source)


def _name_single_values(found: dict[str, object]) -> None:
    """Give values that belong to a channel its name, and arrays of pixels without dimensions theirs."""
    channels = found.get("channels")
    first = channels[0] if isinstance(channels, list) and channels else None
    channel = first if isinstance(first, str) else DEFAULT_CHANNEL
    shape = [found.get("image_size_y"), found.get("image_size_x")]
    for name in ("pixel_mask", "flatfield", "az_int_map", "roi_map"):
        value = found.get(name)
        if isinstance(value, cbor2.CBORTag) and value.tag in tags.TYPED_ARRAYS:
            found[name] = cbor2.CBORTag(tags.TAG_ARRAY, [shape, value])
    for name in ("pixel_mask", "flatfield"):
        if tags.is_array(found.get(name)):
            found[name] = {channel: found[name]}
    if type(found.get("threshold_energy")) in (int, float):
        found["threshold_energy"] = {channel: found["threshold_energy"]}


def _leave_out_wrong_rois(found: dict[str, object], limits: LimitSettings, problems: Problems) -> None:
    """Put null in the place of each region that is wrong, so that the others keep their bits in `roi_map`."""
    sent = found.get("rois")
    if not isinstance(sent, list | tuple):
        return
    regions: list[object] = list(sent[: limits.max_rois])
    if len(sent) > len(regions):
        problems.add("rois", Mismatch(f"at most {limits.max_rois} regions", sent))
    names: set[str] = set()
    for i, item in enumerate(regions):
        try:
            name = None if item is None else roi(item, limits).name
        except Mismatch as mismatch:
            problems.add("rois", mismatch.inside(f"[{i}]"))
            regions[i] = None
            continue
        if name in names:
            problems.add("rois", Mismatch("regions with different names", name, f"[{i}].name"))
            regions[i] = None
        elif name is not None:
            names.add(name)
    found["rois"] = regions


def _appendix(
    found: Mapping[str, object], values: dict[str, object], limits: LimitSettings, problems: Problems
) -> dict[str, object]:
    """`user` and `user_data_text`; plain Stream V2 sends the header appendix itself as `user_data`."""
    appendix = found.get("user_data")
    if isinstance(appendix, str):
        values["user_data_text"] = appendix
    elif appendix is not None and not isinstance(appendix, dict):
        try:
            values.setdefault("user", jsonlike.clean(appendix, limits.max_nesting))
        except Mismatch as mismatch:
            problems.add("user", mismatch)
    return values


def _with_derived(start: StartMessage) -> StartMessage:
    """Distance from the translation; energy and wavelength from each other."""
    derived: dict[str, float] = {}
    if start.detector_distance is None and start.detector_translation is not None:
        derived["detector_distance"] = start.detector_translation[2]
    energy, wavelength = start.incident_energy, start.incident_wavelength
    if energy is None and wavelength is not None:
        derived["incident_energy"] = ENERGY_WAVELENGTH_EV_ANGSTROM / wavelength
    if wavelength is None and energy is not None:
        derived["incident_wavelength"] = ENERGY_WAVELENGTH_EV_ANGSTROM / energy
    return replace(start, **derived) if derived else start  # type: ignore[arg-type]


def _without_misfits(start: StartMessage, problems: Problems) -> StartMessage:
    """Masks and maps that have not the size of the image are dropped."""
    shape = (start.image_size_y, start.image_size_x)

    def fits(name: str, image: Payload) -> bool:
        good = image.shape == shape
        good = good and (image.codec is not Codec.NONE or len(image.data) == image.raw_bytes)
        if not good:
            got = f"{image.shape[0]} x {image.shape[1]} pixels in {len(image.data)} bytes"
            problems.add(name, Mismatch(f"an image of {shape[0]} x {shape[1]} pixels", Said(got)))
        return good

    return replace(
        start,
        pixel_mask={k: v for k, v in start.pixel_mask.items() if fits(f"pixel_mask.{k}", v)},
        flatfield={k: v for k, v in start.flatfield.items() if fits(f"flatfield.{k}", v)},
        az_int_map=start.az_int_map if start.az_int_map and fits("az_int_map", start.az_int_map) else None,
        roi_map=start.roi_map if start.roi_map and fits("roi_map", start.roi_map) else None,
    )
