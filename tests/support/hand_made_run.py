"""Runs whose data files are written by plain h5py, so that a master can be judged without our data files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.hdf5.file_versions import DATA_FILE, master_libver
from jfwriter.hdf5.master_file import MasterContent, write_master
from jfwriter.hdf5.plugin import StoredDataset
from jfwriter.nexus import fields
from jfwriter.session.orders import Outcome
from jfwriter.session.plan import FileFormat, RunPlan
from jfwriter.software import Software
from jfwriter.wire.messages import StartMessage

Array = npt.NDArray[Any]

SOFTWARE = Software("jfwriter", "1.2.3", "0123abc", "2026-01-01T00:00:00Z")
SHAPE = (24, 40)


def start_message(n_images: int, shape: tuple[int, int] = SHAPE, **changes: Any) -> StartMessage:
    """A plain rotation-free run with all that NXmx requires."""
    values: dict[str, Any] = {
        "series_id": 1,
        "number_of_images": n_images,
        "image_size_x": shape[1],
        "image_size_y": shape[0],
        "image_dtype": "int16",
        "arm_date": "2026-03-04T12:00:00Z",
        "beam_center_x": 20.5,
        "beam_center_y": 10.25,
        "detector_distance": 0.12,
        "incident_wavelength": 1.0,
        "pixel_size_x": 75e-6,
        "pixel_size_y": 75e-6,
        "frame_time": 0.01,
        "count_time": 0.0099,
        "sensor_thickness": 320e-6,
        "sensor_material": "Si",
        "detector_description": "JUNGFRAU",
        "source_name": "SLS",
        "instrument_name": "X06SA",
        "sample_name": "lysozyme",
    }
    return StartMessage(**(values | changes))


def run_plan(start: StartMessage, file_format: FileFormat, images_per_file: int, **changes: Any) -> RunPlan:
    values: dict[str, Any] = {
        "serial": 1,
        "received_at": 1.7e9,
        "directory": (),
        "basename": "run",
        "n_images_planned": start.number_of_images,
        "shape": (start.image_size_y, start.image_size_x),
        "dtype": np.dtype("int16"),
        "channels": (),
        "overwrite": False,
        "write_master": True,
        "only_writer": True,
        "max_spot_count": 5,
        "max_lattices_extra": 4,
        "fill_gaps": True,
        "sync": False,
    }
    return RunPlan(start=start, format=file_format, images_per_file=images_per_file, **(values | changes))


@dataclass
class HandMadeRun:
    """A run of `images` [n, y, x]; `per_image` maps paths in the data files to arrays [n, ...]."""

    folder: Path
    plan: RunPlan
    images: Array
    per_image: Mapping[str, Array] = field(default_factory=dict)
    sentinels: Mapping[str, Any] = field(default_factory=dict)
    missing_files: Sequence[int] = ()
    lacking: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """Per data file: the per-image datasets that it does not hold."""

    @property
    def master(self) -> Path:
        return self.folder / self.plan.master_name

    def write(self, **content: Any) -> list[str]:
        """Write data files and master; keywords are fields of MasterContent."""
        n_images = len(self.images)
        values: dict[str, Any] = {
            "n_images": n_images,
            "n_written": n_images,
            "written_at_s": 1.7e9,
            "outcome": Outcome.COMPLETE,
            "channels": {"default": self.images.dtype} if n_images else {},
            "datasets": self.stored(),
        }
        described = MasterContent(**(values | content))
        if not self.plan.is_integrated:
            self._write_data_files()
        with h5py.File(self.master, "w", libver=master_libver(self.plan.format)) as file:
            if self.plan.is_integrated and n_images:
                self._write_rows(file, slice(None), self.plan.images_per_file)
            return write_master(file, self.plan, described, software=SOFTWARE)

    def stored(self) -> tuple[StoredDataset, ...]:
        return tuple(
            StoredDataset(path, values.dtype, values.shape[1:], self.sentinels.get(path), {"units": "pixel"})
            for path, values in self.per_image.items()
        )

    def _write_data_files(self) -> None:
        step = self.plan.images_per_file or max(1, len(self.images))
        for file_index, first in enumerate(range(0, len(self.images), step)):
            if file_index not in self.missing_files:
                path = self.folder / self.plan.data_file_name(file_index)
                with h5py.File(path, "w", libver=DATA_FILE) as file:
                    self._write_rows(
                        file, slice(first, first + step), first, self.lacking.get(file_index, ())
                    )

    def _write_rows(self, file: h5py.File, rows: slice, first: int, lacking: Sequence[str] = ()) -> None:
        fields.group(fields.group(file, "entry", "NXentry"), "data", "NXdata")
        data = file.create_dataset(
            "entry/data/data",
            data=self.images[rows],
            chunks=(1, *self.plan.shape),
            maxshape=(None, *self.plan.shape),
        )
        data.attrs["image_nr_low"] = np.int32(first + 1)
        data.attrs["image_nr_high"] = np.int32(first + len(data))
        for path, values in self.per_image.items():
            if path not in lacking:
                parent = file["entry"]
                for name in path.split("/")[2:-1]:
                    parent = fields.collection(parent, name)
                file.create_dataset(path, data=values[rows])
