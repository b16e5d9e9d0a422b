"""Kernels on one image and core: ms, ratio to one `numpy.sum` of it, and to what a user would take instead.

    python -m benchmarks.kernels [--size module|4M|16M] [--rounds N] [NAME ...]

The image is composed of real frames where they are at hand, with the default settings.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import _measure
from benchmarks._stream import SIZES, compose, module_frames
from jfwriter.compression import compress, decompress
from jfwriter.kernels.azint import Azint, AzintPlan
from jfwriter.kernels.azint_map import AzintSettings, make_azint_map
from jfwriter.kernels.background import BackgroundEstimate
from jfwriter.kernels.geometry import Geometry
from jfwriter.kernels.pixel_classes import PixelRules
from jfwriter.kernels.roi import Azimuthal, Box, Circle, Region, RoiSums, make_roi_map
from jfwriter.kernels.spots import SpotFinder, SpotSettings, prepare_spots
from jfwriter.kernels.statistics import image_statistics
from jfwriter.payload import Codec, Payload

Call = Callable[[], object]
PASS = "numpy.sum"
THREADS = "two threads"


@dataclass(frozen=True, slots=True)
class Subject:
    """An image [y, x], its rules and geometry."""

    image: npt.NDArray[np.generic]
    rules: PixelRules
    geometry: Geometry


@dataclass(frozen=True, slots=True)
class Contest:
    """A kernel, and by name what it is compared with beside the read pass."""

    own: Call
    peers: Mapping[str, Call]
    second: Call | None = None
    """The same for another thread."""


def subject(size_name: str) -> Subject:
    image = compose(SIZES[size_name], 0, module_frames())
    height, width = image.shape
    gap = -1 if image.dtype.kind == "i" else 0
    excluded = np.ascontiguousarray(image == gap).astype(np.uint8)
    geometry = Geometry((height, width), 75e-6, 75e-6, width / 2, height / 2, 0.12, 1.0)
    top = int(np.iinfo(image.dtype).max)  # type: ignore[type-var]
    return Subject(image, PixelRules(excluded, top if gap == 0 else -top - 1, top), geometry)


def statistics(on: Subject) -> Contest:
    def call() -> object:
        return image_statistics(on.image, on.rules)

    def by_numpy() -> object:
        below = np.asarray(on.image) < np.asarray(on.rules.saturation_value)
        valid: Any = on.image[(on.rules.excluded == 0) & below]
        return valid.min(), valid.max(), valid.sum()

    return Contest(call, {"NumPy": by_numpy}, call)


def roi(on: Subject) -> Contest:
    """Four boxes and a ring."""
    height, width = on.image.shape
    corners = [(0.1, 0.1), (0.6, 0.1), (0.1, 0.6), (0.6, 0.6)]
    boxes = [
        Box(int(x * width), int((x + 0.15) * width), int(y * height), int((y + 0.15) * height))
        for x, y in corners
    ]
    return _roi(on, [*boxes, Azimuthal(1.6, 2.2)])


def roi_everywhere(on: Subject) -> Contest:
    """Two regions that cover the whole image."""
    height, width = on.image.shape
    return _roi(on, [Box(0, width, 0, height), Azimuthal(0.0, 100.0)])


def _roi(on: Subject, regions: Sequence[Region]) -> Contest:
    sums = RoiSums(on.rules, make_roi_map(regions, on.geometry, on.geometry.shape), len(regions))
    return Contest(lambda: sums.integrate(on.image), {}, lambda: sums.integrate(on.image))


def azint(on: Subject) -> Contest:
    return _azint(on, corrected=False)


def azint_corrected(on: Subject) -> Contest:
    return _azint(on, corrected=True)


def _azint(on: Subject, *, corrected: bool) -> Contest:
    """1000 bins."""
    high = float(on.geometry.q().max())
    settings = AzintSettings(0.01, high, (high - 0.01) / 1000, 1, corrected, 0.99, corrected)
    plan = AzintPlan(make_azint_map(on.geometry, settings, on.rules), on.rules)
    first, second = Azint(plan), Azint(plan)
    return Contest(
        lambda: first.integrate(on.image), integrations(on, corrected), lambda: second.integrate(on.image)
    )


def integrations(on: Subject, corrected: bool) -> dict[str, Call]:
    """pyFAI's engines without pixel splitting, with the spread in each bin."""
    integrator = pyfai(on)
    if integrator is None:
        return {}

    def engine(algorithm: str) -> Call:
        return lambda: integrator.integrate1d(
            on.image, 1000, mask=on.rules.excluded, unit="q_A^-1", method=("no", algorithm, "cython"),
            error_model="azimuthal", correctSolidAngle=corrected,
            polarization_factor=0.99 if corrected else None,
        )  # fmt: skip

    return {f"pyFAI {algorithm}": engine(algorithm) for algorithm in ("csc", "csr", "histogram")}


def spots(on: Subject) -> Contest:
    return _spots(on, SpotSettings())


def spots_adaptive(on: Subject) -> Contest:
    return _spots(on, SpotSettings(adaptive_threshold=True))


def _spots(on: Subject, settings: SpotSettings) -> Contest:
    finder = SpotFinder(prepare_spots(settings, on.rules, on.geometry.q_map()), 250)
    return Contest(lambda: finder.find(on.image), sigma_clip(on))


def background(on: Subject) -> Contest:
    estimate = BackgroundEstimate(on.rules, on.geometry.q_map())
    return Contest(lambda: estimate.estimate(on.image), {})


def everything(on: Subject) -> Contest:
    """Unpacking (bitshuffle + LZ4), statistics, regions, background, integration with corrections, spots."""
    height, width = on.image.shape
    packed = memoryview(compress(on.image, Codec.BSLZ4))
    payload = Payload(packed, Codec.BSLZ4, on.image.dtype, (height, width))
    q_map = on.geometry.q_map()
    regions: list[Region] = [Box(100, 400, 100, 400), Circle(width / 2, height / 2, 100), Azimuthal(1.6, 2.2)]
    sums = RoiSums(on.rules, make_roi_map(regions, on.geometry, on.geometry.shape), len(regions))
    estimate = BackgroundEstimate(on.rules, q_map)
    settings = AzintSettings(0.1, None, 0.01, 1, True, 0.99, True)
    plan = AzintPlan(make_azint_map(on.geometry, settings, on.rules), on.rules)
    prepared = prepare_spots(SpotSettings(), on.rules, q_map)

    def worker() -> Call:
        pixels, azint_of, finder = np.empty_like(on.image), Azint(plan), SpotFinder(prepared, 250)

        def call() -> None:
            decompress(payload, pixels)
            image_statistics(pixels, on.rules)
            sums.integrate(pixels)
            estimate.estimate(pixels)
            azint_of.integrate(pixels)
            finder.find(pixels)

        return call

    return Contest(worker(), {}, worker())


def pyfai(on: Subject) -> Any:
    """pyFAI's integrator for the geometry, None where it is not installed."""
    try:
        from pyFAI.integrator.azimuthal import AzimuthalIntegrator
    except ImportError:
        return None
    g = on.geometry
    return AzimuthalIntegrator(
        dist=g.distance_m, poni1=g.beam_y_pxl * g.pixel_size_y_m, poni2=g.beam_x_pxl * g.pixel_size_x_m,
        pixel1=g.pixel_size_y_m, pixel2=g.pixel_size_x_m, wavelength=g.wavelength_angstrom * 1e-10,
    )  # fmt: skip


def sigma_clip(on: Subject) -> dict[str, Call]:
    """The first step of pyFAI's peak finder, on the CPU: the background of each ring by sigma clipping."""
    integrator = pyfai(on)
    if integrator is None:
        return {}

    def call() -> object:
        return integrator.sigma_clip_ng(
            on.image, 1000, mask=on.rules.excluded, unit="q_A^-1", method=("no", "csr", "cython"),
            error_model="poisson", thresh=5.0, max_iter=5, correctSolidAngle=False,
        )  # fmt: skip

    return {"pyFAI sigma clipping": call}


CONTESTS: Mapping[str, Callable[[Subject], Contest]] = {
    "statistics": statistics,
    "roi": roi,
    "roi_everywhere": roi_everywhere,
    "azint": azint,
    "azint_corrected": azint_corrected,
    "spots": spots,
    "spots_adaptive": spots_adaptive,
    "background": background,
    "everything": everything,
}


def measure(name: str, on: Subject, n_rounds: int) -> list[str]:
    """A row of the table."""
    contest = CONTESTS[name](on)
    n = max(1, math.ceil((1 << 24) / on.image.size))
    calls = {PASS: lambda: np.sum(on.image), name: contest.own}
    repeated = {key: _measure.repeated(call, n) for key, call in calls.items()}
    if contest.second is not None:
        repeated[THREADS] = _measure.in_threads([repeated[name], _measure.repeated(contest.second, n)])
    rounds = _measure.alternate(repeated, n_rounds)
    row = [name, f"{1e3 * rounds.time_s(name).median / n:.2f}", str(rounds.ratio(PASS, name))]
    row.append("" if contest.second is None else f"{2 * rounds.ratio(THREADS, name).median:.2f}")
    for peer, call in contest.peers.items():
        against = _measure.alternate(
            {name: _measure.repeated(contest.own, n), peer: call}, max(3, n_rounds // 3)
        )
        ratios = [
            n * theirs / own
            for own, theirs in zip(*(against.seconds[key] for key in (name, peer)), strict=True)
        ]
        row.append(f"{peer}: {_measure.spread(ratios)} x slower")
    return row


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", choices=sorted(SIZES), default="4M")
    parser.add_argument("--rounds", type=int, default=_measure.N_ROUNDS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CONTESTS))
    options = parser.parse_args(argv)
    on = subject(options.size)
    rows = [measure(name, on, options.rounds) for name in options.names or CONTESTS]
    width = max(map(len, rows))
    heading = ["kernel", "ms", f"times {PASS}", f"{THREADS}, x", *["against"] * (width - 4)]
    print(_measure.table([heading, *(row + [""] * (width - len(row)) for row in rows)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
