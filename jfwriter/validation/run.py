"""One run from its master, or from its data files alone: everything is looked at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from jfwriter.compression import filters  # noqa: F401 registers the HDF5 filters
from jfwriter.reader import guard
from jfwriter.reader.contents import DETECTOR_SPECIFIC, IMAGES
from jfwriter.reader.fields import attribute_of, integer_of, short
from jfwriter.reader.nodes import TROUBLE, dataset_at
from jfwriter.validation.accounts import (
    Mask,
    check_accounts,
    check_manifest,
    images_in_files,
    shown_images,
)
from jfwriter.validation.data_file import (
    Expected,
    FileFacts,
    check_file,
    check_images,
    check_row_counts,
)
from jfwriter.validation.findings import Check, Report
from jfwriter.validation.layout import NOT_THERE, Master, place_of, read_master
from jfwriter.validation.nxmx import check_description
from jfwriter.validation.target import MANIFEST_END, Target, file_number

Progress = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Options:
    """`deep`: checksums and unpacking; `also`: further folders that files of the run may lie in."""

    deep: bool = False
    also: tuple[Path, ...] = ()
    progress: Progress = field(default=lambda: None)


def check_run(target: Target, options: Options) -> Report:
    """Look at all of a run. Never raises for what a file holds."""
    report = Report(target.name)
    if target.alone is not None:
        _alone(target.folder / target.alone, options, report)
        return report
    manifest = target.folder / f"{target.prefix}{MANIFEST_END}"
    master = target.master
    if master.exists():
        try:
            with guard.open_file(master) as file:
                report.n_files += 1
                facts = _with_master(file, target, options, report)
                n_images = report.n_images
                if n_images is not None:
                    check_accounts(file, master.name, n_images, facts, report)
                if manifest.exists():
                    check_manifest(manifest, file, n_images, report)
        except TROUBLE as error:
            report.problem(Check.FILE, master.name, f"cannot be read: {short(error)}")
    else:
        report.format = "NXmxOnlyData"
        report.note(Check.FILE, master.name, "there is no master: only the data files are looked at")
        _data_files_alone(target, options, report)
        if manifest.exists():
            check_manifest(manifest, None, None, report)
    _unfinished(target, report)
    return report


def _alone(path: Path, options: Options, report: Report) -> None:
    """A single file that the user named: a data file, or one of any name."""
    try:
        with guard.open_file(path) as file:
            report.n_files += 1
            report.format = read_master(file, path.name, report).format
            first = _first_image(file)
            facts = check_images(
                file, path, Expected(first), report, deep=options.deep, progress=options.progress
            )
            if report.format == "NXmxIntegrated" and facts is not None:
                report.n_images = facts.n_rows
                check_description(file, path.name, facts.n_rows, facts.shape, report)
                check_accounts(file, path.name, facts.n_rows, [facts], report)
            report.n_images = None if facts is None else facts.n_rows
            if report.format == "data file" and facts is not None:
                _note_gaps(facts, report)
    except TROUBLE as error:
        report.problem(Check.FILE, path.name, f"cannot be read: {short(error)}")


def _first_image(file: h5py.File) -> int:
    images = dataset_at(file, IMAGES)
    low = None if images is None else attribute_of(images, "image_nr_low")
    return 0 if low is None or low < 1 else low - 1


def _with_master(file: h5py.File, target: Target, options: Options, report: Report) -> list[FileFacts]:
    name = target.master.name
    layout = read_master(file, name, report)
    report.format = layout.format
    if layout.format in {"unknown", "data file"}:
        text = f"neither images at {IMAGES} nor links to data files in /entry/data: no master of this layout"
        report.problem(
            Check.NXMX, name, text if layout.format == "unknown" else "/entry/definition is missing"
        )
    nimages = integer_of(file, f"{DETECTOR_SPECIFIC}/nimages")
    ntrigger = integer_of(file, f"{DETECTOR_SPECIFIC}/ntrigger")
    if nimages is None or ntrigger is None:
        report.problem(Check.NXMX, name, f"{DETECTOR_SPECIFIC}: nimages or ntrigger is missing")
    promised = None if nimages is None or ntrigger is None else nimages * ntrigger
    if layout.format in {"NXmxIntegrated", "data file"}:
        own = check_images(
            file, target.master, Expected(0, promised), report, deep=options.deep, progress=options.progress
        )
        facts = [] if own is None else [own]
    else:
        in_files = images_in_files(file, layout.n_images if layout.n_images is not None else promised)
        facts = _sources(layout, target, in_files, options, report)
        _per_image_sources(layout, facts, name, report)
    n_images = layout.n_images if layout.n_images is not None else promised
    report.n_images = n_images
    if layout.format in {"NXmxVDS", "NXmxLegacy"} and n_images is not None:
        check_row_counts(file, name, n_images, report)
    _lengths(layout, facts, promised, name, report)
    _alike(facts, report)
    check_description(file, name, n_images, facts[0].shape if facts else None, report)
    return facts


def _sources(
    layout: Master, target: Target, in_files: Mask | None, options: Options, report: Report
) -> list[FileFacts]:
    """Every file that the master names, each once, and those of its prefix that it does not name."""
    facts: list[FileFacts] = []
    folders = (target.folder, *options.also)
    at, rows_per_file = 0, 0
    for source in layout.sources:
        options.progress()
        first = at if source.first_image is None else source.first_image
        found = None
        place = place_of(source.file, folders)
        if source.path != IMAGES:
            text = f"the master takes {source.path} of {source.file}; expected {IMAGES}"
            report.problem(Check.LINK, target.master.name, text)
        if isinstance(place, str):
            rows = slice(first, first + (source.n_rows or rows_per_file))
            if in_files is not None and source.n_rows and not in_files[rows].any() and place == NOT_THERE:
                report.note(Check.LINK, source.file, "not there: the master says that none of its images is")
            else:
                report.problem(Check.LINK, source.file or "?", f"the master needs this file: {place}")
        else:
            expected = Expected(first, source.n_rows)
            found = check_file(place, expected, report, deep=options.deep, progress=options.progress)
        if found is not None:
            facts.append(found)
            rows_per_file = max(rows_per_file, found.n_rows)
        at = first + (found.n_rows if found is not None else source.n_rows or rows_per_file)
    named = {source.file for source in layout.sources}
    for name in target.data_files:
        if name not in named:
            report.problem(Check.LINK, name, f"{target.master.name} does not refer to this file of the run")
    return facts


def _lengths(
    layout: Master, facts: Sequence[FileFacts], promised: int | None, name: str, report: Report
) -> None:
    """The extents add up to `nimages` x `ntrigger`; all files but the last have equally many images."""
    n_in_files = sum(file.n_rows for file in facts)
    total = layout.n_images
    if layout.format == "NXmxLegacy" and len(facts) == len(layout.sources):
        total = n_in_files
    if promised is not None and total is not None and total != promised:
        text = f"nimages x ntrigger is {promised}; there are {total} images"
        report.problem(Check.EXTENT, name, text)
    if layout.format == "NXmxLegacy" and len(facts) == len(layout.sources):
        for file in facts[:-1]:
            if file.n_rows != facts[0].n_rows:
                text = (
                    f"{file.n_rows} images; {facts[0].name} has {facts[0].n_rows}, as all but the last must"
                )
                report.problem(Check.EXTENT, file.name, text)


def _alike(facts: Sequence[FileFacts], report: Report) -> None:
    for file in facts[1:]:
        if (file.shape, file.dtype) != (facts[0].shape, facts[0].dtype):
            text = (
                f"its images are {file.shape} {file.dtype}; those of {facts[0].name} are {facts[0].shape} "
                f"{facts[0].dtype}: is it the file of another run?"
            )
            report.problem(Check.EXTENT, file.name, text)


def _per_image_sources(layout: Master, facts: Sequence[FileFacts], name: str, report: Report) -> None:
    """The other virtual datasets take rows from the same files as the images do."""
    wanted = {(source.file, source.first_image, source.n_rows) for source in layout.sources}
    rows = {file.name: file.n_rows for file in facts}
    for path, sources in layout.others.items():
        for source in sources:
            if (source.file, source.first_image, source.n_rows) not in wanted:
                text = (
                    f"{path} takes images {source.first_image} and on from {source.n_rows} rows of "
                    f"{source.file}; the images are mapped otherwise"
                )
                report.problem(Check.LINK, name, text)
                break
            if source.file in rows and source.n_rows != rows[source.file]:
                text = f"{path} takes {source.n_rows} rows of {source.file}, which has {rows[source.file]}"
                report.problem(Check.LINK, name, text)
                break


def _data_files_alone(target: Target, options: Options, report: Report) -> None:
    facts: list[FileFacts] = []
    at = 0
    previous = 0
    for name in target.data_files:
        number = file_number(name) or 0
        if number != previous + 1:
            text = f"data files {previous + 1} to {number - 1} are not there"
            report.note(Check.FILE, target.prefix, text)
            at += (number - previous - 1) * (facts[0].n_rows if facts else 0)
        previous = number
        path = target.folder / name
        try:
            with guard.open_file(path) as file:
                at = at if facts else _first_image(file)
        except TROUBLE:
            pass  # said below
        found = check_file(path, Expected(at), report, deep=options.deep, progress=options.progress)
        if found is not None:
            facts.append(found)
            at += found.n_rows
            _note_gaps(found, report)
    if facts:
        report.n_images = at
    _alike(facts, report)


def _note_gaps(file: FileFacts, report: Report) -> None:
    """Without a master nobody else says which rows hold no image."""
    if file.written is not None and not file.written.all():
        gaps = np.zeros(file.first_image + file.n_rows, np.bool_)
        gaps[file.first_image :] = ~file.written
        report.note(Check.STATUS, file.name, f"{shown_images(gaps)} missing: rows with fill values")


def _unfinished(target: Target, report: Report) -> None:
    """Files that never got their final name."""
    try:
        names = sorted(entry.name for entry in target.folder.iterdir() if entry.name.endswith(".tmp"))
    except OSError:
        return
    for name in names:
        if name.startswith((f"{target.prefix}_data_", f"{target.prefix}_master.h5.")):
            report.note(Check.FILE, name, "an unfinished file: of a run that goes on, or was cut off")
