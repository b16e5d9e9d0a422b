"""Spots, their counts, and the resolution estimate that is made of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from jfwriter.analysis.conditions import Conditions
from jfwriter.analysis.quantity import Compute, Fields
from jfwriter.analysis.wishes import SPOTS
from jfwriter.analysis_settings import SpotsSettings
from jfwriter.kernels.edges import CHIP_EDGE, MODULE_EDGE, map_of_edges
from jfwriter.kernels.pixel_classes import Array, Image, Mask, PixelRules
from jfwriter.kernels.spots import PreparedSpots, SpotFinder, SpotSettings, prepare_spots
from jfwriter.wire.messages import Spots, StartMessage


class FoundSpots:
    """Without geometry there are no resolution limits, rings and resolutions; spots are found as well."""

    name = SPOTS

    def __init__(self, settings: SpotsSettings, max_spot_count: int, conditions: Conditions) -> None:
        self._settings = SpotSettings(
            **settings.model_dump(exclude={"mode", "mask_module_edges", "mask_chip_edges"})
        )
        self._edges = _edges(settings, conditions)
        self._max_spot_count = max_spot_count
        self._products = conditions.products
        self._q_recip_angstrom = conditions.q_recipA

    def complete(self, start: StartMessage) -> StartMessage:
        return replace(start, max_spot_count=self._max_spot_count)

    def prepare(self, rules: PixelRules) -> Callable[[], Compute]:
        prepared = self._products.product(
            _prepared, self._settings, rules, self._edges, self._q_recip_angstrom
        )
        return lambda: _finder(prepared, self._max_spot_count)


def _edges(settings: SpotsSettings, conditions: Conditions) -> Mask:
    """1 at the pixels that the settings leave out. uint8 [y, x]"""
    wanted = settings.mask_chip_edges
    has_bare_modules = conditions.has_bare_modules if wanted == "auto" else bool(wanted)
    bits = (MODULE_EDGE if settings.mask_module_edges else 0) | (CHIP_EDGE if wanted else 0)
    return conditions.products.product(
        _chosen_edges, conditions.shape, conditions.pixel_mask, has_bare_modules, bits
    )


def _chosen_edges(
    shape: tuple[int, int], pixel_mask: Array | None, has_bare_modules: bool, bits: int
) -> Mask:
    found = map_of_edges(shape, pixel_mask, has_bare_modules=has_bare_modules)
    return np.asarray((found & bits) != 0, np.uint8)


def _prepared(
    settings: SpotSettings, rules: PixelRules, edges: Mask, q_recip_angstrom: Array | None
) -> PreparedSpots:
    excluded = np.ascontiguousarray(rules.excluded | edges)
    return prepare_spots(settings, replace(rules, excluded=excluded), q_recip_angstrom)


def _finder(prepared: PreparedSpots, max_spot_count: int) -> Compute:
    finder = SpotFinder(prepared, max_spot_count)

    def compute(image: Image) -> Fields:
        found = finder.find(image)
        resolution = found.resolution_estimate_angstrom
        return {
            "spots": Spots(
                x=found.x,
                y=found.y,
                intensity=found.intensity,
                maxc=found.max_count,
                ice_ring=found.ice_ring.astype(np.uint8),
            ),
            "strong_pixel_count": found.n_strong_pixels,
            "spot_count": found.n_unfiltered,
            "spot_count_low_res": found.n_low_res,
            "spot_count_ice_rings": found.n_ice_ring,
            "resolution_estimate": None if math.isnan(resolution) else resolution,
        }

    return compute
