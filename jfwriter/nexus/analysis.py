"""`/entry/analysis` (NXcollection): the run in a few numbers, over the images of the writer of this file."""

from __future__ import annotations

from collections.abc import Mapping

import h5py

from jfwriter.nexus import fields

MEANS = (
    ("spots_mean", "spots", None),
    ("hit_rate", "hit_rate", None),
    ("indexing_rate", "indexing_rate", None),
    ("background_estimate_mean", "background_estimate", "photons"),
    ("saturated_pixels_mean", "saturated_pixels", None),
    ("error_pixels_mean", "error_pixels", None),
    ("roi_beam_pixels_mean", "roi_beam_pixels", None),
    ("roi_beam_sum_mean", "roi_beam_sum", None),
)
"""Name in the file, name of the figure, units."""

COUNTS = ("images_analysed", "images_skipped")


def run_figures(entry: h5py.Group, figures: Mapping[str, float]) -> None:
    """Means per image f8, of the images that have the value; counts i8. Nothing known: no group."""
    if not figures:
        return
    group = fields.collection(entry, "analysis")
    for name, figure, units in MEANS:
        if figure in figures:
            fields.scalar(group, name, figures[figure], "f8", units)
    for name in COUNTS:
        if name in figures:
            fields.scalar(group, name, int(figures[name]), "i8")
