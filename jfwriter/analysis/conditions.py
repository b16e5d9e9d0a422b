"""What a start message says about pixels and where they are, in the form that kernels take."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from jfwriter.analysis.products import Products
from jfwriter.analysis.sent_maps import sent_map
from jfwriter.kernels.geometry import CachedGeometry
from jfwriter.kernels.pixel_classes import Array, Mask, PixelRules, default_error_value, excluded_pixels
from jfwriter.session.plan import RunPlan
from jfwriter.wire.messages import StartMessage

NO_SATURATION = (1 << 63) - 1
WITH_LARGE_PIXELS = ("JUNGFRAU", "EIGER")
"""Detectors whose bare modules have pixels of twice the size between their chips."""


@dataclass(frozen=True)
class Conditions:
    """Of one run. `geometry` is None and `why_no_geometry` says why where the start message tells too little.

    `pixel_mask` uint32 [y, x]. `products` computes what depends on the pixels' places and masks, or has it of
    the run before. Everything is only read after the run was prepared.
    """

    shape: tuple[int, int]
    pixel_mask: Array | None
    has_bare_modules: bool
    excluded: Mask
    error_value: int | None
    saturation_value: int
    geometry: CachedGeometry | None
    why_no_geometry: str
    products: Products

    @functools.cached_property
    def q_recipA(self) -> Array | None:  # noqa: N802 unit
        """float32 [y, x]. Found when it is first asked for: a run without spots, rings and background begins
        some tenths of a second earlier on a large detector."""
        return None if self.geometry is None else self.products.product(_q_map, self.geometry)

    def rules(self, dtype: np.dtype[np.generic]) -> PixelRules:
        """Classes of pixels of this type; without an error value in the start message, that of the type."""
        error_value = default_error_value(dtype) if self.error_value is None else self.error_value
        return PixelRules(self.excluded, error_value, self.saturation_value)

    @property
    def any_rules(self) -> PixelRules:
        """For what looks at masked pixels only: it stays the same where other values are saturated."""
        return PixelRules(self.excluded, 0, NO_SATURATION)


def _q_map(geometry: CachedGeometry) -> Array:
    return geometry.q_map()


def conditions_of(plan: RunPlan, products: Products, warnings: list[str]) -> Conditions:
    """Unpacks the pixel mask: takes some hundredths of a second for a large detector."""
    start = plan.start
    mask: Array | None = None
    for name, payload in tuple(start.pixel_mask.items())[:1]:
        what, dtype = f"pixel_mask {name!a}", np.dtype(np.uint32)
        mask = sent_map(products, payload, what, warnings, shape=plan.shape, dtype=dtype)
    description = (start.detector_description or "").upper()
    geometry = geometry_of(start, plan.shape)
    return Conditions(
        shape=plan.shape,
        pixel_mask=mask,
        has_bare_modules=any(name in description for name in WITH_LARGE_PIXELS),
        excluded=products.product(excluded_pixels, mask, plan.shape),
        error_value=start.error_value,
        saturation_value=NO_SATURATION if start.saturation_value is None else start.saturation_value,
        geometry=None if isinstance(geometry, str) else geometry,
        why_no_geometry=geometry if isinstance(geometry, str) else "",
        products=products,
    )


def geometry_of(start: StartMessage, shape: tuple[int, int]) -> CachedGeometry | str:
    """Where the pixels are, or which fields of the start message are absent or cannot be."""
    needed = {
        "pixel_size_x": start.pixel_size_x,
        "pixel_size_y": start.pixel_size_y,
        "detector_distance": start.detector_distance,
        "incident_wavelength": start.incident_wavelength,
    }
    beam = {"beam_center_x": start.beam_center_x, "beam_center_y": start.beam_center_y}
    bad = [name for name, value in needed.items() if value is None or not value > 0]
    bad += [name for name, value in beam.items() if value is None]
    if bad:
        return f"the start message has no usable {', '.join(bad)}"
    size_x, size_y, distance, wavelength = (float(value or 0) for value in needed.values())
    return CachedGeometry(
        shape=shape,
        pixel_size_x_m=size_x,
        pixel_size_y_m=size_y,
        beam_x_pxl=float(start.beam_center_x or 0),
        beam_y_pxl=float(start.beam_center_y or 0),
        distance_m=distance,
        wavelength_angstrom=wavelength,
        rot1_rad=start.poni_rot1 or 0.0,
        rot2_rad=start.poni_rot2 or 0.0,
        rot3_rad=start.poni_rot3 or 0.0,
    )
