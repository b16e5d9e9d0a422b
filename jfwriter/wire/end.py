"""The end, calibration and metadata messages: their fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from jfwriter.payload import Payload
from jfwriter.settings import LimitSettings
from jfwriter.wire import array_fields, collect, fields, tags
from jfwriter.wire.collect import Problems
from jfwriter.wire.fields import T
from jfwriter.wire.messages import CalibrationMessage, EndMessage, MetadataMessage
from jfwriter.wire.mismatch import Mismatch

MAX_ENTRIES: Final = 256
"""Entries of the maps of a message: calibration images, histograms, profiles."""


def _map_of(convert: fields.Reader[T]) -> Callable[[object, LimitSettings], dict[str, T]]:
    def convert_all(value: object, limits: LimitSettings) -> dict[str, T]:
        if not isinstance(value, dict):
            raise Mismatch("a map of arrays", value)
        if len(value) > MAX_ENTRIES:
            raise Mismatch(f"at most {MAX_ENTRIES} entries", value)
        return {
            fields.at(".*", fields.text, name, limits): fields.at(f".{name}", convert, item, limits)
            for name, item in value.items()
            if item is not None
        }

    return convert_all


END_FIELDS: Final = collect.table(
    {
        "series_id": fields.uint63,
        "series_unique_id": fields.text,
        "end_date": fields.date,
        "max_image_number": fields.uint63,
        "images_collected": fields.uint63,
        "images_sent_to_write": fields.uint63,
        "data_collection_efficiency": fields.measured,
        "max_receiver_delay": fields.uint64,
        "az_int_result": _map_of(array_fields.bins),
        "adu_histogram": _map_of(array_fields.bin_counts),
        "adu_histogram_bin_width": fields.uint32,
        "bkg_estimate": fields.measured,
        "indexing_rate": fields.measured,
        "rotation_lattice": array_fields.lattice,
        "rotation_lattice_extra": array_fields.lattices,
        "rotation_lattice_niggli_class": fields.uint32,
        "cancelled": fields.boolean,
    }
)
CALIBRATION_FIELDS: Final = collect.table(
    {
        "series_id": fields.uint63,
        "series_unique_id": fields.text,
    }
)
_SERIES: Final = {"series_id": "an unsigned integer"}
METADATA_FIELDS: Final = collect.table({"series_id": fields.uint63})


def read_end(
    message: Mapping[object, object], limits: LimitSettings, source: memoryview | None = None
) -> EndMessage:
    """Raises ProtocolError where `series_id` is not usable."""
    problems = Problems()
    found = collect.flatten(message, limits, problems)
    values = collect.convert(found, END_FIELDS, limits, problems)
    collect.require("end", _SERIES, values, problems)
    return EndMessage(**values, problems=tuple(problems.found), source=source)  # type: ignore[arg-type]


def read_calibration(
    message: Mapping[object, object], limits: LimitSettings, source: memoryview | None = None
) -> CalibrationMessage:
    """Raises ProtocolError where `series_id` is not usable or `data` is no map; a wrong image is left out."""
    problems = Problems()
    found = collect.flatten(message, limits, problems)
    values = collect.convert(found, CALIBRATION_FIELDS, limits, problems)
    try:
        values["data"] = _calibration_images(found.get("data"), limits, problems)
    except Mismatch as mismatch:
        problems.add("data", mismatch)
    collect.require("calibration", {**_SERIES, "data": "a map of images"}, values, problems)
    return CalibrationMessage(**values, problems=tuple(problems.found), source=source)  # type: ignore[arg-type]


def _calibration_images(value: object, limits: LimitSettings, problems: Problems) -> dict[str, Payload]:
    if not isinstance(value, dict):
        raise Mismatch("a map of images", value)
    if len(value) > MAX_ENTRIES:
        raise Mismatch(f"at most {MAX_ENTRIES} images", value)
    images = {}
    for name, content in value.items():
        try:
            key = fields.text(name, limits)
            images[key] = tags.image(content, tags.NUMBER_DTYPES, limits.max_image_pixels)
        except Mismatch as mismatch:
            problems.add(f"data.{str(name)[:40]}", mismatch)
    return images


def read_metadata(
    message: Mapping[object, object], limits: LimitSettings, _source: memoryview | None = None
) -> MetadataMessage:
    """The batch itself is not decoded: `images` stays a table of bytes (`wire.item`)."""
    problems = Problems()
    found = collect.flatten(message, limits, problems)
    values = collect.convert(found, METADATA_FIELDS, limits, problems)
    return MetadataMessage(**values, problems=tuple(problems.found))  # type: ignore[arg-type]
