"""Per-image results in a VDS master: virtual datasets over all data files, and links to groups per image.

Writer thread only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

import h5py

from jfwriter.hdf5.pieces import Pieces, name_of_row
from jfwriter.hdf5.plugin import StoredDataset
from jfwriter.hdf5.virtual_datasets import VirtualDatasets
from jfwriter.nexus import fields
from jfwriter.nexus.groups import Groups
from jfwriter.session.plan import RunPlan

DETECTOR_IN_DATA_FILE = "/entry/detector/"
DETECTOR_IN_MASTER = "/entry/instrument/detector/detectorSpecific/"
PER_IMAGE_GROUPS = ("MX", "azint", "detector", "image", "profiling", "roi", "xfel")
"""Groups that a data file holds, be they empty, when a master that another writer makes may map datasets in
them: HDF5 2 cannot read a virtual dataset one of whose sources lacks the group (a dataset may be lacking)."""

StoredPaths = Mapping[int, Collection[str]]
"""Per data file that this writer closed: the paths of its per-image datasets."""


def map_per_image(
    entry: h5py.Group,
    virtual: VirtualDatasets,
    datasets: Iterable[StoredDataset],
    stored_paths: StoredPaths,
    warnings: list[str],
) -> None:
    """Add every per-image dataset of the data files to `virtual`; `detector` goes to `detectorSpecific`.

    Files that are not in `stored_paths` are other writers': they may hold it.
    """
    groups, mapped = Groups(entry), set[str]()
    for stored in merged(datasets, warnings).values():
        path = stored.path
        if path.startswith(DETECTOR_IN_DATA_FILE):
            path = DETECTOR_IN_MASTER + path.removeprefix(DETECTOR_IN_DATA_FILE)
        parents, _, name = path.removeprefix("/entry/").rpartition("/")
        parent = groups.at(parents)
        if path in mapped or name.encode() in parent.id:
            warnings.append(f"{path}: the name is taken in the master; the per-image values are not mapped")
        else:
            without = {k for k, paths in stored_paths.items() if stored.path not in paths}
            virtual.add(parent, name, stored, without)
            mapped.add(path)


def merged(datasets: Iterable[StoredDataset], warnings: list[str]) -> Mapping[str, StoredDataset]:
    """One dataset per path; the first stays where two differ."""
    chosen: dict[str, StoredDataset] = {}
    for stored in datasets:
        first = chosen.setdefault(stored.path, stored)
        if (first.dtype, first.row_shape) != (stored.dtype, stored.row_shape):
            warnings.append(
                f"{stored.path}: {stored.dtype} {stored.row_shape} in one data file, "
                f"{first.dtype} {first.row_shape} in another; rows of the former cannot be mapped"
            )
    return chosen


def link_image_groups(
    entry: h5py.Group,
    plan: RunPlan,
    groups: Iterable[tuple[int, str]],
    pieces: Pieces = MappingProxyType({}),
    data_directory: str = "",
) -> None:
    """External links to the groups of single images, given as (image_id, path in its data file)."""
    parents = Groups(entry)
    for image_id, path in sorted(groups):
        above, _, name = path.removeprefix("/entry/").rpartition("/")
        file_index, row = plan.place(image_id)
        usual = data_directory + plan.data_file_name(file_index)
        fields.external_link(parents.at(above), name, name_of_row(pieces, file_index, row, usual), path)


def expose_lattice_count(entry: h5py.Group) -> None:
    """Masters show the number of lattices of each image under both of its names."""
    group = entry.get("MX")
    if isinstance(group, h5py.Group) and "indexingLatticeCount" in group:
        fields.hard_link(group, "indexedLatticeCount", group["indexingLatticeCount"])
