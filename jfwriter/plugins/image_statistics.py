"""`/entry/image`: statistics of the pixels of each image, as the sender computed them."""

from __future__ import annotations

import numpy as np

from jfwriter.plugins.columns import Column, ColumnPlugin
from jfwriter.session.plan import RunPlan

NO_VALUE = int(np.iinfo(np.int64).min)
"""-1 is a possible smallest or largest value."""


def image_statistics(plan: RunPlan) -> ColumnPlugin:
    columns = (
        Column("image/max_value", "i8", NO_VALUE, "max_viable_pixel_value"),
        Column("image/min_value", "i8", NO_VALUE, "min_viable_pixel_value"),
        Column("image/pixel_sum", "i8", NO_VALUE, "pixel_sum"),
        Column("image/error_pixels", "i8", -1, "error_pixel_count"),
        Column("image/saturated_pixels", "i8", -1, "saturated_pixel_count"),
    )
    return ColumnPlugin("image_statistics", plan, columns)
