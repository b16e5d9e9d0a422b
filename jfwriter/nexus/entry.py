"""NXentry and NXsource."""

from __future__ import annotations

import h5py

from jfwriter.nexus import fields, times
from jfwriter.wire.messages import EndMessage, StartMessage


def entry(root: h5py.Group) -> h5py.Group:
    """`/entry`, the one measurement of the file."""
    group = fields.group(root, "entry", "NXentry")
    fields.attributes(group, default="data", version="1.0")
    return group


def definition(entry_group: h5py.Group) -> None:
    """Claim the NXmx application definition: masters do, data files do not."""
    fields.text(entry_group, "definition", "NXmx")


def run_times(
    entry_group: h5py.Group,
    start: StartMessage,
    end: EndMessage | None,
    *,
    received_at_s: float,
    n_images: int,
    cut_short: bool,
    warnings: list[str],
) -> None:
    """Times of the run, UTC. `received_at_s` (Unix time) stands in for an arming date that is not one.

    `end_time` is observed or absent (NXmx: omitted when the collection aborted); `end_time_estimated` is
    required: the sender's, else the start plus the images' frame times.
    """
    begun = times.utc(start.arm_date)
    if begun is None:
        begun = times.from_unix(received_at_s)
        if start.arm_date is not None:
            warnings.append(f"arm_date {start.arm_date[:60]!r}: not RFC 3339; time of receipt used instead")
    ended = times.utc(end.end_date) if end is not None else None
    fields.text(entry_group, "start_time", begun)
    if ended is not None and not cut_short:
        fields.text(entry_group, "end_time", ended)
    fields.text(
        entry_group, "end_time_estimated", ended or times.later(begun, n_images * (start.frame_time or 0.0))
    )


def source(entry_group: h5py.Group, start: StartMessage, warnings: list[str]) -> None:
    """NXsource: the facility. Ring current in A."""
    group = fields.group(entry_group, "source", "NXsource")
    fields.text(group, "name", required_text(start.source_name, "source_name", "unknown", warnings))
    if start.source_type is not None:
        fields.text(group, "type", start.source_type)
    fields.optional(group, "current", start.ring_current, "f8", "A", warnings=warnings)


def required_text(value: str | None, field: str, default: str, warnings: list[str]) -> str:
    """`value`, or the default for a field that NXmx requires and the sender left out."""
    if value is not None:
        return value
    warnings.append(f"{field}: not sent; NXmx requires it, {default!r} is written")
    return default
