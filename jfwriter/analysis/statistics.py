"""Smallest and largest valid pixel, sum, saturated and error pixels."""

from __future__ import annotations

from collections.abc import Callable

from jfwriter.analysis.quantity import Compute, Fields
from jfwriter.analysis.wishes import STATISTICS
from jfwriter.kernels.pixel_classes import Image, PixelRules
from jfwriter.kernels.statistics import image_statistics
from jfwriter.wire.messages import StartMessage


class Statistics:
    name = STATISTICS

    def complete(self, start: StartMessage) -> StartMessage:
        return start

    def prepare(self, rules: PixelRules) -> Callable[[], Compute]:
        def compute(image: Image) -> Fields:
            found = image_statistics(image, rules)
            return {
                "min_viable_pixel_value": None if found.min is None else int(found.min),
                "max_viable_pixel_value": None if found.max is None else int(found.max),
                "pixel_sum": round(float(found.sum)) if image.dtype.kind == "f" else int(found.sum),
                "saturated_pixel_count": int(found.n_saturated),
                "error_pixel_count": int(found.n_error),
            }

        return lambda: compute
