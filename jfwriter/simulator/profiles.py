"""Spot profiles: Gaussians integrated over pixels."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_erf = np.frompyfunc(math.erf, 1, 1)


def add_spots(
    expected: npt.NDArray[np.float32], x: FloatArray, y: FloatArray, photons: FloatArray, sigma_pxl: float
) -> None:
    """Add Gaussian spots of `photons` [n] around x, y [n] to the expected photons [height, width].

    Whole numbers are pixel centres. What falls outside the image is lost.
    """
    if not len(x):
        return
    half = math.ceil(4.5 * sigma_pxl)
    offsets = np.arange(-half, half + 1)
    columns, share_x = _profile(x, offsets, sigma_pxl)
    rows, share_y = _profile(y, offsets, sigma_pxl)
    height, width = expected.shape
    share_x[(columns < 0) | (columns >= width)] = 0
    share_y[(rows < 0) | (rows >= height)] = 0
    stamps = photons[:, np.newaxis, np.newaxis] * share_y[:, :, np.newaxis] * share_x[:, np.newaxis, :]
    rows, columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
    np.add.at(expected, (rows[:, :, np.newaxis], columns[:, np.newaxis, :]), stamps.astype(np.float32))


def _profile(
    centre: FloatArray, offsets: npt.NDArray[np.int64], sigma_pxl: float
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Pixel numbers and shares, each [n, offsets], of Gaussians around `centre` [n]."""
    pixels = np.rint(centre).astype(np.int64)[:, np.newaxis] + offsets
    edges = np.concatenate([pixels - 0.5, pixels[:, -1:] + 0.5], axis=1) - centre[:, np.newaxis]
    return pixels, np.diff(normal_cdf(edges / sigma_pxl), axis=1)


def normal_cdf(x: FloatArray) -> FloatArray:
    """Integral of the standard normal distribution from -∞ to x."""
    return 0.5 * (1.0 + np.asarray(_erf(x * math.sqrt(0.5)), np.float64))
