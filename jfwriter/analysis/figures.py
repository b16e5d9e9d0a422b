"""What people watch of a run: averages over its last images, and over all of them.

From the fields of messages, whether they were sent or computed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from jfwriter.wire.cells import stacked
from jfwriter.wire.messages import ImageMessage
from jfwriter.wire.plain_fields import FIRST_REGION_CELL, PLACES, SUMS
from jfwriter.wire.plain_image import PlainImage

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
_BACKGROUND, _BACKGROUND_CELL = 2, PLACES["bkg_estimate"].place
_PIXELS, _SUM = SUMS.index("pixels"), SUMS.index("sum")


class RunFigures:
    """Filled by one thread; `recent` may be read by any other at any time."""

    def __init__(self, min_spots_for_hit: int) -> None:
        self.n_images = 0
        self._min_spots = min_spots_for_hit
        self._rows = np.full((WINDOW_IMAGES, len(FIGURES)), np.nan)
        self._sums = np.zeros(len(FIGURES))
        self._counts = np.zeros(len(FIGURES), np.int64)

    def add(self, images: Sequence[ImageMessage]) -> None:
        """Count images that were written."""
        start = 0
        while start < len(images):
            plain = _plain_ones(images, start)
            rows = self._of_plain(plain) if plain else np.array([self._of(images[start])], np.float64)
            self._put(rows)
            start += len(rows)

    def _put(self, rows: npt.NDArray[np.float64]) -> None:
        """Figures of images, [n, len(FIGURES)]; the window is added up whenever it is full."""
        while len(rows):
            row = self.n_images % WINDOW_IMAGES
            if row == 0 and self.n_images:
                self._add_up(self._rows)
            part, rows = np.split(rows, [WINDOW_IMAGES - row])
            self._rows[row : row + len(part)] = part
            self.n_images += len(part)

    def _of(self, image: ImageMessage) -> tuple[float, ...]:
        spots = image.spot_count
        if spots is None and image.spots is not None:
            spots = len(image.spots.x)
        beam = image.roi_integrals.get(BEAM) if image.roi_integrals else None
        return (
            NAN if spots is None else spots,
            NAN if spots is None else spots >= self._min_spots,
            NAN if image.indexing_result is None else image.indexing_result,
            NAN if image.bkg_estimate is None else image.bkg_estimate,
            NAN if image.saturated_pixel_count is None else image.saturated_pixel_count,
            NAN if image.error_pixel_count is None else image.error_pixel_count,
            NAN if beam is None else beam.pixels,
            NAN if beam is None else beam.sum,
        )

    def _of_plain(self, images: Sequence[PlainImage]) -> npt.NDArray[np.float64]:
        """The figures of images of one series, from their cells."""
        values, came = stacked([image.cells for image in images])
        figures = np.where(came[:, _CELLS], values[:, _CELLS], NAN)
        figures[:, _BACKGROUND] = np.where(
            came[:, _BACKGROUND_CELL], values[:, _BACKGROUND_CELL].view(np.float64), NAN
        )
        for row in np.flatnonzero(~came[:, _CELLS[0]]).tolist():
            table = images[row].spot_table
            figures[row, 0] = NAN if table is None else table.n_rows
        spots = figures[:, :1]
        hits = np.where(np.isnan(spots), NAN, spots >= self._min_spots)
        beam = _beam(values, came, images[0].constants.regions)
        return np.concatenate((spots, hits, figures[:, 1:], beam), axis=1)

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


def _plain_ones(images: Sequence[ImageMessage], start: int) -> list[PlainImage]:
    """The plain images from `start` on that follow one another and are of one series."""
    plain: list[PlainImage] = []
    for image in images[start:]:
        if not isinstance(image, PlainImage) or (plain and image.constants is not plain[0].constants):
            break
        plain.append(image)
    return plain


def _beam(
    values: npt.NDArray[np.int64], came: npt.NDArray[np.bool_], regions: tuple[str, ...]
) -> npt.NDArray[np.float64]:
    """Pixels and sum of the region of that name, [n, 2]. values, came: [n, N_CELLS]"""
    if BEAM not in regions:
        return np.full((len(values), 2), NAN)
    first = FIRST_REGION_CELL + regions.index(BEAM) * len(SUMS)
    sums = values[:, first : first + len(SUMS)][:, [_PIXELS, _SUM]]
    return np.where(came[:, first : first + 1], sums, NAN)


def _sum(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.where(np.isnan(rows), 0.0, rows).sum(axis=0))


def _count(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    return np.asarray((~np.isnan(rows)).sum(axis=0))
