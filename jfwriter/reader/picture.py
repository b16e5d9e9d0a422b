"""One image of a finished run with what belongs on a picture of it: mask, spots, regions, geometry."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.errors import StorageUnavailable
from jfwriter.kernels.geometry import Geometry
from jfwriter.nexus import pixel_types
from jfwriter.reader import guard
from jfwriter.reader.fields import float_of, integer_of, short
from jfwriter.reader.images import RunImages
from jfwriter.reader.nodes import TROUBLE, dataset_at

DETECTOR = "/entry/instrument/detector"
Array = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """`pixels` [y, x]; `masked` bool [y, x]: masked or without a value. Spots in pixels, whole numbers at
    pixel centres. `regions` maps names to bool [y, x]. `geometry` is None where the files do not say."""

    title: str
    pixels: Array
    masked: npt.NDArray[np.bool_]
    spot_x: npt.NDArray[np.float64]
    spot_y: npt.NDArray[np.float64]
    ice_ring: npt.NDArray[np.bool_]
    regions: dict[str, npt.NDArray[np.bool_]]
    geometry: Geometry | None


def read_picture(path: Path, image_id: int, *, follow: bool = False) -> Picture:
    """Image `image_id` of a master of any layout, or row `image_id` of a data file.

    A data file says nothing of mask and geometry: they are taken from its master, if that lies beside it.
    `follow`: read also what the master refers to outside its directory. Raises StorageUnavailable.
    """
    try:
        with RunImages(path, follow=follow) as images:
            pixels = images.image(image_id)
            dataset, row = images.place(image_id)
            with _description(path) as master:
                return _picture(f"{path.name}, image {image_id}", pixels, dataset.file, row, master)
    except TROUBLE as error:
        raise StorageUnavailable(f"{path}: image {image_id}: {short(error)}") from error


@contextlib.contextmanager
def _description(path: Path) -> Iterator[h5py.File | None]:
    """The master of the run, if it can be found."""
    master = path.with_name(re.sub(r"_data_\d{6}\.h5$", "_master.h5", path.name))
    if not master.exists():
        yield None
        return
    with guard.open_file(master) as file:
        yield file


def _picture(title: str, pixels: Array, file: h5py.File, row: int, master: h5py.File | None) -> Picture:
    masked = np.asarray(pixels == pixel_types.fill_value(pixels.dtype))
    if pixels.dtype.kind == "f":
        masked = np.isnan(pixels)
    regions: dict[str, npt.NDArray[np.bool_]] = {}
    geometry = None
    height, width = pixels.shape
    if master is not None:
        mask = dataset_at(master, f"{DETECTOR}/pixel_mask")
        if mask is not None and mask.shape == pixels.shape and mask.dtype.kind in "iu":
            guard.check(mask)
            masked |= (mask[()] & 0xFFFF) != 0
        regions = _regions(master, (height, width))
        geometry = _geometry(master, (height, width))
    x, y, ice_ring = _spots(file, row)
    return Picture(
        title=title,
        pixels=pixels,
        masked=masked,
        spot_x=x,
        spot_y=y,
        ice_ring=ice_ring,
        regions=regions,
        geometry=geometry,
    )


def _spots(
    file: h5py.File, row: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """x, y and whether they lie on ice rings, [n]."""
    counts = dataset_at(file, "/entry/MX/nPeaks")
    n_spots = 0
    if counts is not None and counts.ndim == 1 and row < len(counts):
        guard.check(counts, row)
        n_spots = int(counts[row])
    columns: list[npt.NDArray[np.float64] | None] = []
    for name in ("peakXPosRaw", "peakYPosRaw", "peakIceRingRes"):
        dataset = dataset_at(file, f"/entry/MX/{name}")
        fits = dataset is not None and dataset.ndim == 2 and row < len(dataset)
        if fits and dataset is not None:
            guard.check(dataset, row)
            columns.append(np.asarray(dataset[row, :n_spots], np.float64))
        else:
            columns.append(None)
    x, y, ice_ring = columns
    if x is None or y is None:
        return np.empty(0), np.empty(0), np.empty(0, np.bool_)
    return x, y, np.zeros(len(x), np.bool_) if ice_ring is None else ice_ring != 0


def _regions(master: h5py.File, shape: tuple[int, int]) -> dict[str, npt.NDArray[np.bool_]]:
    roi_map = dataset_at(master, "/entry/roi_defs/roi_map")
    if roi_map is None or roi_map.shape != shape or roi_map.dtype.kind not in "iu":
        return {}
    guard.check(roi_map)
    bits = roi_map[()]
    regions = {}
    for name in master["/entry/roi_defs"]:
        bit = integer_of(master, f"/entry/roi_defs/{name}/bit_index")
        if bit is not None and 0 <= bit < 16:
            regions[str(name)] = np.asarray((bits >> bit) & 1, np.bool_)
    return regions


def _geometry(master: h5py.File, shape: tuple[int, int]) -> Geometry | None:
    names = ("x_pixel_size", "y_pixel_size", "beam_center_x", "beam_center_y", "detector_distance")
    values = [float_of(master, f"{DETECTOR}/{name}") for name in names]
    wavelength = float_of(master, "/entry/instrument/beam/incident_wavelength")
    turns = [float_of(master, f"{DETECTOR}/transformations/rot{i}") or 0.0 for i in (1, 2, 3)]
    known = [value for value in (*values, wavelength) if value is not None]
    if len(known) < len(values) + 1:
        return None
    size_x, size_y, beam_x, beam_y, distance, wavelength_angstrom = known
    if min(size_x, size_y, distance, wavelength_angstrom) <= 0:
        return None
    return Geometry(shape, size_x, size_y, beam_x, beam_y, distance, wavelength_angstrom, *turns)
