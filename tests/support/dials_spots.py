"""Spots that `dials.find_spots` finds in frames, each of them taken as a still."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import hdf5plugin
import numpy as np
import numpy.typing as npt

from tests.support.offline import OfflineDaemon
from tests.support.plain_dcu import encode, image

Array = npt.NDArray[Any]

_TABLE = """
import json, sys
from dials.array_family import flex
table = flex.reflection_table.from_file(sys.argv[1])
print(json.dumps([list(v) for v in table["xyzobs.px.value"]]))
"""


def write_stills(folder: Path, frames: Array, bad_pixels: Array) -> Path:
    """An NXmx file of the frames without a scan; saturated is 32767, an error -32768."""
    height, width = frames.shape[1:]
    start = {
        "type": "start", "series_id": 1, "series_unique_id": "stills", "number_of_images": len(frames),
        "image_size_x": width, "image_size_y": height, "image_dtype": "int16", "channels": ["default"],
        "beam_center_x": width / 2, "beam_center_y": height / 2, "detector_distance": 0.12,
        "incident_wavelength": 1.0, "pixel_size_x": 75e-6, "pixel_size_y": 75e-6, "frame_time": 0.01,
        "count_time": 0.01, "sensor_thickness": 320e-6, "sensor_material": "Si", "saturation_value": 32767,
        "error_value": -32768, "pixel_mask": {"default": image(bad_pixels.astype("<u4"), None)},
        "arm_date": "2026-03-04T12:34:56Z",
        "source_name": "Swiss Light Source", "instrument_name": "X06SA",
        "user_data": {"file_prefix": "stills", "file_format": "NXmxIntegrated"},
    }  # fmt: skip
    messages = [encode(start)]
    for i, frame in enumerate(frames):
        messages.append(encode({
            "type": "image", "series_id": 1, "series_unique_id": "stills", "image_id": i,
            "start_time": [i, 100], "stop_time": [i + 1, 100], "real_time": [1, 100],
            "data": {"default": image(frame, "bslz4")},
        }))  # fmt: skip
    messages.append(encode({"type": "end", "series_id": 1, "series_unique_id": "stills"}))
    written = OfflineDaemon(folder).take(messages)
    assert written.reports, written
    (master,) = folder.glob("stills*.h5")
    return master


def dials_spots(folder: Path, master: Path, *options: str) -> list[Array]:
    """Centres [n, 2] of each image in pixels, whole numbers at pixel centres."""

    def run(*command: str) -> str:
        environment = {**os.environ, "HDF5_PLUGIN_PATH": hdf5plugin.PLUGINS_PATH}
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("dials.import", str(master))
    run("dials.find_spots", "imported.expt", "nproc=1", *options)
    centres = np.array(json.loads(run("/usr/bin/python3", "-c", _TABLE, "strong.refl"))).reshape(-1, 3)
    numbers = np.floor(centres[:, 2]).astype(int)
    return [centres[numbers == i, :2] - 0.5 for i in range(numbers.max(initial=-1) + 1)]
