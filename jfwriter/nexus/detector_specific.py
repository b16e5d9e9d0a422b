"""`detectorSpecific` (NXcollection): what XDS, DECTRIS-style tools and scripts look for."""

from __future__ import annotations

from dataclasses import dataclass

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.nexus import fields, packed
from jfwriter.nexus.names import link_names
from jfwriter.nexus.stored_images import StoredImages
from jfwriter.software import Software
from jfwriter.wire.messages import EndMessage, StartMessage

_BLOCK = 1 << 20
"""Image numbers that are written at once."""


@dataclass(frozen=True, slots=True)
class ImageCounts:
    """How many images a run has and has not. `missing` lists (first, last) image numbers, both included.

    `n_written` None: other writers have the rest of the images; then `files_judged` lists the data files that
    `missing` is about, by the number in their names.
    """

    n_images: int
    n_written: int | None
    missing: tuple[tuple[int, int], ...] = ()
    files_judged: npt.NDArray[np.int64] | None = None


def detector_specific(
    detector: h5py.Group,
    start: StartMessage,
    end: EndMessage | None,
    *,
    counts: ImageCounts,
    images: StoredImages,
    software: Software,
    warnings: list[str],
) -> h5py.Group:
    """The group, with the pixel mask and its hard link `detector/pixel_mask`."""
    group = fields.collection(detector, "detectorSpecific")
    _counts(group, start, counts)
    _end_of_run(group, end, warnings)
    _acquisition(group, start, warnings)
    _software(group, start, software)
    pixel_mask(group, start, images, warnings)
    fields.hard_link(detector, "pixel_mask", group["pixel_mask"])
    if end is not None:
        adu_histogram(group, end, warnings)
    return group


def pixel_mask(group: h5py.Group, start: StartMessage, images: StoredImages, warnings: list[str]) -> None:
    """u4 [y, x], contiguous and without filter, always: XDS (neggia) takes the image size from it.

    Bits as sent (NXdetector pixel_mask: 0 gap, 1 dead, 2 under-, 3 over-responding, 4 noisy, 6 cluster,
    8 user, 31 virtual). Zeros when no usable mask was sent.
    """
    payload = images.of_first_channel(start.pixel_mask)
    mask = None if payload is None else packed.unpacked(payload, "pixel_mask", images.shape, "u4", warnings)
    if payload is not None and mask is None:
        warnings.append("pixel_mask: a mask without bad pixels is written instead")
    fields.array(group, "pixel_mask", np.zeros(images.shape, "u4") if mask is None else mask, "u4")


def adu_histogram(group: h5py.Group, end: EndMessage, warnings: list[str]) -> None:
    """Histograms of the raw values: `bin_width` u4, one u8 [bins] per name."""
    if not end.adu_histogram:
        return
    histograms = fields.collection(group, "adu_histogram")
    fields.optional(histograms, "bin_width", end.adu_histogram_bin_width, "u4", warnings=warnings)
    names = link_names(end.adu_histogram, "ADU histogram", warnings, reserved=("bin_width",))
    for name, link in names.items():
        fields.array(histograms, link, end.adu_histogram[name], "u8")


def _counts(group: h5py.Group, start: StartMessage, counts: ImageCounts) -> None:
    """XDS reads nimages * ntrigger images; both must be integers, and nimages what the files hold."""
    fields.scalar(group, "nimages", counts.n_images, "i8")
    fields.scalar(group, "ntrigger", 1, "i8")
    if counts.n_written is not None:
        fields.scalar(group, "nimages_written", counts.n_written, "i8")
    fields.scalar(group, "x_pixels_in_detector", start.image_size_x, "u4")
    fields.scalar(group, "y_pixels_in_detector", start.image_size_y, "u4")
    if counts.files_judged is not None:
        fields.array(group, "files_judged", counts.files_judged, "i8")
    _missing_images(group, counts)


def _missing_images(group: h5py.Group, counts: ImageCounts) -> None:
    n_missing = sum(last - first + 1 for first, last in counts.missing)
    if n_missing == 0:
        return
    dataset = group.create_dataset("missing_images", shape=(n_missing,), dtype="<i8")
    at = 0
    for first, last in counts.missing:
        for begin in range(first, last + 1, _BLOCK):
            numbers = np.arange(begin, min(begin + _BLOCK, last + 1), dtype="i8")
            dataset[at : at + len(numbers)] = numbers
            at += len(numbers)


def _end_of_run(group: h5py.Group, end: EndMessage | None, warnings: list[str]) -> None:
    if end is None:
        return
    fields.optional(group, "nimages_collected", end.images_collected, "i8", warnings=warnings)
    fields.optional(
        group, "data_collection_efficiency", end.data_collection_efficiency, "f8", warnings=warnings
    )
    fields.optional(group, "max_receiver_delay", end.max_receiver_delay, "u8", warnings=warnings)


def _acquisition(group: h5py.Group, start: StartMessage, warnings: list[str]) -> None:
    delay_ns = None if start.storage_cell_delay is None else float(start.storage_cell_delay)
    fields.optional(group, "storage_cell_number", start.storage_cell_number, "u4", warnings=warnings)
    fields.optional(group, "storage_cell_delay", delay_ns, "f8", "ns", warnings=warnings)
    fields.scalar(group, "summation_mode", (start.summation or 1) > 1, "u1")
    fields.optional(group, "detect_ice_rings", start.detect_ice_rings, "u1", warnings=warnings)
    fields.optional(
        group,
        "data_reduction_factor_serialmx",
        start.data_reduction_factor_serialmx,
        "f8",
        warnings=warnings,
    )
    if start.gain_file_names:
        fields.text_array(group, "gain_file_names", start.gain_file_names)


def _software(group: h5py.Group, start: StartMessage, software: Software) -> None:
    fields.text(group, "software_git_commit", software.git_commit)
    fields.text(group, "software_git_date", software.git_date)
    fields.text(group, "jfjoch_writer_release", software.release_text)
    if start.jfjoch_release is not None:
        fields.text(group, "jfjoch_release", start.jfjoch_release)
