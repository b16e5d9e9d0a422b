"""Synthetic diffraction images: Bragg spots of a turning lattice on a background, with Poisson noise.

`SyntheticImages` is made once per run; each image depends on the options and its number alone, so that
it can be made again to compare what was written.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jfwriter.simulator.background import background_rows
from jfwriter.simulator.detector import MASK_NOISY, make_pixel_mask
from jfwriter.simulator.geometry import FloatArray
from jfwriter.simulator.lattice import random_orientation, reciprocal_basis, rotation_matrix
from jfwriter.simulator.options import Experiment, RunOptions
from jfwriter.simulator.prediction import ExpectedSpots, RotationPrediction, StillPrediction
from jfwriter.simulator.profiles import add_spots

Pixels = npt.NDArray[np.generic]

_BLOCK_ROWS = 256
"""Rows whose noise comes from one random stream: the image does not depend on the number of threads."""

_NOISY_PHOTONS = 50.0


def error_value(dtype: np.dtype[np.generic]) -> int | None:
    """Stored value of pixels without a measurement: INT_MIN, UINT_MAX, and None (NaN) for floats."""
    bits = 8 * dtype.itemsize
    return {"i": -(1 << (bits - 1)), "u": (1 << bits) - 1}.get(dtype.kind)


def saturation_value(dtype: np.dtype[np.generic]) -> int:
    """This count and above is saturated; counts are clipped to it."""
    bits = 8 * dtype.itemsize
    return {"i": (1 << (bits - 1)) - 1, "u": (1 << bits) - 2}.get(dtype.kind, 1 << 24)


@dataclass(frozen=True, slots=True)
class SimulatedImage:
    """`pixels` [height, width] as sent, `spots` as put in, `reciprocal` [3, 3]: columns a*, b*, c* (Å⁻¹)."""

    pixels: Pixels
    spots: ExpectedSpots
    reciprocal: FloatArray


class SyntheticImages:
    """The images of one run. `pixel_mask` is uint32 [height, width] with the bits of NXmx."""

    def __init__(self, options: RunOptions) -> None:
        self._options = options
        rng = np.random.default_rng([options.seed, 0])
        self.pixel_mask = make_pixel_mask(options.detector, rng)
        self.expected_background = self._make_background()
        self._no_value = (self.pixel_mask != 0) & (self.pixel_mask != MASK_NOISY)
        self._basis = random_orientation(rng) @ reciprocal_basis(options.sample.unit_cell)
        self._prediction: RotationPrediction | StillPrediction | None = None
        if options.sample.spots:
            rotating = options.scan.experiment is Experiment.ROTATION
            kind = RotationPrediction if rotating else StillPrediction
            self._prediction = kind(options.geometry, options.sample, options.scan, self._basis, rng)

    @property
    def valid(self) -> npt.NDArray[np.bool_]:
        """Pixels that no bit of the mask excludes. [height, width]"""
        return np.asarray(self.pixel_mask == 0)

    def image(self, image_id: int) -> SimulatedImage:
        """The image with this number; always the same."""
        spots, reciprocal = self.predict(image_id)
        expected = self.expected_background.copy()
        add_spots(expected, spots.x, spots.y, spots.photons, self._options.sample.spot_sigma_pxl)
        return SimulatedImage(self._count(expected, image_id), spots, reciprocal)

    def predict(self, image_id: int) -> tuple[ExpectedSpots, FloatArray]:
        """Spots without noise, and the lattice in the middle of the exposure."""
        options = self._options
        if options.scan.experiment is Experiment.STILL:
            rng = np.random.default_rng([options.seed, 1, image_id])
            basis = random_orientation(rng) @ reciprocal_basis(options.sample.unit_cell)
        else:
            angle = options.scan.angle_rad(image_id) + options.scan.increment_rad / 2
            basis = rotation_matrix(np.asarray(options.scan.axis), angle) @ self._basis
        if self._prediction is None:
            return ExpectedSpots.none(), basis
        return self._prediction.spots(image_id, basis, self._strength(image_id)), basis

    def _strength(self, image_id: int) -> float:
        """Share of the crystal in the beam: in a grid scan it is an ellipse in the middle of the grid."""
        scan, n_images = self._options.scan, self._options.n_images
        if scan.experiment is not Experiment.GRID:
            return 1.0
        row, column = divmod(image_id, scan.n_fast)
        if scan.snake and row % 2:
            column = scan.n_fast - 1 - column
        n_slow = max(1, math.ceil(n_images / scan.n_fast))
        x = (column + 0.5) / scan.n_fast - 0.5
        y = (row + 0.5) / n_slow - 0.5
        return math.exp(-0.5 * (x * x + y * y) / 0.18**2)

    def _make_background(self) -> npt.NDArray[np.float32]:
        """Expected photons without spots; zero where no photon is counted. [height, width]"""
        options = self._options
        height, width = options.detector.shape
        expected = np.empty((height, width), np.float32)
        for first in range(0, height, _BLOCK_ROWS):
            last = min(height, first + _BLOCK_ROWS)
            photons = options.sample.background_photons
            expected[first:last] = background_rows(options.geometry, photons, first, last)
        expected[(self.pixel_mask & MASK_NOISY) != 0] += np.float32(_NOISY_PHOTONS)
        return expected

    def _count(self, expected: npt.NDArray[np.float32], image_id: int) -> Pixels:
        """Poisson counts of the expected photons, clipped to the pixel type, without the masked pixels."""
        dtype = self._options.dtype
        pixels = np.empty(expected.shape, dtype)
        first_rows = range(0, expected.shape[0], _BLOCK_ROWS)
        seeds = np.random.SeedSequence([self._options.seed, 2, image_id]).spawn(len(first_rows))
        top = saturation_value(dtype)
        hole = np.nan if dtype.kind == "f" else error_value(dtype)

        def count(first: int, seed: np.random.SeedSequence) -> None:
            rows = slice(first, first + _BLOCK_ROWS)
            counts = np.random.Generator(np.random.SFC64(seed)).poisson(expected[rows])
            np.minimum(counts, top, out=counts)
            pixels[rows] = counts
            pixels[rows][self._no_value[rows]] = hole

        if len(first_rows) == 1:
            count(0, seeds[0])
        else:
            with ThreadPoolExecutor() as threads:
                list(threads.map(count, first_rows, seeds))
        return pixels
