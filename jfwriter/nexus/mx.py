"""`/entry/MX` (NXcollection): results of the whole run; per-image results stand beside them."""

from __future__ import annotations

import h5py
import numpy as np

from jfwriter.nexus import fields
from jfwriter.wire.messages import EndMessage, StartMessage


def run_results(entry: h5py.Group, start: StartMessage, end: EndMessage | None, warnings: list[str]) -> None:
    """Algorithms, lattice of the rotation run (Å, row-major 3 x 3) and means over the run.

    `rotationLatticeIndexed` f4 [9], `rotationLatticeIndexedExtra` f4 [m, 9], `bkgEstimateMean` in photons.
    """
    texts = {
        "indexing_algorithm": start.indexing_algorithm,
        "geom_refinement_algorithm": start.geom_refinement_algorithm,
    }
    told = {name: value for name, value in texts.items() if value is not None}
    if not told and (end is None or _says_nothing(end)):
        return
    group = fields.collection(entry, "MX")
    for name, value in told.items():
        fields.text(group, name, value)
    if end is not None:
        _end_results(group, end, warnings)


def _says_nothing(end: EndMessage) -> bool:
    return (
        end.rotation_lattice is None
        and end.rotation_lattice_extra is None
        and end.rotation_lattice_niggli_class is None
        and end.indexing_rate is None
        and end.bkg_estimate is None
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
    fields.optional(group, "imageIndexedMean", end.indexing_rate, "f4", warnings=warnings)
    fields.optional(group, "bkgEstimateMean", end.bkg_estimate, "f4", "photons", warnings=warnings)
