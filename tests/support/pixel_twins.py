"""Plain NumPy twins of the kernels over pixels: masks and sums, nothing clever."""

from __future__ import annotations

import numpy as np

from jfwriter.kernels.pixel_classes import PixelRules


def classes(image, rules: PixelRules):
    """Masks [y, x]: error, saturated, valid."""
    inside = rules.excluded == 0
    if image.dtype.kind == "f":
        error = inside & np.isnan(image)
    else:
        error = inside & (image.astype(np.int64) == rules.error_value)
    saturated = inside & ~error & (image.astype(np.float64) >= rules.saturation_value)
    return error, saturated, inside & ~error & ~saturated


def statistics(image, rules):
    error, saturated, valid = classes(image, rules)
    values = image[valid].astype(np.float64 if image.dtype.kind == "f" else np.int64)
    if not values.size:
        return None, None, 0, int(error.sum()), int(saturated.sum()), 0
    return values.min(), values.max(), values.sum(), int(error.sum()), int(saturated.sum()), values.size


def roi(image, rules, footprint):
    """sum, sum of squares, max, number of pixels, x, y over a mask [y, x]."""
    chosen = classes(image, rules)[2] & footprint
    y, x = np.nonzero(chosen)
    values = image[chosen].astype(np.float64)
    total = values.sum()
    centre = ((values * x).sum() / total, (values * y).sum() / total) if total else (np.nan, np.nan)
    return total, (values**2).sum(), values.max() if values.size else None, values.size, *centre


def profile(image, rules, bins, correction, n_bins):
    """mean, std, count per bin: mean of v / w with weights w, spread with weights w²."""
    valid = classes(image, rules)[2]
    weights = np.ones(image.shape) if correction is None else correction.astype(np.float64)
    mean, std, count = np.full(n_bins, np.nan), np.full(n_bins, np.nan), np.zeros(n_bins, np.int64)
    for b in range(n_bins):
        chosen = valid & (bins == b)
        v, w = image[chosen].astype(np.float64), weights[chosen]
        count[b] = v.size
        if v.size and w.sum() > 0:
            mean[b] = v.sum() / w.sum()
            std[b] = np.sqrt(((v - mean[b] * w) ** 2).sum() / (w**2).sum())
    return mean, std, count
