"""Settings of the analysis of images. Names and ranges of the parameters are Jungfraujoch's."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field

from jfwriter.settings_section import Section

Mode = Literal["auto", "always", "never"]
Pixel = Annotated[int, Field(ge=0, le=2**31 - 1)]
Momentum = Annotated[float, Field(ge=1e-5, allow_inf_nan=False)]
Resolution = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Angle = Annotated[float, Field(ge=-360, le=360)]
Name = Annotated[str, Field(min_length=1, max_length=128)]

MAX_ROIS = 16
"""Bits of `roi_map`."""
MAX_ROIS_OF_A_TYPE = 12


class _WithMode(Section):
    """A quantity with parameters. `azint = "auto"` in [analysis] is short for `mode` in a table of its own:
    TOML does not allow both."""

    mode: Mode = "never"
    """When it is computed: `auto` for images that bring none, `always`, `never`. Short, where the defaults
    of the others will do: `NAME = "auto"` in [analysis]."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _mode_alone(cls, value: object) -> object:
        return {"mode": value} if isinstance(value, str) else value


class AzintSettings(_WithMode):
    """Azimuthal integration: mean, standard deviation and number of pixels per bin in q and φ."""

    low_q_recipA: Annotated[float, Field(ge=1e-5, le=10)] = 0.1  # noqa: N815 unit
    """Lower edge of the first bin, q = 4π sin(θ) / λ in Å⁻¹."""
    high_q_recipA: Annotated[float, Field(ge=2e-5, le=10)] | None = None  # noqa: N815 unit
    """Upper end in Å⁻¹; not set: the highest q that the detector reaches."""
    q_spacing: Annotated[float, Field(ge=1e-5, le=10)] = 0.01
    """Width of a bin in Å⁻¹."""
    azimuthal_bins: Annotated[int, Field(ge=1, le=512)] = 1
    """Bins in φ; 1 is a plain radial profile."""
    polarization_corr: bool = True
    """Divide by the polarization factor of each pixel."""
    polarization_factor: Annotated[float, Field(ge=-1, le=1)] = 0.99
    """Degree of polarization of the beam: 1 horizontal, -1 vertical, 0 none."""
    solid_angle_corr: bool = True
    """Divide by the solid angle of each pixel, relative to the one at normal incidence."""

    @pydantic.model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.high_q_recipA is not None and self.high_q_recipA <= self.low_q_recipA:
            raise ValueError(f"expected high_q_recipA above low_q_recipA ({self.low_q_recipA:g})")
        return self


class SpotsSettings(_WithMode):
    """Spot finding: strong pixels that touch, and what is a spot among them."""

    signal_to_noise_threshold: Annotated[float, Field(ge=0, le=1e6)] = 3.0
    """A strong pixel stands out of the mean of its window by so many standard deviations."""
    photon_count_threshold: Annotated[int, Field(ge=0, le=2**31 - 1)] = 8
    """Least value of a strong pixel."""
    min_pix_per_spot: Annotated[int, Field(ge=1, le=2**31 - 1)] = 2
    """Least number of strong pixels of a spot."""
    max_pix_per_spot: Annotated[int, Field(ge=1, le=2**31 - 1)] = 50
    """Highest number of strong pixels of a spot."""
    high_resolution_limit: Resolution | None = None
    """No spots beyond this resolution in Å; not set or 0: no limit."""
    low_resolution_limit: Resolution | None = None
    """No spots below this resolution in Å; not set or 0: no limit."""
    high_resolution_limit_for_spot_count_low_res: Annotated[float, Field(ge=2, le=8)] = 5.0
    """Spots up to this resolution in Å are counted in `peakCountLowRes`."""
    ice_ring_width_q_recipA: Annotated[float, Field(ge=0, le=1)] = 0.03  # noqa: N815 unit
    """Half-width of the ice rings in q, Å⁻¹; spots on them are marked and counted."""
    high_res_gap_Q_recipA: Annotated[float, Field(ge=0.1, le=5)] | None = 1.5  # noqa: N815 unit
    """Spots beyond a gap of this size in q (Å⁻¹) are dropped; Jungfraujoch's default."""
    adaptive_threshold: bool = False
    """Find the count threshold of each ring from the noise of each image."""
    false_pixels_per_frame: Annotated[float, Field(ge=1, le=100_000)] = 100.0
    """With the adaptive threshold: pixels per image that noise alone may make strong."""
    mask_module_edges: bool = True
    """Pixels that touch a gap (bit 0 of the pixel mask) take no part in spot finding."""
    mask_chip_edges: bool | Literal["auto"] = "auto"
    """Pixels of twice the size between the chips of bare JUNGFRAU and EIGER modules (images of 1024 columns
    and 512 rows for each module), and interpolated pixels (bit 31 of the mask), take no part in spot
    finding. `auto`: the first only where the detector's description says JUNGFRAU or EIGER; `true`: in all
    images of that shape."""

    @pydantic.model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_pix_per_spot < self.min_pix_per_spot:
            raise ValueError(
                f"expected max_pix_per_spot of at least min_pix_per_spot ({self.min_pix_per_spot})"
            )
        high, low = self.high_resolution_limit, self.low_resolution_limit
        if high and low and low <= high:
            raise ValueError(f"expected low_resolution_limit above high_resolution_limit ({high:g})")
        return self


class BoxRoi(Section):
    """A rectangle; both bounds belong to it."""

    type: Literal["box"]
    """Kind of region."""
    name: Name
    """Name of the region in the files; the averages of the one called "beam" are in /status."""
    min_x_pxl: Pixel
    """First column."""
    max_x_pxl: Pixel
    """Last column."""
    min_y_pxl: Pixel
    """First row."""
    max_y_pxl: Pixel
    """Last row."""

    @pydantic.model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_x_pxl < self.min_x_pxl or self.max_y_pxl < self.min_y_pxl:
            raise ValueError("expected max_x_pxl and max_y_pxl not below min_x_pxl and min_y_pxl")
        return self


class CircleRoi(Section):
    """Pixels whose centres lie in a circle; the centre of pixel i lies at i + 0.5."""

    type: Literal["circle"]
    """Kind of region."""
    name: Name
    """Name of the region in the files."""
    center_x_pxl: Annotated[float, Field(ge=-1e6, le=1e6)]
    """Centre, from the outer corner of the first pixel."""
    center_y_pxl: Annotated[float, Field(ge=-1e6, le=1e6)]
    """Centre, from the outer corner of the first pixel."""
    radius_pxl: Annotated[float, Field(gt=0, le=1e6)]
    """Radius."""


class AzimRoi(Section):
    """A ring in q, or a sector of it."""

    type: Literal["azim"]
    """Kind of region."""
    name: Name
    """Name of the region in the files."""
    q_min_recipA: Momentum  # noqa: N815 unit
    """Inner radius in Å⁻¹."""
    q_max_recipA: Momentum  # noqa: N815 unit
    """Outer radius in Å⁻¹."""
    phi_min_deg: Angle | None = None
    """First angle in deg; both angles or none. From pyFAI's χ = 0 along +x towards +y."""
    phi_max_deg: Angle | None = None
    """Last angle in deg; below the first one: the sector goes across 0."""

    @pydantic.model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.q_max_recipA <= self.q_min_recipA:
            raise ValueError(f"expected q_max_recipA above q_min_recipA ({self.q_min_recipA:g})")
        if (self.phi_min_deg is None) != (self.phi_max_deg is None):
            raise ValueError("expected both of phi_min_deg and phi_max_deg, or none")
        return self


RoiDefinition = Annotated[BoxRoi | CircleRoi | AzimRoi, Field(discriminator="type")]


class AnalysisSettings(Section):
    """What is computed from pixels where the sender brings it not (`auto`), or in any case (`always`)."""

    image_statistics: Mode = "auto"
    """Smallest and largest valid pixel, sum, saturated and error pixels. `auto`: what the message lacks, if
    the pixels are unpacked anyway."""
    roi: Mode = "auto"
    """Sums over the regions of interest; `auto`: for images that bring none."""
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Threads that analyse. Memory for each: one unpacked image and about 4 bytes per pixel."""
    backlog_images: Annotated[int, Field(ge=1, le=1_000_000)] = 4
    """Images per thread that may wait for their analysis. Those that come when so many wait, or while a
    sixteenth of memory.byte_budget_bytes waits for the writer, are written without, and counted. For a
    replay, which must be analysed to the last image, set it high: then the writer waits for the analysis."""
    min_spots_for_hit: Annotated[int, Field(ge=1, le=10_000)] = 10
    """An image with at least so many spots is a hit (hit rate in /status and in the master)."""
    azint: AzintSettings = AzintSettings()
    spots: SpotsSettings = SpotsSettings()
    roi_definitions: tuple[RoiDefinition, ...] = ()
    """Regions of runs whose start message names none; at most 16, and 12 of a type."""

    @pydantic.field_validator("roi_definitions")
    @classmethod
    def _few_with_own_names(cls, rois: tuple[RoiDefinition, ...]) -> tuple[RoiDefinition, ...]:
        if len(rois) > MAX_ROIS:
            raise ValueError(f"expected at most {MAX_ROIS} regions")
        if any(count > MAX_ROIS_OF_A_TYPE for count in Counter(roi.type for roi in rois).values()):
            raise ValueError(f"expected at most {MAX_ROIS_OF_A_TYPE} regions of one type")
        if len({roi.name for roi in rois}) < len(rois):
            raise ValueError("expected names of their own")
        return rois
