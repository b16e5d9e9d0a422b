"""What a master file holds, in each of the three layouts. Writer thread only.

Links and virtual sources are computed from the plan and the number of images alone: with several writers, the
one that writes the master never sees the others' files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.hdf5.faults import storage_faults
from jfwriter.hdf5.image_statuses import ImageStatuses
from jfwriter.hdf5.per_image_links import StoredPaths, expose_lattice_count, link_image_groups, map_per_image
from jfwriter.hdf5.pieces import Pieces, main_name
from jfwriter.hdf5.plugin import StoredDataset
from jfwriter.hdf5.virtual_datasets import VirtualDatasets
from jfwriter.nexus import analysis, azint, fields, mx, pixel_types, roi, times, user
from jfwriter.nexus.calibration import calibration
from jfwriter.nexus.detector import detector
from jfwriter.nexus.detector_module import detector_position
from jfwriter.nexus.detector_specific import ImageCounts, detector_specific
from jfwriter.nexus.entry import definition, entry, run_times, source
from jfwriter.nexus.image_numbers import image_numbers
from jfwriter.nexus.image_status import image_status, verdict
from jfwriter.nexus.instrument import instrument
from jfwriter.nexus.root import root
from jfwriter.nexus.sample import sample
from jfwriter.nexus.stored_images import StoredImages
from jfwriter.session.image_status import NUMBER_OF
from jfwriter.session.orders import Outcome, Range
from jfwriter.session.plan import FileFormat, RunPlan
from jfwriter.software import SOFTWARE, Software
from jfwriter.wire.messages import CalibrationMessage, EndMessage

IMAGES = "/entry/data/data"
UNKNOWN_PIXELS = np.dtype("i4")
"""Pixel type of virtual images of which this writer got none and the start message names no type: it takes
the values of all smaller types and most of uint32's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterContent:
    """What is known about a run when it is over.

    `channels` maps the stored image channels to their pixel types, the first is `/entry/data/data`; empty if
    this writer got no image. `missing` lists (first, last) image numbers, both included. `datasets` are the
    per-image datasets that the plugins configured or stored, in any order and number; `stored_paths` says
    which of them each data file of this writer holds; `image_groups` the groups of single images as
    (image_id, path in the data file); `original_ids` maps image_id to the number before image rejection
    where the sender gave one.
    """

    n_images: int
    n_written: int | None
    """None: not known, as other writers have images too."""
    written_at_s: float
    """Unix time in s."""
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    """Why the run is not complete, and what else a person should know."""
    end: EndMessage | None = None
    missing: tuple[Range, ...] = ()
    statuses: ImageStatuses | None = None
    files_judged: npt.NDArray[np.int64] | None = None
    """Of a run that is shared: numbers of the data files that `missing` is about."""
    channels: Mapping[str, np.dtype[np.generic]] = field(default_factory=dict)
    datasets: Sequence[StoredDataset] = ()
    stored_paths: StoredPaths = field(default_factory=dict)
    image_groups: Iterable[tuple[int, str]] = ()
    calibrations: Sequence[CalibrationMessage] = ()
    original_ids: Mapping[int, int] = field(default_factory=dict)
    pieces: Pieces = field(default_factory=dict)
    data_directory: str = ""
    """Where the data files are that `pieces` does not name; empty: beside the master."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """Means over the images of this writer, and counts of its analysis, by name."""


def write_master(
    file: h5py.File, plan: RunPlan, content: MasterContent, *, software: Software = SOFTWARE
) -> list[str]:
    """Write the run's description into `file`: a new master, or the single file of the integrated layout
    with its images and per-image datasets in place.

    Returns what was left out or replaced, as sentences for the log. Raises StorageError.
    """
    warnings: list[str] = []
    with storage_faults(f"cannot write {plan.master_name}"):
        name = "/".join((*plan.directory, plan.master_name))
        root(file, name, times.from_unix(content.written_at_s), software)
        group = entry(file)
        _nxmx(group, plan, content, software, warnings)
        _run_results(group, plan, content, warnings)
        _images(group, plan, content, warnings)
    return warnings


def was_cut_short(plan: RunPlan, content: MasterContent) -> bool:
    """Did the acquisition stop before its last image? Then the time of its end was not observed."""
    cancelled = content.outcome is Outcome.CANCELLED or bool(content.end and content.end.cancelled)
    return cancelled or content.n_images < (plan.n_images_planned or 0)


def _stored_images(plan: RunPlan, content: MasterContent) -> StoredImages:
    if content.channels:
        return StoredImages(plan.shape, next(iter(content.channels.values())), tuple(content.channels))
    return StoredImages(plan.shape, plan.dtype, plan.channels)


def _nxmx(
    group: h5py.Group, plan: RunPlan, content: MasterContent, software: Software, warnings: list[str]
) -> None:
    """What the NXmx application definition and the readers of DECTRIS-style files ask for."""
    start, end = plan.start, content.end
    images = _stored_images(plan, content)
    definition(group)
    run_times(
        group,
        start,
        end,
        received_at_s=plan.received_at,
        n_images=content.n_images,
        cut_short=was_cut_short(plan, content),
        warnings=warnings,
    )
    source(group, start, warnings)
    instrument_group = instrument(group, start, warnings)
    detector_group = detector(instrument_group, start, images, warnings)
    detector_position(detector_group, start, images.shape, warnings)
    detector_specific(
        detector_group,
        start,
        end,
        counts=ImageCounts(content.n_images, content.n_written, content.missing, content.files_judged),
        images=images,
        software=software,
        warnings=warnings,
    )
    verdict(detector_group, content.outcome, content.reasons)
    if content.statuses is not None and content.n_images:
        image_status(detector_group, content.n_images, content.statuses.block, NUMBER_OF)
    calibration(detector_group, content.calibrations, warnings)
    sample(group, start, image_numbers(content.n_images, content.original_ids), warnings)


def _run_results(group: h5py.Group, plan: RunPlan, content: MasterContent, warnings: list[str]) -> None:
    """Results and definitions of the whole run, beside NXmx."""
    start, end = plan.start, content.end
    mx.run_results(group, start, end, warnings, content.figures)
    analysis.run_figures(group, content.figures)
    azint.bins(group, start, warnings)
    azint.pixel_map(group, start, plan.shape, warnings)
    azint.run_means(group, start, end, warnings)
    roi.definitions(group, start, plan.shape, warnings)
    user.user(group, start.user, warnings)


def _images(group: h5py.Group, plan: RunPlan, content: MasterContent, warnings: list[str]) -> None:
    """`/entry/data` and all that has one row per image."""
    data = fields.group(group, "data", "NXdata")
    if content.n_images == 0:
        return
    match plan.format:
        case FileFormat.NXmxLegacy:
            _link_data_files(data, plan, content)
        case FileFormat.NXmxVDS:
            _map_data_files(group, plan, content, warnings)
        case _:
            expose_lattice_count(group)
    if "data" in data:
        fields.attribute(data, "signal", "data")
        fields.soft_link(group["instrument/detector"], "data", IMAGES)


def _link_data_files(data: h5py.Group, plan: RunPlan, content: MasterContent) -> None:
    """External links data_000001 and on, and nothing else: fabio adds up whatever starts with "data"."""
    for file_index in range(plan.n_files(content.n_images)):
        usual = content.data_directory + plan.data_file_name(file_index)
        name = main_name(content.pieces, file_index, usual)
        fields.external_link(data, f"data_{file_index + 1:06d}", name, IMAGES)


def _map_data_files(group: h5py.Group, plan: RunPlan, content: MasterContent, warnings: list[str]) -> None:
    """Virtual datasets over all data files: images, other channels, per-image results."""
    virtual = VirtualDatasets(plan, content.n_images, content.pieces, content.data_directory)
    numbers = {"image_nr_low": 1, "image_nr_high": content.n_images}
    for position, (name, dtype) in enumerate(_channel_types(plan, content, warnings).items()):
        parent = group["data"] if position == 0 else _channel(group, name)
        fill = pixel_types.fill_value(dtype)
        stored = StoredDataset(f"{parent.name}/data", dtype, plan.shape, fill, numbers)
        virtual.add(parent, "data", stored)
    map_per_image(group, virtual, content.datasets, content.stored_paths, warnings)
    virtual.write()
    link_image_groups(group, plan, content.image_groups, content.pieces, content.data_directory)
    expose_lattice_count(group)


def _channel_types(
    plan: RunPlan, content: MasterContent, warnings: list[str]
) -> Mapping[str, np.dtype[np.generic]]:
    if content.channels:
        return content.channels
    if plan.dtype is None:
        warnings.append(f"{IMAGES}: no image came and image_dtype was not sent; {UNKNOWN_PIXELS} is assumed")
    return dict.fromkeys(plan.channels or ("",), plan.dtype or UNKNOWN_PIXELS)


def _channel(group: h5py.Group, name: str) -> h5py.Group:
    return fields.collection(fields.collection(group, "channels"), name)
