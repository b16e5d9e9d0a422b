"""Finished runs written by hand with h5py, in each layout, for tests of what reads them."""

from __future__ import annotations

from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import numpy.typing as npt

Stack = npt.NDArray[np.generic]


def data_file(path: Path, images: Stack, first: int = 0, gaps: tuple[int, ...] = ()) -> None:
    """A data file whose rows `gaps` hold no image. Row i has i + 1 spots."""
    with h5py.File(path, "x", libver=("earliest", "v108")) as file:
        _image_data(file, images, first, gaps, "/entry/detector")


def _image_data(file: h5py.File, images: Stack, first: int, gaps: tuple[int, ...], numbers: str) -> None:
    n_rows = len(images)
    dataset = file.create_dataset(
        "/entry/data/data", data=images, chunks=(1, *images.shape[1:]), **hdf5plugin.Bitshuffle(cname="lz4")
    )
    dataset.attrs["image_nr_low"] = np.int32(first + 1)
    dataset.attrs["image_nr_high"] = np.int32(first + n_rows)
    number = np.arange(first, first + n_rows, dtype=np.int64)
    number[list(gaps)] = -1
    file[f"{numbers}/number"] = number
    spots = np.arange(1, n_rows + 1, dtype=np.uint32)
    spots[list(gaps)] = 0
    file["/entry/MX/nPeaks"] = spots


def _master_fields(file: h5py.File, n_images: int) -> None:
    file["/entry/definition"] = np.bytes_("NXmx")
    file["/entry/start_time"] = np.bytes_("2026-01-02T03:04:05Z")
    file["/entry/end_time"] = np.bytes_("2026-01-02T03:04:15.500000Z")
    file["/entry/instrument/beam/incident_wavelength"] = 0.98
    file["/entry/instrument/detector/detector_distance"] = 0.12
    file["/entry/instrument/detector/frame_time"] = 0.01
    file["/entry/instrument/detector/detectorSpecific/nimages"] = np.int64(n_images)
    file["/entry/instrument/detector/detectorSpecific/ntrigger"] = np.int64(1)


def plain_run(
    directory: Path, layout: str, images: Stack, images_per_file: int, gaps: tuple[int, ...] = ()
) -> Path:
    """A run of `layout` (NXmxLegacy, NXmxVDS, NXmxIntegrated) named "run"; returns its master."""
    n_images, height, width = images.shape
    master = directory / "run_master.h5"
    with h5py.File(master, "x", libver=("earliest", "v110")) as file:
        _master_fields(file, n_images)
        file.create_group("/entry/data")
        if layout == "NXmxIntegrated":
            _image_data(file, images, 0, gaps, "/entry/instrument/detector/detectorSpecific")
            return master
        virtual = h5py.VirtualLayout(images.shape, images.dtype)
        for k, first in enumerate(range(0, n_images, images_per_file)):
            rows = images[first : first + images_per_file]
            name = f"run_data_{k + 1:06d}.h5"
            data_file(
                directory / name, rows, first, tuple(g - first for g in gaps if 0 <= g - first < len(rows))
            )
            if layout == "NXmxLegacy":
                file[f"/entry/data/data_{k + 1:06d}"] = h5py.ExternalLink(name, "/entry/data/data")
            else:
                source = h5py.VirtualSource(name, "/entry/data/data", (len(rows), height, width))
                virtual[first : first + len(rows)] = source
        if layout == "NXmxVDS":
            file.create_virtual_dataset("/entry/data/data", virtual)
    return master
