"""`/entry/azint` (NXcollection): bins, pixel map and run mean of the azimuthal integration."""

from __future__ import annotations

import h5py
import numpy as np

from jfwriter.nexus import fields, packed
from jfwriter.nexus.names import link_names
from jfwriter.wire.messages import EndMessage, StartMessage

_BINS = (
    ("bin_to_q", "az_int_bin_to_q", "Angstrom^-1"),
    ("bin_to_two_theta", "az_int_bin_to_two_theta", "deg"),
    ("bin_to_phi", "az_int_bin_to_phi", "deg"),
)

MAX_ANNOUNCED_BINS = 1 << 20
"""More bins than these are only believed where a table of them comes: a profile takes memory per bin."""


def profile_shape(start: StartMessage) -> tuple[int, int] | None:
    """(n_phi, n_q) of a profile, None if the run has no azimuthal integration.

    The number of bins is that of the bin tables, else `az_int_bin_number`, else n_phi * n_q; counts that
    do not multiply to it are not believed, and the profile is one row. Nor are more than 2**20 bins without
    a table: then the images' profiles decide.
    """
    n_phi, n_q = max(0, start.az_int_phi_bin_count or 0), max(0, start.az_int_q_bin_count or 0)
    n_bins = _n_bins(start, n_phi, n_q)
    if n_bins < 1:
        return None
    if n_phi and n_q:
        return (n_phi, n_q) if n_phi * n_q == n_bins else (1, n_bins)
    if n_q and n_bins % n_q == 0:
        return n_bins // n_q, n_q
    if n_phi and n_bins % n_phi == 0:
        return n_phi, n_bins // n_phi
    return 1, n_bins


def bins(entry: h5py.Group, start: StartMessage, warnings: list[str]) -> None:
    """`bin_to_q` (Å⁻¹), `bin_to_two_theta`, `bin_to_phi` (deg) f4 [n_phi, n_q], unless they stand there."""
    shape = profile_shape(start)
    for name, field, units in _BINS:
        values = getattr(start, field)
        if shape is None or values is None:
            continue
        group = fields.collection(entry, "azint")
        if name in group:
            continue
        if values.size != shape[0] * shape[1]:
            warnings.append(
                f"{field}: {values.size} values, expected {shape[0]} x {shape[1]}; it is left out"
            )
            continue
        fields.array(group, name, np.reshape(values, shape), "f4", units)


def pixel_map(entry: h5py.Group, start: StartMessage, shape: tuple[int, int], warnings: list[str]) -> None:
    """`map` u4 [y, x]: bin of each pixel."""
    if start.az_int_map is None:
        return
    group = fields.collection(entry, "azint")
    packed.store(group, "map", start.az_int_map, "az_int_map", warnings, shape=shape, dtype="u4")


def run_means(entry: h5py.Group, start: StartMessage, end: EndMessage | None, warnings: list[str]) -> None:
    """`mean/<name>` f4 [n_phi, n_q]: profiles over the whole run as the sender averaged them."""
    if end is None or not end.az_int_result:
        return
    shape = profile_shape(start)
    mean = fields.collection(fields.collection(entry, "azint"), "mean")
    for name, link in link_names(end.az_int_result, "az_int_result", warnings).items():
        values = end.az_int_result[name]
        wanted = shape or (1, values.size)
        if values.size != wanted[0] * wanted[1]:
            warnings.append(
                f"az_int_result {name!a}: {values.size} values, expected {wanted[0]} x {wanted[1]}; "
                "it is left out"
            )
            continue
        fields.array(mean, link, np.reshape(values, wanted), "f4")


def _n_bins(start: StartMessage, n_phi: int, n_q: int) -> int:
    for values in (start.az_int_bin_to_q, start.az_int_bin_to_two_theta, start.az_int_bin_to_phi):
        if values is not None and values.size:
            return int(values.size)
    announced = start.az_int_bin_number or n_phi * n_q
    return announced if announced <= MAX_ANNOUNCED_BINS else 0
