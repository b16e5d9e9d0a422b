"""Which file of the run holds which images, as the master says it.

Names are taken as text. A file is looked for beside the master (or in a folder that the user named), and a
name that leads elsewhere is a problem, not a path.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py

from jfwriter.reader.contents import IMAGES
from jfwriter.reader.fields import short
from jfwriter.reader.nodes import TROUBLE, dataset_at, find
from jfwriter.validation.findings import Check, Report

MAX_SOURCES = 100_000
NOT_THERE = "it is not there"
LEADS_OUT = "it is a symbolic link that leads out of the run's folder; name that with --also"

_LINK = re.compile(r"data_(\d{6,9})")


@dataclass(frozen=True, slots=True)
class Source:
    """Rows [0, n_rows) of `path` in a file are images `first_image` and on; `n_rows` None: not said."""

    file: str
    path: str
    first_image: int | None = None
    n_rows: int | None = None


@dataclass(slots=True)
class Master:
    """What a master says of where the images are."""

    format: str
    n_images: int | None = None
    sources: list[Source] = field(default_factory=list)
    others: dict[str, list[Source]] = field(default_factory=dict)
    """Of the other virtual datasets, by their path in the master."""


def read_master(file: h5py.File, name: str, report: Report) -> Master:
    """The layout of an open master or data file; what is wrong with its links is reported."""
    images = dataset_at(file, IMAGES)
    is_master = dataset_at(file, "/entry/definition") is not None
    if images is not None and images.ndim == 3:
        n_images = int(images.shape[0])
        if not images.is_virtual:
            return Master("NXmxIntegrated" if is_master else "data file", n_images)
        sources = _mapped(images, IMAGES, name, report)
        others = {
            path: _mapped(dataset, path, name, report)
            for path, dataset in virtual_datasets(file)
            if path != IMAGES
        }
        return Master("NXmxVDS", n_images, sources, others)
    group = find(file, "/entry/data")
    if is_master and isinstance(group, h5py.Group):
        return Master("NXmxLegacy", None, _linked(group, name, report))
    return Master("unknown")


def virtual_datasets(file: h5py.File) -> list[tuple[str, h5py.Dataset]]:
    """(path, dataset) of all virtual datasets that are reached by hard links, each once."""
    found: list[tuple[str, h5py.Dataset]] = []
    for path, dataset in datasets_below(file):
        try:
            if dataset.is_virtual:
                found.append((path, dataset))
        except TROUBLE:
            continue
    return found


def datasets_below(file: h5py.Group, limit: int = 100_000) -> list[tuple[str, h5py.Dataset]]:
    """(path, dataset) of what hard links lead to, each object once; groups that hold each other end there."""
    found: list[tuple[str, h5py.Dataset]] = []
    seen: set[object] = set()
    todo: list[tuple[str, h5py.Group]] = [("", file)]
    while todo and len(found) < limit and len(seen) < limit:
        prefix, group = todo.pop()
        try:
            names = list(group)
        except TROUBLE:
            continue
        for name in names:
            try:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    continue
                item = group[name]
                address = h5py.h5o.get_info(item.id).addr
            except TROUBLE:
                continue
            if address in seen:
                continue
            seen.add(address)
            if isinstance(item, h5py.Group):
                todo.append((f"{prefix}/{name}", item))
            elif isinstance(item, h5py.Dataset):
                found.append((f"{prefix}/{name}", item))
    return found


def place_of(file: str, folders: Sequence[Path]) -> Path | str:
    """Where a file of the run is; a text says why it is not opened.

    `folders`: that of the master, and others that may be named by their absolute path.
    """
    if file.startswith("/") and Path(file).parent in folders[1:]:
        file = Path(file).name
    if not file or file in {".", ".."} or file != Path(file).name:
        return "it is named with a directory; files outside the run's folder are not opened"
    for folder in folders:
        path = folder / file
        try:
            if not path.exists():
                continue
            is_inside = path.resolve().parent in {other.resolve() for other in folders}
        except (OSError, ValueError) as error:
            return f"it cannot be looked at: {error}"
        return path if is_inside else LEADS_OUT
    return NOT_THERE


def _mapped(dataset: h5py.Dataset, path: str, name: str, report: Report) -> list[Source]:
    """Sources of a virtual dataset, in the order of their images."""
    sources: list[Source] = []
    try:
        creation = dataset.id.get_create_plist()
        n_sources = min(creation.get_virtual_count(), MAX_SOURCES)
        for number in range(n_sources):
            low, high = creation.get_virtual_vspace(number).get_select_bounds()
            sources.append(
                Source(
                    creation.get_virtual_filename(number).replace("%%", "%"),
                    creation.get_virtual_dsetname(number).replace("%%", "%"),
                    int(low[0]),
                    int(high[0]) - int(low[0]) + 1,
                )
            )
    except TROUBLE as error:
        report.problem(Check.LINK, name, f"{path}: its sources cannot be read: {short(error)}")
    sources.sort(key=lambda source: source.first_image or 0)
    if path == IMAGES:
        _check_cover(sources, int(dataset.shape[0]), name, report)
    return sources


def _check_cover(sources: list[Source], n_images: int, name: str, report: Report) -> None:
    """The sources of the images follow each other from the first image to the last."""
    at = 0
    for source in sources:
        first, n_rows = source.first_image or 0, source.n_rows or 0
        if first > at:
            report.problem(Check.LINK, name, f"images {at} to {first - 1} are mapped from no file")
        elif first < at:
            text = f"images {first} to {at - 1} are mapped twice, last from {source.file}"
            report.problem(Check.LINK, name, text)
        at = max(at, first + n_rows)
    if at != n_images:
        text = f"its virtual dataset has {n_images} images, its sources reach to {at}"
        report.problem(Check.LINK, name, text)


def _linked(group: h5py.Group, name: str, report: Report) -> list[Source]:
    sources: list[Source] = []
    try:
        names = sorted(group, key=lambda link: (len(link), link))[:MAX_SOURCES]
        for position, link_name in enumerate(names, start=1):
            link = group.get(link_name, getlink=True)
            number = _LINK.fullmatch(link_name)
            if not isinstance(link, h5py.ExternalLink):
                report.problem(Check.LINK, name, f"/entry/data/{link_name} is no link to a data file")
                continue
            if number is None or int(number[1]) != position:
                text = f"/entry/data/{link_name} is link number {position}; expected data_{position:06d}"
                report.problem(Check.LINK, name, text)
            if link.path != IMAGES:
                text = f"/entry/data/{link_name} leads to {link.path}; expected {IMAGES}"
                report.problem(Check.LINK, name, text)
            sources.append(Source(link.filename, link.path))
    except TROUBLE as error:
        report.problem(Check.LINK, name, f"/entry/data cannot be read: {short(error)}")
    return sources
