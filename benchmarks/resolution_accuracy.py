"""The resolution estimate of simulated crystals that diffract less and less far: the table of
docs/reference/quantities/resolution.md.

    python -m benchmarks.resolution_accuracy
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks._measure import table
from jfwriter.kernels.pixel_classes import PixelRules, default_error_value, excluded_pixels
from jfwriter.kernels.spots import SpotFinder, SpotSettings, prepare_spots
from jfwriter.simulator import RunOptions, default_geometry, default_sample, find_detector
from jfwriter.simulator.images import SyntheticImages, saturation_value

Array = npt.NDArray[Any]
N_IMAGES = 8
B_ANGSTROM2 = (10, 30, 60, 120)
SEEN_PHOTONS = 60
N_INTERVALS = 20


def limit_put_in(q_recipa: Array) -> float:
    """d where the number of spots per interval of 1 / d² falls below a tenth of its maximum."""
    square = (q_recipa / (2 * math.pi)) ** 2
    n, edges = np.histogram(square, N_INTERVALS, (0, square.max()))
    low = np.flatnonzero((n < n.max() / 10) & (np.arange(len(n)) > n.argmax()))
    return float(1 / math.sqrt(edges[low[0]] if len(low) else edges[-1]))


def row(b_angstrom2: float) -> list[str]:
    detector = find_detector("jungfrau-4m")
    geometry = default_geometry(detector)
    sample = replace(default_sample(detector), b_factor_angstrom2=b_angstrom2)
    options = RunOptions(detector=detector, geometry=geometry, sample=sample, n_images=N_IMAGES)
    images = SyntheticImages(options)
    rules = PixelRules(
        excluded_pixels(images.pixel_mask, detector.shape),
        default_error_value(options.dtype),
        saturation_value(options.dtype),
    )
    q_map = geometry.q_map()
    finder = SpotFinder(prepare_spots(SpotSettings(), rules, q_map), 10_000)
    estimates, counts, put_in = [], [], []
    for number in range(N_IMAGES):
        image = images.image(number)
        found = finder.find(image.pixels)
        estimates.append(found.resolution_estimate_angstrom)
        counts.append(len(found.x))
        seen = image.spots.photons > SEEN_PHOTONS
        x, y = np.rint(image.spots.x[seen]).astype(int), np.rint(image.spots.y[seen]).astype(int)
        inside = (x >= 0) & (y >= 0) & (x < detector.shape[1]) & (y < detector.shape[0])
        put_in.append(q_map[y[inside], x[inside]])
    known = np.array(estimates)[np.isfinite(estimates)]
    return [
        f"{b_angstrom2:g}",
        f"{np.mean(counts):.0f} ({min(counts)} to {max(counts)})",
        f"{limit_put_in(np.concatenate(put_in)):.2f}",
        f"{known.mean():.2f} ± {known.std():.2f}" if len(known) else "NaN",
        str(N_IMAGES - len(known)),
    ]


def main() -> None:
    heading = ["B (Å²)", "spots", "limit put in (Å)", "estimate (Å)", "images without"]
    print(table([heading, *(row(b) for b in B_ANGSTROM2)]))


if __name__ == "__main__":
    main()
