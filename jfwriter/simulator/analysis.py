"""What a DCU computes from each image and sends beside it: profile, ROI sums, statistics, spots.

Plain NumPy, once per distinct image, and independent of the daemon's kernels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jfwriter.simulator.geometry import FloatArray
from jfwriter.simulator.images import Pixels, error_value, saturation_value
from jfwriter.simulator.tables import NO_BIN, Tables

IntArray = npt.NDArray[np.int64]

_SIGNIFICANT = 5.0
"""A spot stands so many standard deviations above its background."""


@dataclass(frozen=True, slots=True)
class RadialProfile:
    """Mean, standard deviation (photons) and number of pixels of each azimuthal bin. [bins]"""

    mean: FloatArray
    std: FloatArray
    count: IntArray


@dataclass(frozen=True, slots=True)
class RoiSums:
    """Sums over the valid pixels of one ROI; the weighted sums are of pixel value times pixel number."""

    sum: int
    sum_square: int
    max: int
    pixels: int
    x_weighted: int
    y_weighted: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Over all pixels that are neither masked nor saturated, and the numbers of those that are."""

    min_viable: int
    max_viable: int
    pixel_sum: int
    saturated: int
    error: int


@dataclass(frozen=True, slots=True)
class ObservedSpots:
    """Spots as a spot finder reports them [n], strongest first; `source` is the number of the candidate."""

    x: FloatArray
    y: FloatArray
    intensity: FloatArray
    maxc: IntArray
    q: FloatArray
    source: IntArray


def radial_profile(pixels: Pixels, tables: Tables) -> RadialProfile:
    """Mean over the pixels of each bin, without geometric correction; NaN for empty bins."""
    n_bins = len(tables.bin_to_q)
    values = pixels.ravel().astype(np.float64)
    count = tables.bin_count
    # Bad pixels, whatever they hold, fall into one bin too many.
    total = np.bincount(tables.flat_bins, values, n_bins + 1)[:n_bins]
    np.multiply(values, values, out=values)
    square = np.bincount(tables.flat_bins, values, n_bins + 1)[:n_bins]
    mean, mean_square = (
        np.divide(column, count, out=np.full(n_bins, np.nan), where=count > 0) for column in (total, square)
    )
    return RadialProfile(mean, np.sqrt(np.maximum(mean_square - mean * mean, 0)), count)


def roi_sums(pixels: Pixels, tables: Tables) -> Mapping[str, RoiSums]:
    """Integrals of every ROI."""
    sums = {}
    for bit, roi in enumerate(tables.rois):
        y, x = np.nonzero((tables.roi_map & np.uint16(1 << bit) != 0) & tables.valid)
        values = pixels[y, x].astype(np.int64)
        sums[roi.name] = RoiSums(
            sum=int(values.sum()),
            sum_square=int((values * values).sum()),
            max=int(values.max()) if values.size else 0,
            pixels=values.size,
            x_weighted=int((values * x).sum()),
            y_weighted=int((values * y).sum()),
        )
    return sums


def statistics(pixels: Pixels, valid: npt.NDArray[np.bool_]) -> Statistics:
    """Extremes and counts of one image."""
    hole = error_value(pixels.dtype)
    error = int(np.isnan(pixels).sum()) if hole is None else int((pixels == hole).sum())
    saturated = valid & np.greater_equal(pixels, saturation_value(pixels.dtype))
    values = pixels[valid & ~saturated]
    if not values.size:
        return Statistics(0, 0, 0, int(saturated.sum()), error)
    total = values.astype(np.float64 if pixels.dtype.kind == "f" else np.int64).sum()
    return Statistics(int(values.min()), int(values.max()), int(total), int(saturated.sum()), error)


def find_candidates(
    pixels: Pixels, tables: Tables, profile: RadialProfile, limit: int = 5000
) -> tuple[IntArray, IntArray]:
    """Rows and columns of pixels that stand out of their ring and are the highest of their 5 x 5 window."""
    spread = np.maximum(profile.std, np.sqrt(np.maximum(profile.mean, 0.05)))
    threshold = np.append(profile.mean + 6 * spread, np.inf)
    bins = np.minimum(tables.bin_map, len(profile.mean))
    # Few pixels pass, so that the windows are looked at for those alone.
    y, x = np.nonzero(pixels > threshold[bins])
    if len(y) > limit:
        strongest = np.argsort(pixels[y, x])[::-1][:limit]
        y, x = y[strongest], x[strongest]
    window, _, _ = _windows(pixels, tables.valid, y, x)
    flat = np.where(np.isnan(window), -np.inf, window).reshape(len(y), 25)
    highest = flat.argmax(axis=1) == flat.shape[1] // 2
    return y[highest], x[highest]


def measure_spots(
    pixels: Pixels, tables: Tables, profile: RadialProfile, y: IntArray, x: IntArray
) -> ObservedSpots:
    """Integrate 5 x 5 pixels around candidates; those that are not significant or not seen are left out."""
    height, width = pixels.shape
    inside = np.flatnonzero((y >= 0) & (y < height) & (x >= 0) & (x < width))
    bins = tables.bin_map[y[inside], x[inside]]
    source = inside[bins != NO_BIN]
    bins = bins[bins != NO_BIN].astype(np.int64)
    values, columns, rows = _windows(pixels, tables.valid, y[source], x[source])
    level = np.nan_to_num(profile.mean)[bins]
    n_pixels = np.isfinite(values).sum(axis=(1, 2))
    signal = np.nan_to_num(values - level[:, np.newaxis, np.newaxis])
    total = signal.sum(axis=(1, 2))
    found = total > _SIGNIFICANT * np.sqrt(np.maximum(level, 0.1) * n_pixels)
    order = np.flatnonzero(found)[np.argsort(-total[found], kind="stable")]
    weight = np.maximum(signal[order], 0)
    weight_sum = np.maximum(weight.sum(axis=(1, 2)), 1e-9)
    return ObservedSpots(
        x=(weight * columns[order]).sum(axis=(1, 2)) / weight_sum,
        y=(weight * rows[order]).sum(axis=(1, 2)) / weight_sum,
        intensity=total[order],
        maxc=np.nan_to_num(values[order]).max(axis=(1, 2), initial=0).astype(np.int64),
        q=tables.bin_to_q[bins[order]],
        source=source[order],
    )


def _windows(
    pixels: Pixels, valid: npt.NDArray[np.bool_], y: IntArray, x: IntArray
) -> tuple[FloatArray, IntArray, IntArray]:
    """Values (NaN where there is none), columns and rows of 5 x 5 windows. [n, 5, 5], [n, 1, 5], [n, 5, 1]"""
    offsets = np.arange(-2, 3)
    rows = y[:, np.newaxis, np.newaxis] + offsets[np.newaxis, :, np.newaxis]
    columns = x[:, np.newaxis, np.newaxis] + offsets[np.newaxis, np.newaxis, :]
    height, width = pixels.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    at = rows.clip(0, height - 1), columns.clip(0, width - 1)
    values = np.where(inside & valid[at], pixels[at].astype(np.float64), np.nan)
    return values, columns, rows
