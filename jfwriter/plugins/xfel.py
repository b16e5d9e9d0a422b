"""`/entry/xfel`: pulse and event of each image at a free-electron laser."""

from __future__ import annotations

from jfwriter.plugins.columns import Column, ColumnPlugin
from jfwriter.session.plan import RunPlan


def xfel(plan: RunPlan) -> ColumnPlugin:
    columns = (
        Column("xfel/pulseID", "u8", 0, "xfel_pulse_id"),
        Column("xfel/eventCode", "u8", 0, "xfel_event_code"),
    )
    return ColumnPlugin("xfel", plan, columns)
