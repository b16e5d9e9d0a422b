"""What people watch of a run: averages over its last images, and over all of them.

From the fields of messages, whether they were sent or computed here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from jfwriter.wire.messages import ImageMessage
from jfwriter.wire.plain_fields import PLACES, SUMS
from jfwriter.wire.plain_image import PlainImage, region_cells

WINDOW_IMAGES = 1000
"""Images of a moving average, as Jungfraujoch's."""

BEAM = "beam"
"""The region of interest whose averages are shown."""

FIGURES = (
    "spots", "hit_rate", "indexing_rate", "background_estimate", "saturated_pixels", "error_pixels",
    "roi_beam_pixels", "roi_beam_sum",
)  # fmt: skip
"""Means per image; the rates are shares of images."""

NAN = float("nan")

_CELLS = [
    PLACES[name].place
    for name in (
        "spot_count", "indexing_result", "bkg_estimate", "saturated_pixel_count", "error_pixel_count"
    )
]  # fmt: skip
_BACKGROUND = PLACES["bkg_estimate"].place
_PIXELS, _SUM = SUMS.index("pixels"), SUMS.index("sum")


class RunFigures:
    """Filled by one thread; `recent` may be read by any other at any time."""

    def __init__(self, min_spots_for_hit: int) -> None:
        self.n_images = 0
        self._min_spots = min_spots_for_hit
        self._rows = np.full((WINDOW_IMAGES, len(FIGURES)), np.nan)
        self._sums = np.zeros(len(FIGURES))
        self._counts = np.zeros(len(FIGURES), np.int64)

    def add(self, image: ImageMessage) -> None:
        """Count an image that was written."""
        row = self.n_images % WINDOW_IMAGES
        if row == 0 and self.n_images:
            self._add_up(self._rows)
        if isinstance(image, PlainImage):
            self._rows[row] = self._plain(image)
            self.n_images += 1
            return
        spots = image.spot_count
        if spots is None and image.spots is not None:
            spots = len(image.spots.x)
        beam = image.roi_integrals.get(BEAM) if image.roi_integrals else None
        self._rows[row] = (
            NAN if spots is None else spots,
            NAN if spots is None else spots >= self._min_spots,
            NAN if image.indexing_result is None else image.indexing_result,
            NAN if image.bkg_estimate is None else image.bkg_estimate,
            NAN if image.saturated_pixel_count is None else image.saturated_pixel_count,
            NAN if image.error_pixel_count is None else image.error_pixel_count,
            NAN if beam is None else beam.pixels,
            NAN if beam is None else beam.sum,
        )
        self.n_images += 1

    def _plain(self, image: PlainImage) -> tuple[float, ...]:
        """The figures of one image, from its cells: eight properties would take ten times as long."""
        (spots, indexed, _, saturated, errors), states = image.cells[:, _CELLS].tolist()
        has_spots, has_indexed, has_background, has_saturated, has_errors = states
        if not has_spots and image.spot_table is not None:
            spots, has_spots = image.spot_table.n_rows, True
        beam = _beam(image)
        return (
            spots if has_spots else NAN,
            spots >= self._min_spots if has_spots else NAN,
            indexed if has_indexed else NAN,
            float(image.cells[0].view(np.float64)[_BACKGROUND]) if has_background else NAN,
            saturated if has_saturated else NAN,
            errors if has_errors else NAN,
            *beam,
        )

    def recent(self) -> dict[str, float | None]:
        """Means over the last images that told the figure; None where none did."""
        rows = self._rows[: min(self.n_images, WINDOW_IMAGES)].copy()
        told = ~np.isnan(rows)
        sums, counts = np.where(told, rows, 0.0).sum(axis=0), told.sum(axis=0)
        return {name: float(sums[i] / counts[i]) if counts[i] else None for i, name in enumerate(FIGURES)}

    def of_the_run(self) -> Mapping[str, float]:
        """Means over all images, of the figures that some image told. The filling thread, after the last."""
        rest = self.n_images % WINDOW_IMAGES or min(self.n_images, WINDOW_IMAGES)
        sums, counts = self._sums + _sum(self._rows[:rest]), self._counts + _count(self._rows[:rest])
        return {name: float(sums[i] / counts[i]) for i, name in enumerate(FIGURES) if counts[i]}

    def _add_up(self, rows: npt.NDArray[np.float64]) -> None:
        self._sums += _sum(rows)
        self._counts += _count(rows)


def _beam(image: PlainImage) -> tuple[float, float]:
    """(pixels, sum) of the region of that name."""
    names = image.constants.regions
    if BEAM not in names:
        return NAN, NAN
    values, states = region_cells(image.cells, len(names))[:, names.index(BEAM)]
    return (float(values[_PIXELS]), float(values[_SUM])) if states[_SUM] else (NAN, NAN)


def _sum(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.where(np.isnan(rows), 0.0, rows).sum(axis=0))


def _count(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    return np.asarray((~np.isnan(rows)).sum(axis=0))
