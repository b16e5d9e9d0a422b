"""What is done once per run, before its first image: which quantities, and with what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from jfwriter.analysis.analyser import Analyser
from jfwriter.analysis.conditions import Conditions, conditions_of
from jfwriter.analysis.products import KeptProducts
from jfwriter.analysis.quantity import Quantity, Unavailable
from jfwriter.analysis.wishes import AZINT, BACKGROUND, ROI, SPOTS, STATISTICS, Wishes, wishes_of
from jfwriter.compression import check_framing
from jfwriter.errors import PayloadError
from jfwriter.nexus.azint import profile_shape
from jfwriter.payload import Payload
from jfwriter.session.plan import RunPlan
from jfwriter.session.run import native
from jfwriter.settings import Settings


@dataclass(frozen=True, slots=True)
class Prepared:
    """`plan` carries the completed start message. `analyser` is None if nothing can be computed.

    `warnings` say in sentences what is left out and why.
    """

    plan: RunPlan
    analyser: Analyser | None
    wishes: Wishes
    warnings: tuple[str, ...] = ()


def prepare(plan: RunPlan, settings: Settings, kept: KeptProducts | None = None) -> Prepared:
    """Unpack mask and maps, find the bins and regions: takes up to some seconds for a large detector, or some
    hundredths of one if `kept` has what the run needs from the run before.

    Never raises for what a message holds: a quantity that cannot be computed is left out, with a warning.
    """
    wishes = wishes_of(plan.start, settings.analysis)
    if not wishes:
        return Prepared(plan, None, Wishes())
    warnings: list[str] = []
    conditions = conditions_of(plan, (kept or KeptProducts()).begin(), warnings)
    quantities: list[Quantity] = []
    start = plan.start
    for name, make in _makers(plan, settings, conditions, warnings).items():
        if name not in wishes.names():
            continue
        try:
            quantity = make()
            start = quantity.complete(start)
        except Unavailable as reason:
            warnings.append(f"{name} is not computed: {reason}")
        except Exception as error:  # noqa: BLE001 one quantity, never the run
            warnings.append(f"{name} is not computed: {type(error).__name__}: {error}")
        else:
            quantities.append(quantity)
    wishes = wishes.without(wishes.names() - {quantity.name for quantity in quantities})
    if not wishes:
        return Prepared(plan, None, wishes, tuple(warnings))
    analyser = Analyser(tuple(quantities), wishes, conditions)
    if plan.dtype is not None:
        analyser.prepare(plan.dtype)
    if conditions.geometry is not None:
        conditions.geometry.forget()
    return Prepared(replace(plan, start=start), analyser, wishes, tuple(warnings))


def completes_start(plan: RunPlan, wishes: Wishes) -> bool:
    """Whether `prepare` may add to the start message: bins, the limit of spots, or regions without a map."""
    start, names = plan.start, wishes.names()
    if ROI in names and not (start.rois and _is_map(start.roi_map, plan.shape)):
        return True
    if AZINT in names and profile_shape(start) is None:
        return True
    return SPOTS in names and start.max_spot_count != plan.max_spot_count


def _is_map(payload: Payload | None, shape: tuple[int, int]) -> bool:
    if payload is None or payload.shape != shape or native(payload.dtype) != np.uint16:
        return False
    try:
        check_framing(payload)
    except PayloadError:
        return False
    return True


def load_kernels(settings: Settings) -> None:
    """Import, and so compile, what these settings can need in a run."""
    from jfwriter.analysis import roi, statistics  # noqa: F401

    if settings.analysis.azint.mode != "never":
        from jfwriter.analysis import azint  # noqa: F401
    if settings.analysis.spots.mode != "never":
        from jfwriter.analysis import spots  # noqa: F401
    if {settings.analysis.azint.mode, settings.analysis.spots.mode} != {"never"}:
        from jfwriter.analysis import background  # noqa: F401


def _makers(
    plan: RunPlan, settings: Settings, conditions: Conditions, warnings: list[str]
) -> dict[str, Callable[[], Quantity]]:
    """How each quantity is made; its kernels are imported then, since few runs need all of them."""
    analysis, start = settings.analysis, plan.start

    def statistics() -> Quantity:
        from jfwriter.analysis.statistics import Statistics

        return Statistics()

    def roi() -> Quantity:
        from jfwriter.analysis.roi import RegionsOfInterest

        return RegionsOfInterest(start, analysis.roi_definitions, conditions, warnings)

    def azint() -> Quantity:
        from jfwriter.analysis.azint import AzimuthalIntegration

        return AzimuthalIntegration(
            start, analysis.azint, settings.limits.max_azint_bins, conditions, warnings
        )

    def spots() -> Quantity:
        from jfwriter.analysis.spots import FoundSpots

        return FoundSpots(analysis.spots, plan.max_spot_count, conditions)

    def background() -> Quantity:
        from jfwriter.analysis.background import Background

        return Background(conditions)

    return {STATISTICS: statistics, ROI: roi, AZINT: azint, SPOTS: spots, BACKGROUND: background}
