"""Pixels that are not like their neighbours: at the edges of modules, and between the chips of a module."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from jfwriter.kernels.pixel_classes import Array, Mask

MODULE_EDGE, CHIP_EDGE = 1, 2
"""Bits of the map of edges."""

GAP_BIT, VIRTUAL_BIT = 1, 1 << 31
"""Bits of a pixel mask (NXmx, NXdetector/pixel_mask): no sensor here; interpolated between real pixels."""

MODULE = (512, 1024)
CHIP_PIXELS = 256
"""JUNGFRAU and EIGER modules: 2 x 4 chips, whose outermost pixels reach over half of the gap between them."""


def map_of_edges(
    shape: tuple[int, int], pixel_mask: npt.NDArray[np.uint32] | None, *, has_bare_modules: bool
) -> Mask:
    """MODULE_EDGE at pixels that touch a gap, also at a corner; CHIP_EDGE at virtual pixels, and at those of
    twice the size if the image is a stack of bare modules (`has_bare_modules`). uint8 [y, x]
    """
    edges = np.zeros(shape, np.uint8)
    if pixel_mask is not None:
        gap = (pixel_mask & GAP_BIT) != 0
        edges[_beside(gap) & ~gap] |= MODULE_EDGE
        edges[(pixel_mask & np.uint32(VIRTUAL_BIT)) != 0] |= CHIP_EDGE
    if has_bare_modules and shape[1] == MODULE[1] and shape[0] % MODULE[0] == 0:
        edges[_ends_of_chips(shape[0], MODULE[0]), :] |= CHIP_EDGE
        edges[:, _ends_of_chips(shape[1], MODULE[1])] |= CHIP_EDGE
    return edges


def _beside(chosen: Array) -> Array:
    """Chosen, or one of the eight neighbours is."""
    wide = chosen.copy()
    wide[:, 1:] |= chosen[:, :-1]
    wide[:, :-1] |= chosen[:, 1:]
    high = wide.copy()
    high[1:] |= wide[:-1]
    high[:-1] |= wide[1:]
    return high


def _ends_of_chips(n_pixels: int, module: int) -> Array:
    """First and last pixels of chips, but for those of modules."""
    place = np.arange(n_pixels)
    first = (place % CHIP_PIXELS == 0) & (place % module != 0)
    last = (place % CHIP_PIXELS == CHIP_PIXELS - 1) & (place % module != module - 1)
    return np.flatnonzero(first | last)
