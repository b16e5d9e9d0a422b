"""Programs that are not ours open a run in each layout and see the images that were sent.

The check scripts that come beside the project are used where they are; a reader that is not installed is
skipped with its name. What each layout promises to which reader stands in `docs/reference/layout.md`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import hdf5plugin
import numpy as np
import pytest

from tests.support import full_run
from tests.support.daemon import RunningDaemon, wait_for
from tests.support.plain_dcu import PlainDcu, encode, frames

SCRIPTS = Path(__file__).parents[3] / "shared" / "readers"
N_IMAGES, MISSING = 10, 6
SYSTEM_PYTHON = "/usr/bin/python3"

LAYOUTS = {
    "legacy": ("NXmxLegacy", 4),
    "legacy_one_file": ("NXmxLegacy", 0),
    "vds": ("NXmxVDS", 4),
    "integrated": ("NXmxIntegrated", 0),
}
READERS = ("h5py", "fabio", "silx", "nxmx", "nexusformat", "pyfai", "h5grove", "dectris_compression",
           "h5dump", "nxsummary", "dxtbx")  # fmt: skip
EXCEPTIONS = {("legacy", "dxtbx")}
"""FormatNXmx follows only the first link of a legacy master: one data file, or another layout, for DIALS."""

NOT_INSTALLED = ("ModuleNotFoundError", "directory: 'h5ls'", "directory: 'h5dump'", "directory: 'nxsummary'")


@dataclass(frozen=True)
class Run:
    layout: str
    master: Path
    expected: Path


@pytest.fixture(scope="module", params=LAYOUTS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    layout = str(request.param)
    file_format, images_per_file = LAYOUTS[layout]
    root = tmp_path_factory.mktemp("root")
    images = frames(N_IMAGES)
    with PlainDcu() as dcu, RunningDaemon(root, dcu.address):
        dcu.send([
            full_run.start(images, prefix="lyso", file_format=file_format, images_per_file=images_per_file,
                           json_user_data=False),
            *(encode(full_run.image_message(i, images[i], "bslz4")) for i in range(N_IMAGES) if i != MISSING),
            full_run.end(N_IMAGES),
        ])  # fmt: skip
        wait_for((root / "lyso_master.h5").exists)
    expected = images.copy()
    expected[MISSING] = np.iinfo(images.dtype).min
    np.save(root / "expected.npy", expected)
    return Run(layout, root / "lyso_master.h5", root / "expected.npy")


@pytest.mark.parametrize("reader", READERS)
def test_reader_sees_what_was_sent(run: Run, reader: str) -> None:
    script = SCRIPTS / f"check_{reader}.py"
    if not script.exists():
        pytest.skip("the check scripts are not beside the project")
    if (run.layout, reader) in EXCEPTIONS:
        pytest.skip("this reader does not read several files of this layout")
    python, environment = sys.executable, {**os.environ, "PYTHONWARNINGS": "default"}
    if reader == "dxtbx":
        if not shutil.which("dials.import"):
            pytest.skip("DIALS is not installed")
        python = SYSTEM_PYTHON
        environment["HDF5_PLUGIN_PATH"] = hdf5plugin.PLUGINS_PATH
    result = subprocess.run(
        [python, str(script), str(run.master), str(run.expected)],
        capture_output=True, text=True, env=environment, cwd=run.master.parent, check=False,
    )  # fmt: skip
    output = result.stdout + result.stderr
    if any(sign in output for sign in NOT_INSTALLED):
        pytest.skip(f"{reader} is not installed")
    assert result.returncode == 0, output
