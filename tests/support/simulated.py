"""Options of small simulated runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jfwriter.simulator.detector import DetectorModel
from jfwriter.simulator.options import RunOptions, default_geometry, default_sample

MakeOptions = Callable[..., RunOptions]


def small_detector(width: int = 260, height: int = 240) -> DetectorModel:
    """Four modules with gaps of 8 and 12 pixels."""
    return DetectorModel(
        name="test",
        width=width,
        height=height,
        module_width=(width - 8) // 2,
        module_height=(height - 12) // 2,
        gap_x=8,
        gap_y=12,
        description="test detector",
        sensor_thickness_m=320e-6,
    )


def small_options(dtype: str = "int16", *, spots: bool = True, **changes: object) -> RunOptions:
    """Options of a run of 8 images; keywords are fields of RunOptions."""
    detector = changes.pop("detector", None) or small_detector()
    assert isinstance(detector, DetectorModel)
    values: dict[str, object] = {
        "detector": detector,
        "geometry": default_geometry(detector),
        "sample": default_sample(detector, spots=spots),
        "dtype": np.dtype(dtype),
        "n_images": 8,
        "n_azint_bins": 50,
    }
    return RunOptions(**(values | changes))  # type: ignore[arg-type]
