"""When the writer has to wait for what is prepared: whenever it would put more into the start message."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jfwriter.analysis import completes_start, prepare, wishes_of
from jfwriter.session.plan import RunPlan
from jfwriter.session.planning import make_plan
from jfwriter.settings import Settings
from jfwriter.wire.messages import RoiBox
from tests.support import messages
from tests.support.payloads import broken, packed

SHAPE = messages.HEIGHT, messages.WIDTH
REGION = RoiBox("beam", 0, 1, 0, 1, bit_index=0)
MAP = packed(np.ones(SHAPE, np.uint16))
BINS = {"az_int_bin_number": 6, "az_int_phi_bin_count": 2, "az_int_q_bin_count": 3}
BOX = [{"type": "box", "name": "mine", "min_x_pxl": 0, "max_x_pxl": 1, "min_y_pxl": 0, "max_y_pxl": 1}]


def plan_of(settings: Settings, **start: Any) -> RunPlan:
    return make_plan(messages.start(**start), settings, 1, 0.0)


@pytest.mark.parametrize(
    ("analysis", "start", "expected"),
    [
        ({}, {}, False),
        ({"roi_definitions": BOX}, {}, True),
        ({"roi_definitions": BOX}, {"rois": (REGION,), "roi_map": MAP}, False),
        ({}, {"rois": (REGION,), "roi_map": MAP}, False),
        ({}, {"rois": (REGION,)}, True),
        ({}, {"rois": (REGION,), "roi_map": broken(SHAPE, "<u2")}, True),
        ({}, {"rois": (REGION,), "roi_map": packed(np.ones((3, 3), np.uint16))}, True),
        ({}, {"rois": (REGION,), "roi_map": packed(np.full(SHAPE, 1 << 16, np.uint32))}, True),
        ({"image_statistics": "always"}, {}, False),
        ({"spots": "auto"}, {}, True),
        ({"spots": "auto"}, {"max_spot_count": 30}, False),
        ({"spots": "auto"}, {"max_spot_count": 1 << 20}, True),
        ({"azint": "auto"}, {}, True),
        ({"azint": "auto"}, BINS, False),
        ({"azint": "auto"}, {"az_int_phi_bin_count": 2}, True),
    ],
)
def test_who_waits(analysis: dict[str, Any], start: dict[str, Any], expected: bool) -> None:
    settings = messages.settings(analysis=analysis)
    plan = plan_of(settings, **start)
    assert completes_start(plan, wishes_of(plan.start, settings.analysis)) is expected


@pytest.mark.parametrize("image_map", [MAP, packed(np.ones(SHAPE, ">u2"))])
def test_nothing_is_added_to_the_start_message_for_which_nobody_waits(image_map: Any) -> None:
    settings = messages.settings(analysis={"image_statistics": "always", "roi": "always"})
    plan = plan_of(settings, rois=(REGION,), roi_map=image_map)
    assert not completes_start(plan, wishes_of(plan.start, settings.analysis))
    prepared = prepare(plan, settings)
    assert prepared.analyser is not None
    assert prepared.warnings == ()
    assert prepared.plan.start is plan.start
