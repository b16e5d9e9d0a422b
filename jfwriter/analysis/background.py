"""Background estimate: mean in 3 to 5 Å."""

from __future__ import annotations

import math
from collections.abc import Callable

from jfwriter.analysis.conditions import Conditions
from jfwriter.analysis.quantity import Compute, Fields, Unavailable
from jfwriter.analysis.wishes import BACKGROUND
from jfwriter.kernels.background import BackgroundEstimate
from jfwriter.kernels.pixel_classes import Image, PixelRules
from jfwriter.wire.messages import StartMessage


class Background:
    name = BACKGROUND

    def __init__(self, conditions: Conditions) -> None:
        if conditions.q_recipA is None:
            raise Unavailable(conditions.why_no_geometry)
        self._products = conditions.products
        self._q_recip_angstrom = conditions.q_recipA

    def complete(self, start: StartMessage) -> StartMessage:
        return start

    def prepare(self, rules: PixelRules) -> Callable[[], Compute]:
        background = self._products.product(BackgroundEstimate, rules, self._q_recip_angstrom)

        def compute(image: Image) -> Fields:
            mean = background.estimate(image)
            return {"bkg_estimate": None if math.isnan(mean) else float(mean)}

        return lambda: compute
