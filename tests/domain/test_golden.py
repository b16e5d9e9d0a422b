"""Path, type, shape, units and attributes of every object of each layout, against a text file under review.

After a wanted change of the layout: `JFWRITER_UPDATE_GOLDEN=1 python -m pytest tests/domain/test_golden.py`,
then read the difference and `docs/reference/layout.md` before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.support import full_run
from tests.support.dump import dump
from tests.support.offline import write
from tests.support.plain_dcu import encode

GOLDEN = Path(__file__).parents[1] / "golden"
N_IMAGES, MISSING, PER_FILE = 5, 2, 3
CASES = {
    "legacy_master": ("NXmxLegacy", "run_master.h5"),
    "data_file": ("NXmxLegacy", "run_data_000001.h5"),
    "vds_master": ("NXmxVDS", "run_master.h5"),
    "vds_data_file": ("NXmxVDS", "run_data_000001.h5"),
    "integrated": ("NXmxIntegrated", "run_master.h5"),
    "only_data": ("NXmxOnlyData", "run_data_000002.h5"),
}


@pytest.mark.parametrize("name", CASES)
def test_layout_is_as_agreed(tmp_path: Path, name: str) -> None:
    layout, file_name = CASES[name]
    images = np.random.default_rng(5).poisson(3.0, (N_IMAGES, 48, 64)).astype(np.int16)
    write(tmp_path, [
        full_run.start(images, prefix="run", file_format=layout, images_per_file=PER_FILE,
                       json_user_data=False),
        full_run.calibration(images),
        *(encode(full_run.image_message(i, images[i], "bslz4")) for i in range(N_IMAGES) if i != MISSING),
        full_run.end(N_IMAGES),
    ], files={"checksum": "crc32"})  # fmt: skip
    found = dump(tmp_path / file_name)
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("JFWRITER_UPDATE_GOLDEN"):
        golden.write_text(found)
    assert found == golden.read_text()
