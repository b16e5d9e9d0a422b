"""`/entry/MX` (NXcollection): results of the whole run; per-image results stand beside them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import h5py
import numpy as np

from jfwriter.nexus import fields
from jfwriter.wire.messages import EndMessage, StartMessage


def run_results(
    entry: h5py.Group,
    start: StartMessage,
    end: EndMessage | None,
    warnings: list[str],
    figures: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Algorithms, lattice of the rotation run (Å, row-major 3 x 3) and means over the run.

    `rotationLatticeIndexed` f4 [9], `rotationLatticeIndexedExtra` f4 [m, 9], `bkgEstimateMean` in photons.
    Means that the end message does not bring are those of `figures`.
    """
    texts = {
        "indexing_algorithm": start.indexing_algorithm,
        "geom_refinement_algorithm": start.geom_refinement_algorithm,
    }
    told = {name: value for name, value in texts.items() if value is not None}
    means = {
        "imageIndexedMean": _first(end.indexing_rate if end else None, figures.get("indexing_rate")),
        "bkgEstimateMean": _first(end.bkg_estimate if end else None, figures.get("background_estimate")),
    }
    if not told and (end is None or _says_nothing(end)) and set(means.values()) == {None}:
        return
    group = fields.collection(entry, "MX")
    for name, value in told.items():
        fields.text(group, name, value)
    if end is not None:
        _end_results(group, end, warnings)
    fields.optional(group, "imageIndexedMean", means["imageIndexedMean"], "f4", warnings=warnings)
    fields.optional(group, "bkgEstimateMean", means["bkgEstimateMean"], "f4", "photons", warnings=warnings)


def _first(sent: float | None, computed: float | None) -> float | None:
    return computed if sent is None else sent


def _says_nothing(end: EndMessage) -> bool:
    return (
        end.rotation_lattice is None
        and end.rotation_lattice_extra is None
        and end.rotation_lattice_niggli_class is None
    )


def _end_results(group: h5py.Group, end: EndMessage, warnings: list[str]) -> None:
    if end.rotation_lattice is not None:
        lattice = np.reshape(end.rotation_lattice, -1)
        fields.array(group, "rotationLatticeIndexed", lattice, "f4", "Angstrom")
    if end.rotation_lattice_extra is not None:
        extra = np.reshape(end.rotation_lattice_extra, (-1, 9))
        fields.array(group, "rotationLatticeIndexedExtra", extra, "f4", "Angstrom")
    fields.optional(
        group, "rotationLatticeNiggliClass", end.rotation_lattice_niggli_class, "i4", warnings=warnings
    )
