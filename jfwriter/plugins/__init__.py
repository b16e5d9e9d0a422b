"""Per-image quantities, one module each. The list of what is stored is `plugins_for`, explicit."""

from __future__ import annotations

from jfwriter.hdf5.plugin import ImagePlugin
from jfwriter.plugins.azint import AzintPlugin
from jfwriter.plugins.detector import detector
from jfwriter.plugins.image_statistics import image_statistics
from jfwriter.plugins.mx import mx
from jfwriter.plugins.profiling import profiling
from jfwriter.plugins.reflections import ReflectionsPlugin
from jfwriter.plugins.roi import RoiPlugin
from jfwriter.plugins.spots import SpotsPlugin
from jfwriter.plugins.xfel import xfel
from jfwriter.session.plan import RunPlan

__all__ = ["plugins_for"]


def plugins_for(plan: RunPlan) -> tuple[ImagePlugin, ...]:
    """The plugins of a run. They live as long as the run and are not shared between runs."""
    return (
        detector(plan),
        SpotsPlugin(plan),
        mx(plan),
        AzintPlugin(plan),
        RoiPlugin(plan),
        image_statistics(plan),
        ReflectionsPlugin(),
        xfel(plan),
        profiling(plan),
    )
