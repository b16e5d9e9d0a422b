"""Spots of an image: strong pixels, joined, measured, filtered (docs/reference/quantities/spots.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from jfwriter.kernels.components import HIGHEST, N_PIXELS, Components
from jfwriter.kernels.ice_rings import near_ice_ring
from jfwriter.kernels.pixel_classes import Array, Image, PixelRules
from jfwriter.kernels.resolution import resolution_estimate_angstrom
from jfwriter.kernels.ring_noise import RingNoise
from jfwriter.kernels.rings import Rings, number_rings, with_spans
from jfwriter.kernels.spot_background import frame_means
from jfwriter.kernels.spot_centres import measure
from jfwriter.kernels.strong_pixels import StrongPixels


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotSettings:
    """What a spot is. Names and ranges are those that beamline staff know from Jungfraujoch.

    Counts are those of a pixel, resolutions in Å, widths in q = 2π / d in Å⁻¹; None switches a limit off,
    and so does a resolution limit of 0.
    """

    signal_to_noise_threshold: float = 3.0
    photon_count_threshold: int = 8
    min_pix_per_spot: int = 2
    max_pix_per_spot: int = 50
    high_resolution_limit: float | None = None
    low_resolution_limit: float | None = None
    high_resolution_limit_for_spot_count_low_res: float = 5.0
    ice_ring_width_q_recipA: float = 0.03  # noqa: N815 unit
    high_res_gap_Q_recipA: float | None = 1.5  # noqa: N815 unit
    adaptive_threshold: bool = False
    false_pixels_per_frame: float = 100.0


@dataclass(frozen=True, slots=True)
class FoundSpots:
    """Spots of one image in columns [n], strongest first, and counts.

    `x`, `y` float32 in pixels, whole numbers at pixel centres; `intensity` float32, counts above background;
    `max_count` int64; `n_pixels` int32; `d_angstrom` float32, NaN without geometry; `ice_ring` bool.
    `n_strong_pixels` counts all within the resolution limits. `n_unfiltered` counts the spots before the gap
    rule, `n_low_res` and `n_ice_ring` those after it; all of them before the strongest are chosen.
    """

    x: Array
    y: Array
    intensity: Array
    max_count: Array
    n_pixels: Array
    d_angstrom: Array
    ice_ring: Array
    n_strong_pixels: int
    n_unfiltered: int
    n_low_res: int
    n_ice_ring: int
    resolution_estimate_angstrom: float


@dataclass(frozen=True, slots=True)
class PreparedSpots:
    """What all workers of a run share and only read: made by `prepare_spots`.

    `q_recipA` float32 [y, x], or [0, 0] where it is not known; `thresholds` float64
    [1], used unless they are adaptive.
    """

    settings: SpotSettings
    rules: PixelRules
    q_recipA: Array  # noqa: N815 unit
    rings: Rings
    thresholds: Array


def prepare_spots(settings: SpotSettings, rules: PixelRules, q_recipA: Array | None) -> PreparedSpots:  # noqa: N803
    """Prepare a run. `q_recipA` float32 [y, x] is q at the pixel centres, None where the geometry is unknown.

    Without it there are no resolution limits and no rings, and the resolution of spots is NaN.
    """
    looked_at = rules.excluded == 0
    if q_recipA is not None:
        if settings.high_resolution_limit:
            looked_at &= q_recipA <= 2 * math.pi / settings.high_resolution_limit
        if settings.low_resolution_limit:
            looked_at &= q_recipA >= 2 * math.pi / settings.low_resolution_limit
    rings = number_rings(q_recipA if settings.adaptive_threshold else None, looked_at)
    thresholds = np.array([settings.photon_count_threshold], np.float64)
    q_map = np.empty((0, 0), np.float32) if q_recipA is None else np.ascontiguousarray(q_recipA, np.float32)
    return PreparedSpots(settings, rules, q_map, with_spans(rings, rules.excluded), thresholds)


class SpotFinder:
    """Finds the spots of one image after another. One worker's: its buffers are used again."""

    def __init__(self, prepared: PreparedSpots, max_spot_count: int) -> None:
        self._prepared = prepared
        self._max_spot_count = max_spot_count
        self._strong = StrongPixels(prepared.rules.excluded)
        self._components = Components(self._strong.capacity)
        self._backgrounds = np.empty(self._strong.capacity, np.float64)
        self._noise = RingNoise(prepared.rings.number) if prepared.settings.adaptive_threshold else None

    def find(self, image: Image) -> FoundSpots:
        """The spots of `image` [y, x]: int8 to uint32 or float32, C-contiguous, in the machine's byte order.

        Where more than 1/32 of the pixels are strong, it is no diffraction pattern of spots: there are none.
        """
        prepared, settings, strong = self._prepared, self._prepared.settings, self._strong
        rules = prepared.rules
        thresholds = prepared.thresholds
        if self._noise is not None:
            thresholds = self._noise.thresholds(image, rules, settings.false_pixels_per_frame)
        strong.find(image, rules, prepared.rings, thresholds, settings.signal_to_noise_threshold)
        values = strong.values(image, rules.saturation_value)
        table = self._components.find(strong, values, settings.min_pix_per_spot, settings.max_pix_per_spot)
        background = frame_means(image, rules, strong.taken, table, self._backgrounds)
        return self._report(table, background)

    def _report(self, table: Array, background: Array) -> FoundSpots:
        prepared, settings = self._prepared, self._prepared.settings
        measured = measure(table, background, prepared.q_recipA)
        q = measured.q_recipA
        kept = np.flatnonzero(~(q > last_before_gap(q, settings.high_res_gap_Q_recipA)))
        with np.errstate(divide="ignore"):
            d = 2 * math.pi / q[kept]
        ice_ring = near_ice_ring(q[kept], settings.ice_ring_width_q_recipA)
        order = np.argsort(-measured.intensity[kept], kind="stable")[: self._max_spot_count]
        stored = kept[order]
        return FoundSpots(
            x=measured.x[stored].astype(np.float32),
            y=measured.y[stored].astype(np.float32),
            intensity=measured.intensity[stored].astype(np.float32),
            max_count=table[stored, HIGHEST].astype(np.int64),
            n_pixels=table[stored, N_PIXELS].astype(np.int32),
            d_angstrom=d[order].astype(np.float32),
            ice_ring=ice_ring[order],
            n_strong_pixels=self._strong.n,
            n_unfiltered=len(table),
            n_low_res=int((d >= settings.high_resolution_limit_for_spot_count_low_res).sum()),
            n_ice_ring=int(ice_ring.sum()),
            resolution_estimate_angstrom=resolution_estimate_angstrom(d, ice_ring),
        )


def last_before_gap(q_recipA: Array, gap_recipA: float | None) -> float:  # noqa: N803 unit
    """q of the last spot before the first gap of that size, looking outwards; infinite without a gap."""
    if gap_recipA is None or not len(q_recipA):
        return math.inf
    ascending = np.sort(q_recipA)
    gaps = np.flatnonzero(np.diff(ascending) >= gap_recipA)
    return float(ascending[gaps[0]]) if len(gaps) else math.inf
