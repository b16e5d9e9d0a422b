"""How far the image numbers of a run may go: a single false number must not make a file of a billion rows."""

from __future__ import annotations

from jfwriter.session.plan import RunPlan
from jfwriter.settings import LimitSettings

UNPLANNED_JUMP = 10_000
"""Images that a number may lie ahead of those seen in a run of unknown length (at least)."""


def image_id_limit(plan: RunPlan, n_seen: int, limits: LimitSettings) -> int:
    """First image id that is too far. `n_seen`: highest id seen, plus one.

    A run that names its length may exceed it by `max_unexpected_images`. One that does not may only run
    ahead of what came, unless other writers get the images in between.
    """
    if plan.n_images_planned is not None:
        return plan.n_images_planned + limits.max_unexpected_images
    if plan.only_writer:
        return min(limits.max_images, n_seen + max(limits.max_unexpected_images, UNPLANNED_JUMP))
    return limits.max_images
