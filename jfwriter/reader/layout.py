"""Which files a master refers to, and which images each of them holds."""

from __future__ import annotations

from dataclasses import dataclass

import h5py

from jfwriter.reader.contents import DETECTOR_SPECIFIC, IMAGES
from jfwriter.reader.fields import integer_of, short
from jfwriter.reader.nodes import TROUBLE, dataset_at, find

MAX_FILES = 100_000


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A data file of the run. `first_image`, `n_images` are what the master maps; None: it does not say."""

    name: str
    first_image: int | None = None
    n_images: int | None = None


@dataclass(frozen=True, slots=True)
class RunLayout:
    """`format` is NXmxLegacy, NXmxVDS, NXmxIntegrated, data file or unknown; `n_images` the run's extent."""

    format: str
    n_images: int | None
    sources: tuple[SourceFile, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def in_one_file(self) -> bool:
        return self.format in {"NXmxIntegrated", "data file"}


def read_layout(file: h5py.File) -> RunLayout:
    """Tell the layout of an open master or data file."""
    is_master = dataset_at(file, "/entry/definition") is not None
    images = dataset_at(file, IMAGES)
    if images is not None and images.ndim == 3:
        n_images = int(images.shape[0])
        if images.is_virtual:
            return _virtual(images, n_images)
        return RunLayout("NXmxIntegrated" if is_master else "data file", n_images)
    if not is_master:
        return RunLayout("unknown", None, problems=(f"neither images at {IMAGES} nor /entry/definition",))
    return _linked(file)


def _virtual(images: h5py.Dataset, n_images: int) -> RunLayout:
    sources, problems = [], []
    try:
        for mapping in images.virtual_sources()[:MAX_FILES]:
            first, last = (int(bounds[0]) for bounds in mapping.vspace.get_select_bounds())
            name = mapping.file_name.replace("%%", "%")
            sources.append(SourceFile(name, first, last - first + 1))
    except TROUBLE as error:
        problems.append(f"the virtual data set cannot be read: {short(error)}")
    sources.sort(key=lambda source: source.first_image or 0)
    return RunLayout("NXmxVDS", n_images, tuple(sources), tuple(problems))


def _linked(file: h5py.File) -> RunLayout:
    n_images = integer_of(file, f"{DETECTOR_SPECIFIC}/nimages")
    n_triggers = integer_of(file, f"{DETECTOR_SPECIFIC}/ntrigger")
    if n_images is not None and n_triggers is not None:
        n_images *= n_triggers
    group = find(file, "/entry/data")
    if not isinstance(group, h5py.Group):
        return RunLayout("unknown", n_images, problems=("no group /entry/data",))
    sources, problems = [], []
    try:
        names = sorted(name for name in group if name.startswith("data_"))[:MAX_FILES]
        for name in names:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                sources.append(SourceFile(link.filename))
            else:
                problems.append(f"/entry/data/{name} is no link to a data file")
    except TROUBLE as error:
        problems.append(f"/entry/data cannot be read: {short(error)}")
    if not sources and n_images != 0:
        problems.append("/entry/data links to no data file")
    return RunLayout("NXmxLegacy", n_images, tuple(sources), tuple(problems))
