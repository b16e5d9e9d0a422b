"""Sums over regions of interest: those of the start message, else those of the settings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from jfwriter.analysis.conditions import Conditions
from jfwriter.analysis.quantity import Compute, Fields, Unavailable
from jfwriter.analysis.raw import raw_payload
from jfwriter.analysis.sent_maps import sent_map
from jfwriter.analysis.wishes import ROI
from jfwriter.analysis_settings import BoxRoi, CircleRoi, RoiDefinition
from jfwriter.kernels.pixel_classes import Array, Image, PixelRules
from jfwriter.kernels.roi import MAX_ROIS, Azimuthal, Box, Circle, Region, RoiIntegrals, RoiSums, make_roi_map
from jfwriter.wire.messages import Roi, RoiAzimuthal, RoiBox, RoiCircle, RoiIntegral, StartMessage


class RegionsOfInterest:
    """`definitions` count where the start message names no region. Its own map, if it sent one, decides
    which pixels belong to its regions."""

    name = ROI

    def __init__(
        self,
        start: StartMessage,
        definitions: tuple[RoiDefinition, ...],
        conditions: Conditions,
        warnings: list[str],
    ) -> None:
        self._rois = (start.rois or tuple(_as_sent(definition) for definition in definitions))[:MAX_ROIS]
        sent = start.roi_map if start.rois else None
        self._map: Array | None = None
        self._products = conditions.products
        if sent is not None:
            dtype = np.dtype(np.uint16)
            self._map = sent_map(
                self._products, sent, "roi_map", warnings, shape=conditions.shape, dtype=dtype
            )
        self._has_own_map = self._map is None
        if self._map is None:
            if conditions.geometry is None and any(isinstance(roi, RoiAzimuthal) for roi in self._rois):
                raise Unavailable(f"azimuthal regions need the geometry: {conditions.why_no_geometry}")
            regions = tuple(_region(roi) for roi in self._rois)
            self._map = _map_of(conditions, regions)

    def complete(self, start: StartMessage) -> StartMessage:
        if not self._has_own_map or self._map is None:
            return start
        return replace(start, rois=self._rois, roi_map=raw_payload(self._map))

    def prepare(self, rules: PixelRules) -> Callable[[], Compute]:
        assert self._map is not None  # noqa: S101 made with the object
        sums = self._products.product(RoiSums, rules, self._map, len(self._rois))
        names = [roi.name for roi in self._rois]

        def compute(image: Image) -> Fields:
            found = sums.integrate(image)
            return {"roi_integrals": {name: _integral(found, i) for i, name in enumerate(names)}}

        return lambda: compute


def _integral(found: RoiIntegrals, i: int) -> RoiIntegral:
    n_pixels, x, y = int(found.n_pixels[i]), float(found.x[i]), float(found.y[i])
    return RoiIntegral(
        sum=int(found.sum[i]),
        sum_square=int(found.sum_square[i]),
        max=int(found.max[i]) if n_pixels else None,
        pixels=n_pixels,
        x=None if math.isnan(x) else x,
        y=None if math.isnan(y) else y,
    )


def _map_of(conditions: Conditions, regions: tuple[Region, ...]) -> Array:
    rings = any(isinstance(region, Azimuthal) for region in regions)
    # Boxes and circles stay where they are when the detector is moved.
    geometry = conditions.geometry if rings else None
    return conditions.products.product(make_roi_map, regions, geometry, conditions.shape)


def _region(roi: Roi) -> Region:
    match roi:
        case RoiBox():
            return Box(roi.min_x_pxl, roi.max_x_pxl, roi.min_y_pxl, roi.max_y_pxl)
        case RoiCircle():
            return Circle(roi.center_x_pxl, roi.center_y_pxl, roi.radius_pxl)
        case RoiAzimuthal():
            return Azimuthal(roi.q_min_recipA, roi.q_max_recipA, roi.phi_min_deg, roi.phi_max_deg)


def _as_sent(definition: RoiDefinition) -> Roi:
    values = definition.model_dump(exclude={"type"})
    if isinstance(definition, BoxRoi):
        return RoiBox(**values)
    return RoiCircle(**values) if isinstance(definition, CircleRoi) else RoiAzimuthal(**values)
