"""What belongs on the picture of an image, from every layout."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from jfwriter.errors import StorageUnavailable
from jfwriter.reader.picture import read_picture
from tests.support.plain_runs import plain_run

DETECTOR = "/entry/instrument/detector"
IMAGES = np.random.default_rng(1).poisson(5.0, (5, 20, 30)).astype(np.int16)


def add_spots(path: Path, first: int) -> None:
    """Image i has i + 1 spots, at (10 i + j, j)."""
    with h5py.File(path, "r+") as file:
        n_rows = len(file["/entry/MX/nPeaks"])
        image = np.arange(first, first + n_rows)[:, None]
        del file["/entry/MX/nPeaks"]
        file["/entry/MX/nPeaks"] = (image[:, 0] + 1).astype("u4")
        file["/entry/MX/peakXPosRaw"] = np.broadcast_to(10 * image + np.arange(6), (n_rows, 6)).astype("f4")
        file["/entry/MX/peakYPosRaw"] = np.broadcast_to(np.arange(6), (n_rows, 6)).astype("f4")
        file["/entry/MX/peakIceRingRes"] = np.broadcast_to(np.arange(6) == 1, (n_rows, 6)).astype("u1")


def add_description(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        mask = np.zeros((20, 30), np.uint32)
        mask[4], mask[5] = 1, 1 << 31
        file[f"{DETECTOR}/pixel_mask"] = mask
        roi_map = np.zeros((20, 30), np.uint16)
        roi_map[2:5, 3:6] = 2
        file["/entry/roi_defs/roi_map"] = roi_map
        file["/entry/roi_defs/beam/bit_index"] = np.uint16(1)
        for name, value in (("x_pixel_size", 1e-4), ("y_pixel_size", 2e-4), ("beam_center_x", 15.5),
                            ("beam_center_y", 10.5), ("transformations/rot1", 0.1)):  # fmt: skip
            file[f"{DETECTOR}/{name}"] = value


def make(directory: Path, layout: str) -> Path:
    master = plain_run(directory, layout, IMAGES, 3)
    add_description(master)
    if layout == "NXmxIntegrated":
        add_spots(master, 0)
    else:
        for k in (0, 1):
            add_spots(directory / f"run_data_{k + 1:06d}.h5", 3 * k)
    if layout == "NXmxVDS":
        with h5py.File(master, "r+") as file:
            for name, dtype, width in (
                ("nPeaks", "u4", ()), ("peakXPosRaw", "f4", (6,)), ("peakYPosRaw", "f4", (6,)),
                ("peakIceRingRes", "u1", (6,)),
            ):  # fmt: skip
                virtual = h5py.VirtualLayout((5, *width), dtype)
                for k, n_rows in ((0, 3), (1, 2)):
                    source = f"run_data_{k + 1:06d}.h5"
                    virtual[3 * k : 3 * k + n_rows] = h5py.VirtualSource(
                        source, f"/entry/MX/{name}", (n_rows, *width)
                    )
                file.create_virtual_dataset(f"/entry/MX/{name}", virtual)
    return master


@pytest.mark.parametrize("layout", ["NXmxLegacy", "NXmxVDS", "NXmxIntegrated"])
def test_every_layout(tmp_path: Path, layout: str) -> None:
    picture = read_picture(make(tmp_path, layout), 4)
    np.testing.assert_array_equal(picture.pixels, IMAGES[4])
    np.testing.assert_array_equal(picture.spot_x, 40 + np.arange(5))
    np.testing.assert_array_equal(picture.spot_y, np.arange(5))
    assert picture.ice_ring.tolist() == [False, True, False, False, False]
    assert np.flatnonzero(picture.masked.all(axis=1)).tolist() == [4]
    assert list(picture.regions) == ["beam"]
    assert picture.regions["beam"].sum() == 9
    assert picture.geometry is not None
    assert (picture.geometry.beam_x_pxl, picture.geometry.rot1_rad) == (15.5, 0.1)
    assert (picture.geometry.distance_m, picture.geometry.wavelength_angstrom) == (0.12, 0.98)


def test_a_data_file_and_the_master_beside_it(tmp_path: Path) -> None:
    master = make(tmp_path, "NXmxLegacy")
    data_file = tmp_path / "run_data_000002.h5"
    picture = read_picture(data_file, 1)
    np.testing.assert_array_equal(picture.pixels, IMAGES[4])
    assert len(picture.spot_x) == 5
    assert picture.masked[4].all()
    master.unlink()
    alone = read_picture(data_file, 1)
    assert not alone.masked.any()
    assert (alone.geometry, alone.regions) == (None, {})


def test_a_run_without_spots_and_fields_of_another_type(tmp_path: Path) -> None:
    images = IMAGES.copy()
    images[0, 3, 3] = np.iinfo(np.int16).min
    master = plain_run(tmp_path, "NXmxIntegrated", images, 0)
    with h5py.File(master, "r+") as file:
        file[f"{DETECTOR}/pixel_mask"] = np.bytes_("none")
        file["/entry/roi_defs"] = 5
        file["/entry/MX/peakXPosRaw"] = np.zeros(3)
    picture = read_picture(master, 0)
    assert len(picture.spot_x) == 0
    assert np.argwhere(picture.masked).tolist() == [[3, 3]]


def test_an_image_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="image 5: the run has 5 images"):
        read_picture(plain_run(tmp_path, "NXmxIntegrated", IMAGES, 0), 5)
    with pytest.raises(StorageUnavailable, match=r"none\.h5: cannot be read"):
        read_picture(tmp_path / "none.h5", 0)
