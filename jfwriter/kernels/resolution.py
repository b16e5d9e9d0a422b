"""Resolution estimate of an image from its spots (docs/reference/quantities/resolution.md)."""

from __future__ import annotations

import math

import numpy as np

from jfwriter.kernels.pixel_classes import Array

QUANTILE = 0.9
MIN_SPOTS = 10


def resolution_estimate_angstrom(d_angstrom: Array, ice_ring: Array) -> float:
    """Resolution to which spots [n] are seen; NaN with fewer than MIN_SPOTS that are not on ice rings.

    As many lattice points touch the Ewald sphere in each interval of 1 / d² as in any other of the same
    width, since the cap of the sphere within 1 / d has the area π / d². Spots up to a limit therefore have
    the QUANTILE of 1 / d² at this fraction of the limit.
    """
    d = d_angstrom[~ice_ring & np.isfinite(d_angstrom) & (d_angstrom > 0)]
    if len(d) < MIN_SPOTS:
        return math.nan
    limit = np.quantile(1 / d.astype(np.float64) ** 2, QUANTILE) / QUANTILE
    return max(1 / math.sqrt(limit), float(d.min()))
