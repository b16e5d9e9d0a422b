"""Spots of real frames against those of DIALS and of pyFAI's peak finder: figures of the spots page.

    python -m benchmarks.spots_overlap

No times. DIALS is the Debian package `dials`; pyFAI's peak finder needs OpenCL, for example `pip install
pyopencl pocl-binary-distribution`. What is not there is left out.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from benchmarks._measure import table
from benchmarks._stream import FRAMES
from benchmarks.spots_accuracy import nearest, positions
from jfwriter.kernels.edges import map_of_edges
from jfwriter.kernels.pixel_classes import PixelRules
from jfwriter.kernels.spots import SpotFinder, SpotSettings, prepare_spots
from tests.support.dials_spots import dials_spots, write_stills

Array = npt.NDArray[Any]
Spots = Sequence[Array]
"""Centres [n, 2] of each frame in pixels, whole numbers at pixel centres."""

ERROR, SATURATED = -32768, 32767
MATCH_PXL = 1.0
BEAM_PXL, DISTANCE_M, PIXEL_M, WAVELENGTH_ANGSTROM = (512.0, 256.0), 0.12, 75e-6, 1.0
DIALS: Mapping[str, tuple[str, ...]] = {
    "DIALS, same thresholds": (
        "spotfinder.threshold.algorithm=dispersion", "spotfinder.threshold.dispersion.sigma_background=3",
        "spotfinder.threshold.dispersion.sigma_strong=3",
        "spotfinder.threshold.dispersion.global_threshold=7",
    ),
    "DIALS, dispersion": ("spotfinder.threshold.algorithm=dispersion",),
    "DIALS, dispersion_extended": (),
}  # fmt: skip
SIZES = ("spotfinder.filter.min_spot_size=2", "spotfinder.filter.max_spot_size=50")
PYFAI_NOISE = (8.0, 4.0, 1.0)


@dataclass(frozen=True, slots=True)
class Frames:
    """`pixels` int16 [n, y, x], `bad` bool [y, x]."""

    pixels: Array
    bad: Array


def own_spots(frames: Frames, without: Array) -> Spots:
    """Spots with default thresholds; pixels `without` [y, x] take no part."""
    rules = PixelRules((frames.bad | without).astype(np.uint8), ERROR, SATURATED)
    finder = SpotFinder(prepare_spots(SpotSettings(), rules, None), 10_000)
    return [positions(finder.find(frame)) for frame in frames.pixels]


def spots_of_pyfai(frames: Frames, noise: float) -> Spots:
    """3 σ above the background of the ring and `noise` above it, two pixels or more in 3 x 3."""
    from pyFAI.integrator.azimuthal import AzimuthalIntegrator
    from pyFAI.opencl import ocl
    from pyFAI.opencl.peak_finder import OCL_PeakFinder

    integrator = AzimuthalIntegrator(
        dist=DISTANCE_M, poni1=BEAM_PXL[1] * PIXEL_M, poni2=BEAM_PXL[0] * PIXEL_M, pixel1=PIXEL_M,
        pixel2=PIXEL_M, wavelength=WAVELENGTH_ANGSTROM * 1e-10,
    )  # fmt: skip
    shape = frames.bad.shape
    mask = frames.bad.astype(np.int8)
    engine = integrator.setup_sparse_integrator(
        shape, 800, mask=mask, unit="r_m", split="no", algo="CSR", scale=False
    )
    finder = OCL_PeakFinder(
        engine.lut, image_size=mask.size, empty=ERROR, unit="r_m", bin_centers=engine.bin_centers,
        radius=integrator.array_from_unit(shape, typ="center", unit="r_m", scale=False), mask=mask,
        # Among platforms of one name, pyFAI looks for the device in the last one.
        ctx=ocl.create_context(platformid=len(ocl.platforms) - 1, deviceid=0),
    )  # fmt: skip
    found = []
    for frame in frames.pixels:
        peaks = finder.peakfinder(
            np.where(frame == SATURATED, ERROR, frame), dummy=ERROR, delta_dummy=0.5, error_model="poisson",
            cutoff_clip=5.0, cycle=5, noise=noise, cutoff_peak=3.0, patch_size=3, connected=2,
        )  # fmt: skip
        found.append(np.column_stack([peaks["pos1"], peaks["pos0"]]).astype(np.float64))
    return found


def has_opencl() -> bool:
    try:
        from pyFAI.opencl import ocl
    except ImportError:
        return False
    return ocl is not None


def share(of: Spots, among: Spots) -> float:
    """Share of the spots `of` with one `among` the others within MATCH_PXL."""
    near = [nearest(a, b)[0] < MATCH_PXL for a, b in zip(of, among, strict=True)]
    return float(np.concatenate(near).mean()) if sum(map(len, near)) else float("nan")


def offset(of: Spots, to: Spots) -> str:
    """Rms and mean of the distance of the spots that both have."""
    vectors = []
    for a, b in zip(of, to, strict=True):
        distance, which = nearest(a, b)
        vectors.append((b[which] - a)[distance < MATCH_PXL])
    both = np.concatenate(vectors)
    return f"{np.sqrt((both**2).mean()):.3f}; " + ", ".join(f"{v:+.3f}" for v in both.mean(axis=0))


def count(spots: Spots) -> int:
    return sum(map(len, spots))


def on_edges(spots: Spots, edges: Array) -> int:
    return sum(int(edges[tuple(np.rint(s[:, ::-1]).astype(int).T)].sum()) for s in spots)


def without_edges(spots: Spots, edges: Array) -> Spots:
    return [s[~edges[tuple(np.rint(s[:, ::-1]).astype(int).T)]] for s in spots]


def main() -> int:
    if not FRAMES.exists():
        print(f"{FRAMES} is not there")
        return 1
    with h5py.File(FRAMES) as file:
        frames = Frames(file["frames"][:], file["bad_pixels"][:] != 0)
    edges = map_of_edges(frames.bad.shape, None, has_bare_modules=True) != 0
    everywhere, between = own_spots(frames, np.zeros_like(edges)), own_spots(frames, edges)
    print(
        f"{len(frames.pixels)} frames: {count(everywhere)} spots, {on_edges(everywhere, edges)} of them on "
        f"the {100 * edges.mean():.1f} % of pixels between chips; {count(between)} with mask_chip_edges\n"
    )
    others: dict[str, Spots] = {}
    if shutil.which("dials.find_spots"):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            master = write_stills(folder, frames.pixels, frames.bad)
            for title, options in DIALS.items():
                others[title] = dials_spots(folder, master, *options, *SIZES)
    if has_opencl():
        others |= {f"pyFAI, signal {noise:g}": spots_of_pyfai(frames, noise) for noise in PYFAI_NOISE}
    rows = [["", "spots", "of them here", "of those here", "distance rms; mean x, y (pixel)"]]
    for title, theirs in others.items():
        for own, suffix, their in (
            (everywhere, "", theirs),
            (between, ", without edges", without_edges(theirs, edges)),
        ):
            rows.append([
                title + suffix, str(count(their)), f"{100 * share(their, own):.1f} %",
                f"{100 * share(own, their):.1f} %", offset(their, own),
            ])  # fmt: skip
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
