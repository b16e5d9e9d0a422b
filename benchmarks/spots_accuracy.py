"""How many simulated spots are found and how exactly: the table of docs/reference/quantities/spots.md.

python3 -m benchmarks.spots_accuracy
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks._measure import table
from jfwriter.kernels.pixel_classes import PixelRules, default_error_value, excluded_pixels
from jfwriter.kernels.spots import SpotFinder, SpotSettings, prepare_spots
from jfwriter.simulator import RunOptions, default_geometry, default_sample, find_detector
from jfwriter.simulator.images import SyntheticImages, saturation_value

Array = npt.NDArray[Any]
N_IMAGES = 20
MATCH_PXL = 1.5
EDGES = (5, 10, 15, 20, 30, 50, 100, 200, 500, 1_000_000)


def nearest(of: Array, to: Array) -> tuple[Array, Array]:
    """Distance from each point [n, 2] to the nearest one of [m, 2], and its number."""
    if not len(to):
        return np.full(len(of), np.inf), np.zeros(len(of), np.intp)
    distance = np.hypot(*(of[:, np.newaxis, :] - to[np.newaxis, :, :]).transpose(2, 0, 1))
    return distance.min(axis=1), distance.argmin(axis=1)


def positions(spots: Any) -> Array:
    return np.stack([spots.x, spots.y], axis=1).astype(np.float64)


def clear_of_masked(points: Array, excluded: Array, margin: int = 4) -> Array:
    """Points whose surroundings are within the image and without a masked pixel. bool [n]"""
    height, width = excluded.shape
    clear = []
    for x, y in np.rint(points).astype(int):
        window = excluded[max(0, y - margin) : y + margin + 1, max(0, x - margin) : x + margin + 1]
        clear.append(margin <= x < width - margin and margin <= y < height - margin and not window.any())
    return np.array(clear, bool)


def simulated(settings: SpotSettings) -> tuple[Array, Array]:
    """Spots put in: photons, found, dx, dy, intensity found. Spots found: intensity, is one put in."""
    detector = find_detector("jungfrau-1m")
    options = RunOptions(detector=detector, geometry=default_geometry(detector),
                         sample=default_sample(detector), n_images=N_IMAGES)  # fmt: skip
    images = SyntheticImages(options)
    excluded = excluded_pixels(images.pixel_mask, detector.shape)
    rules = PixelRules(excluded, default_error_value(options.dtype), saturation_value(options.dtype))
    finder = SpotFinder(prepare_spots(settings, rules, options.geometry.q_map()), 10_000)
    put_in, reported = [], []
    for number in range(N_IMAGES):
        image = images.image(number)
        found, truth = finder.find(image.pixels), image.spots
        at_truth, at_found = positions(truth), positions(found)
        other = nearest_other(at_truth)
        use = clear_of_masked(at_truth, excluded) & (other > 8)
        distance, which = nearest(at_truth, at_found)
        offset = at_found[which] - at_truth
        hit = distance < MATCH_PXL
        rows = np.column_stack([truth.photons, hit, offset, found.intensity[which]])
        put_in.append(rows[use])
        distance, _ = nearest(at_found, at_truth[truth.photons > 2])
        reported.append(np.column_stack([found.intensity, distance < MATCH_PXL]))
    return np.concatenate(put_in), np.concatenate(reported)


def nearest_other(points: Array) -> Array:
    """Distance from each point [n, 2] to the nearest other one."""
    distance = np.hypot(*(points[:, np.newaxis, :] - points[np.newaxis, :, :]).transpose(2, 0, 1))
    np.fill_diagonal(distance, np.inf)
    return np.asarray(distance.min(axis=1))


def truth_table(settings: SpotSettings) -> str:
    put_in, reported = simulated(settings)
    rows = [["photons", "spots", "recall", "centre rms (pixel)", "centre mean x, y (pixel)",
             "intensity / put in", "reported", "precision"]]  # fmt: skip
    for low, high in itertools.pairwise(EDGES):
        chosen = put_in[(put_in[:, 0] >= low) & (put_in[:, 0] < high)]
        hits = chosen[chosen[:, 1] > 0]
        own = reported[(reported[:, 0] >= low) & (reported[:, 0] < high)]
        rows.append([
            f"{low} to {high}", str(len(chosen)), f"{len(hits) / max(1, len(chosen)):.3f}",
            f"{np.sqrt((hits[:, 2:4] ** 2).mean()) if len(hits) else np.nan:.3f}",
            ", ".join(f"{v:+.3f}" for v in hits[:, 2:4].mean(axis=0)) if len(hits) else "",
            f"{hits[:, 4].sum() / hits[:, 0].sum() if len(hits) else np.nan:.2f}",
            str(len(own)), f"{own[:, 1].mean() if len(own) else np.nan:.4f}",
        ])  # fmt: skip
    return table(rows)


def main() -> None:
    for name, settings in {
        "Threshold of 8 counts": SpotSettings(),
        "Threshold of 4 counts": SpotSettings(photon_count_threshold=4),
        "Adaptive threshold": SpotSettings(adaptive_threshold=True),
    }.items():
        print(f"{name}\n{truth_table(settings)}\n")


if __name__ == "__main__":
    main()
