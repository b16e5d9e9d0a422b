"""DIALS imports a simulated rotation series and finds the spots that the simulator put there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import hdf5plugin
import numpy as np
import numpy.typing as npt
import pytest

from jfwriter.simulator import (
    Dcu,
    RunOptions,
    SimulatedRun,
    default_geometry,
    default_sample,
    find_detector,
    send_run,
)
from jfwriter.simulator.images import SyntheticImages
from jfwriter.simulator.sending import SendPlan
from tests.support.daemon import RunningDaemon, wait_for

N_IMAGES = 12
STRONG_PHOTONS = 100.0
FloatArray = npt.NDArray[np.float64]
CENTROIDS = """
import json, sys
from dials.array_family import flex
table = flex.reflection_table.from_file(sys.argv[1])
print(json.dumps([list(v) for v in table["xyzobs.px.value"]]))
"""

pytestmark = pytest.mark.skipif(not shutil.which("dials.find_spots"), reason="DIALS is not installed")


def options(layout: str) -> RunOptions:
    detector = find_detector("jungfrau-1m")
    return RunOptions(detector=detector, geometry=default_geometry(detector), sample=default_sample(detector),
                      n_images=N_IMAGES, n_distinct=0, file_prefix="series", file_format=layout,
                      images_per_file=5)  # fmt: skip


def dials(folder: Path, *command: str) -> str:
    environment = {**os.environ, "HDF5_PLUGIN_PATH": hdf5plugin.PLUGINS_PATH}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def reflections_put_in(run_options: RunOptions) -> FloatArray:
    """x, y, image, photons [n, 4] of the reflections whose surroundings are not masked."""
    images = SyntheticImages(run_options)
    clear = np.asarray(images.pixel_mask == 0)
    parts: dict[tuple[int, ...], list[tuple[float, ...]]] = defaultdict(list)
    for number in range(N_IMAGES):
        spots = images.predict(number)[0]
        for x, y, photons, hkl in zip(spots.x, spots.y, spots.photons, spots.hkl, strict=True):
            column, row = round(x), round(y)
            near = clear[max(0, row - 4) : row + 5, max(0, column - 4) : column + 5]
            if near.shape == (9, 9) and near.all():
                parts[tuple(hkl)].append((x + 0.5, y + 0.5, number + 0.5, photons))
    merged = []
    for rows in parts.values():
        table = np.array(rows)
        photons = table[:, 3]
        merged.append([*(table[:, :3] * photons[:, None]).sum(0) / photons.sum(), photons.sum()])
    return np.array(merged)


def nearest(targets: FloatArray, points: FloatArray) -> FloatArray:
    """Vector (pixels) from each target to the nearest point that is not more than two images away."""
    offsets = points[None, :, :3] - targets[:, None, :3]
    distance = np.where(np.abs(offsets[..., 2]) <= 2, np.hypot(offsets[..., 0], offsets[..., 1]), np.inf)
    best: Any = distance.argmin(axis=1)
    return np.asarray(offsets[np.arange(len(targets)), best, :2])


@pytest.mark.parametrize("layout", ["NXmxVDS", "NXmxIntegrated"])
def test_finds_the_spots_of_the_simulator(tmp_path: Path, layout: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    run_options = options(layout)
    with Dcu() as dcu, RunningDaemon(root, *dcu.addresses):
        send_run(dcu, SimulatedRun(run_options), SendPlan())
        wait_for((root / "series_master.h5").exists)
    imported = dials(root, "dials.import", "series_master.h5")
    assert f"num images: {N_IMAGES}" in imported
    dials(root, "dials.find_spots", "imported.expt", "nproc=1")
    found = np.array(json.loads(dials(root, "/usr/bin/python3", "-c", CENTROIDS, "strong.refl")))

    put_in = reflections_put_in(run_options)
    strong = put_in[put_in[:, 3] > STRONG_PHOTONS]
    assert len(strong) > 300
    recall = np.hypot(*nearest(strong, found).T) < 1
    assert recall.mean() > 0.97, f"{recall.sum()} of {len(strong)} strong reflections found"
    offsets = nearest(found, put_in[put_in[:, 3] > 5])
    precise = np.hypot(*offsets.T) < 1
    assert precise.mean() > 0.97, f"{precise.sum()} of {len(found)} found spots are reflections"
    np.testing.assert_allclose(offsets[precise].mean(axis=0), 0.0, atol=0.02)
