"""What shall be computed, and for which images: plain comparisons, cheap enough for every image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jfwriter.analysis_settings import AnalysisSettings, Mode
from jfwriter.wire.messages import ImageMessage, StartMessage

STATISTICS, ROI, AZINT, SPOTS, BACKGROUND = "image_statistics", "roi", "azint", "spots", "background"

_PRESENT: dict[str, Callable[[ImageMessage], bool]] = {
    STATISTICS: lambda image: (
        image.pixel_sum is not None
        and image.max_viable_pixel_value is not None
        and image.min_viable_pixel_value is not None
        and image.saturated_pixel_count is not None
        and image.error_pixel_count is not None
    ),
    ROI: lambda image: image.has_regions,
    AZINT: lambda image: image.az_int_profile is not None,
    SPOTS: lambda image: image.spots is not None,
    BACKGROUND: lambda image: image.bkg_estimate is not None,
}


@dataclass(frozen=True, slots=True)
class Wish:
    """A quantity that is computed for every image (`always`) or for those whose message lacks it."""

    name: str
    always: bool

    def wants(self, image: ImageMessage) -> bool:
        return self.always or not _PRESENT[self.name](image)


@dataclass(frozen=True, slots=True)
class Wishes:
    """Of one run. `with_pixels` are computed too for an image that is unpacked anyway."""

    needing: tuple[Wish, ...] = ()
    with_pixels: tuple[Wish, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.needing)

    def wants(self, image: ImageMessage) -> bool:
        """Whether the pixels of `image` have to be looked at."""
        return any(wish.wants(image) for wish in self.needing)

    def without(self, names: frozenset[str]) -> Wishes:
        return Wishes(
            tuple(wish for wish in self.needing if wish.name not in names),
            tuple(wish for wish in self.with_pixels if wish.name not in names),
        )

    def names(self) -> frozenset[str]:
        return frozenset(wish.name for wish in (*self.needing, *self.with_pixels))


def wishes_of(start: StartMessage, settings: AnalysisSettings) -> Wishes:
    """What the settings ask for in a run; nothing where the start message has what they would add."""
    modes: dict[str, Mode] = {
        STATISTICS: settings.image_statistics,
        ROI: settings.roi if start.rois or settings.roi_definitions else "never",
        AZINT: settings.azint.mode,
        SPOTS: settings.spots.mode,
        BACKGROUND: _stronger(settings.azint.mode, settings.spots.mode),
    }
    wanted = [Wish(name, mode == "always") for name, mode in modes.items() if mode != "never"]
    beside = [wish for wish in wanted if wish.name == STATISTICS and not wish.always]
    return Wishes(tuple(wish for wish in wanted if wish not in beside), tuple(beside))


def _stronger(first: Mode, second: Mode) -> Mode:
    return "always" if "always" in {first, second} else "auto" if "auto" in {first, second} else "never"
