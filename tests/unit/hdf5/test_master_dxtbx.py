"""DIALS' dxtbx, in the system's own Python, opens masters of each kind of run and places the pixels."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import hdf5plugin
import numpy as np
import pytest

from jfwriter.nexus.geometry import PONI_AXES, rotation
from jfwriter.session.plan import FileFormat
from jfwriter.wire.messages import GoniometerAxis, GridScan
from tests.support.hand_made_run import SHAPE, HandMadeRun, run_plan, start_message

SYSTEM_PYTHON = Path("/usr/bin/python3")
SCRIPT = """
import json, sys
from dxtbx.model.experiment_list import ExperimentListFactory
answers = {}
for name, master in json.load(sys.stdin).items():
    experiments = ExperimentListFactory.from_filenames([master])
    first = experiments[0]
    panel = first.detector[0]
    answers[name] = {
        "n_images": sum(len(images) for images in experiments.imagesets()),
        "panel": [panel.get_origin(), panel.get_fast_axis(), panel.get_slow_axis(), panel.get_pixel_size()],
        "oscillation": first.scan.get_oscillation() if first.scan else None,
        "axis": first.goniometer.get_rotation_axis() if first.goniometer else None,
        "exposure_s": first.scan.get_exposure_times()[0] if first.scan else None,
        "wavelength": first.beam.get_wavelength(),
        "pixel": first.imageset.get_raw_data(0)[0][3, 5],
        "material": panel.get_material(),
        "thickness_mm": panel.get_thickness(),
        "trusted": [first.imageset.get_mask(0)[0][0, i] for i in range(4)],
    }
json.dump(answers, sys.stdout)
"""
CORNERS = [(0, 0), (SHAPE[1], 0), (0, SHAPE[0]), (SHAPE[1], SHAPE[0])]
"""(fast, slow)"""

ERROR, LOWEST, SATURATED = -32768, -32767, 20000

SPINDLE = GoniometerAxis(10.0, 0.1)
GRID = GridScan(n_fast=3, step_x_axis=1e-5, step_y_axis=1e-5, snake=True)
KAPPA = {
    "omega": SPINDLE,
    "kappa": GoniometerAxis(),
    "chi": GoniometerAxis(30.0, 0.0),
    "phi": GoniometerAxis(5.0, 0.0, (0.0, 1.0, 0.0)),
}
RUNS: dict[str, tuple[dict[str, Any], int]] = {
    "still": ({}, 5),
    "rotation": ({"goniometer": {"omega": SPINDLE}}, 5),
    "one_image": ({"goniometer": {"omega": SPINDLE}}, 1),
    "helical": ({"goniometer": {"omega": GoniometerAxis(10.0, 0.1, None, (1e-6, 0.0, 0.0))}}, 5),
    "several_axes": ({"goniometer": KAPPA}, 5),
    "grid": ({"grid_scan": GRID}, 6),
    "tilted": ({"poni_rot1": 0.1, "poni_rot2": 0.2, "poni_rot3": 0.3, "saturation_value": SATURATED}, 5),
}
LAYOUTS = {"vds": (FileFormat.NXmxVDS, 3), "integrated": (FileFormat.NXmxIntegrated, 0)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, HandMadeRun]:
    made = {}
    for layout, (file_format, images_per_file) in LAYOUTS.items():
        for name, (fields, n_images) in RUNS.items():
            plan = run_plan(start_message(n_images, **fields), file_format, images_per_file)
            images = np.random.default_rng(n_images).integers(0, 20000, (n_images, *SHAPE), "i2")
            images[0, 0, :4] = ERROR, LOWEST, SATURATED - 1, SATURATED
            run = HandMadeRun(tmp_path_factory.mktemp(f"{name}_{layout}"), plan, images)
            run.write()
            made[f"{name}-{layout}"] = run
    return made


@pytest.fixture(scope="module")
def answers(runs: dict[str, HandMadeRun]) -> dict[str, dict[str, Any]]:
    environment = {**os.environ, "HDF5_PLUGIN_PATH": hdf5plugin.PLUGINS_PATH}
    if not SYSTEM_PYTHON.exists():
        pytest.skip("no system Python")
    found = subprocess.run([SYSTEM_PYTHON, "-c", "import dxtbx"], capture_output=True, check=False)
    if found.returncode != 0:
        pytest.skip("DIALS is not installed")
    answer = subprocess.run(
        [SYSTEM_PYTHON, "-c", SCRIPT],
        input=json.dumps({name: str(run.master) for name, run in runs.items()}),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    parsed: dict[str, dict[str, Any]] = json.loads(answer.stdout)
    return parsed


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", RUNS)
def test_images_scan_and_pixels(
    runs: dict[str, HandMadeRun], answers: dict[str, dict[str, Any]], name: str, layout: str
) -> None:
    run, answer = runs[f"{name}-{layout}"], answers[f"{name}-{layout}"]
    start = run.plan.start
    assert answer["n_images"] == len(run.images)
    assert answer["pixel"] == run.images[0, 3, 5]
    assert answer["wavelength"] == pytest.approx(1.0)
    assert answer["material"] == "Si"
    assert answer["thickness_mm"] == pytest.approx(0.32)
    assert answer["trusted"] == [False, True, True, start.saturation_value is None]
    if "omega" in start.goniometer:
        assert answer["oscillation"] == pytest.approx((10.0, 0.1))
        assert answer["axis"] == pytest.approx((1, 0, 0))
    else:
        assert answer["oscillation"] in (None, [0.0, 0.0])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", RUNS)
def test_corners_are_where_pyfai_s_formula_has_them(
    runs: dict[str, HandMadeRun], answers: dict[str, dict[str, Any]], name: str, layout: str
) -> None:
    """dxtbx' frame is the NeXus frame with x and z turned round."""
    start = runs[f"{name}-{layout}"].plan.start
    angles = (start.poni_rot1 or 0.0, start.poni_rot2 or 0.0, start.poni_rot3 or 0.0)
    turn = np.eye(3)
    for axis, angle in zip(PONI_AXES, angles, strict=True):
        turn = rotation(axis, angle) @ turn
    wanted = [
        turn @ ((20.5 - fast) * 75e-3, (10.25 - slow) * 75e-3, 120.0) * (-1, 1, -1) for fast, slow in CORNERS
    ]
    origin, fast_axis, slow_axis, (fast_mm, slow_mm) = map(np.array, answers[f"{name}-{layout}"]["panel"])
    corners = [origin + fast * fast_mm * fast_axis + slow * slow_mm * slow_axis for fast, slow in CORNERS]
    np.testing.assert_allclose(corners, wanted, rtol=0, atol=1e-6)
