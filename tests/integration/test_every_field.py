"""A DCU that shares no code with jfwriter sets every field of every message; each is found in the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest

from tests.support import full_run
from tests.support.daemon import RunningDaemon, wait_for
from tests.support.plain_dcu import PlainDcu, compress, encode, frames

N_IMAGES, MISSING, PER_FILE = 10, 6, 4
ORDER = (3, 0, 1, 2, 9, 4, 8, 5, 7)
LAYOUTS = ("NXmxLegacy", "NXmxVDS", "NXmxIntegrated")
GAP = np.iinfo(np.int16).min


@pytest.fixture(scope="module", params=LAYOUTS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """(layout, directory) of a finished run `sub/lyso`: out of order, image 6 missing, files of 4 images."""
    layout = str(request.param)
    root = tmp_path_factory.mktemp("root")
    images = frames(N_IMAGES)
    with PlainDcu() as dcu, RunningDaemon(root, dcu.address):
        dcu.send([
            full_run.start(images, prefix="sub/lyso", file_format=layout, images_per_file=PER_FILE,
                           json_user_data=layout == "NXmxVDS"),
            full_run.calibration(images),
            *(encode(full_run.image_message(i, images[i], "bslz4")) for i in ORDER),
            full_run.end(N_IMAGES),
        ])  # fmt: skip
        wait_for((root / "sub/lyso_master.h5").exists)
    return layout, root / "sub"


def expected_images() -> np.ndarray[Any, Any]:
    images = frames(N_IMAGES).copy()
    images[MISSING] = GAP
    return images


def image_files(layout: str, folder: Path) -> list[tuple[Path, range]]:
    if layout == "NXmxIntegrated":
        return [(folder / "lyso_master.h5", range(N_IMAGES))]
    return [
        (folder / f"lyso_data_{k + 1:06d}.h5", range(PER_FILE * k, min(N_IMAGES, PER_FILE * (k + 1))))
        for k in range(3)
    ]


def test_nothing_but_the_final_files(run: tuple[str, Path]) -> None:
    layout, folder = run
    expected = {path.name for path, _ in image_files(layout, folder)} | {"lyso_master.h5"}
    assert {path.name for path in folder.iterdir()} == expected


def test_pixels_are_those_that_were_sent(run: tuple[str, Path]) -> None:
    layout, folder = run
    with h5py.File(folder / "lyso_master.h5") as master:
        group = master["/entry/data"]
        names = ["data"] if layout != "NXmxLegacy" else [f"data_{k:06d}" for k in (1, 2, 3)]
        assert sorted(group) == names
        stack = np.concatenate([group[name][()] for name in names])
    np.testing.assert_array_equal(stack, expected_images())


def test_chunks_are_the_bytes_of_the_sender(run: tuple[str, Path]) -> None:
    images = frames(N_IMAGES)
    for path, numbers in image_files(*run):
        with h5py.File(path) as file:
            data = file["/entry/data/data"]
            assert data.chunks == (1, *images.shape[1:])
            assert data.shape[0] == len(numbers)
            for row, number in enumerate(numbers):
                if number != MISSING:
                    filter_mask, chunk = data.id.read_direct_chunk((row, 0, 0))
                    assert filter_mask == 0
                    assert chunk == compress(images[number], "bslz4")


def stored_path(layout: str, path: str) -> str:
    if layout == "NXmxIntegrated":
        return path.replace("/entry/detector/", "/entry/instrument/detector/detectorSpecific/")
    return path


def check_rows(dataset: h5py.Dataset, field: full_run.PerImage, numbers: range) -> None:
    assert len(dataset) == len(numbers), field.path
    assert dataset.dtype == np.dtype(field.dtype), field.path
    units = dataset.attrs.get("units")
    assert (units.decode() if isinstance(units, bytes) else units) == field.units, field.path
    rows = dataset[()]
    for row, number in enumerate(numbers):
        wanted = field.sentinel if number == MISSING else field.value(number)
        shown = np.broadcast_to(np.asarray(wanted), rows[row].shape)
        if rows.dtype.kind == "f":
            np.testing.assert_allclose(rows[row], shown, rtol=1e-6, err_msg=f"{field.path} image {number}")
        else:
            np.testing.assert_array_equal(rows[row], shown, err_msg=f"{field.path} image {number}")


@pytest.mark.parametrize("field", full_run.PER_IMAGE, ids=lambda field: field.path)
def test_field_of_the_image_message(run: tuple[str, Path], field: full_run.PerImage) -> None:
    layout, folder = run
    for path, numbers in image_files(layout, folder):
        with h5py.File(path) as file:
            check_rows(file[stored_path(layout, field.path)], field, numbers)
    if layout == "NXmxVDS":
        with h5py.File(folder / "lyso_master.h5") as master:
            check_rows(master[stored_path("NXmxIntegrated", field.path)], field, range(N_IMAGES))


def test_reflections(run: tuple[str, Path]) -> None:
    layout, folder = run
    if layout == "NXmxVDS":
        sources = [(folder / "lyso_master.h5", range(N_IMAGES))]
    else:
        sources = image_files(layout, folder)
    for path, numbers in sources:
        with h5py.File(path) as file:
            names = {f"image_{number:06d}" for number in numbers if number != MISSING}
            assert set(file["/entry/reflections"]) == names
            for name in names:
                group = file["/entry/reflections"][name]
                assert group.attrs["NX_class"] == b"NXreflections"
                for column, (values, units) in full_run.REFLECTION_COLUMNS.items():
                    np.testing.assert_allclose(group[column][()], values, rtol=1e-6)
                    stored_units = group[column].attrs.get("units")
                    assert (stored_units.decode() if stored_units else None) == units, column
                np.testing.assert_allclose(group["int_sum"][()], 100.0 + int(name[-6:]))
                np.testing.assert_allclose(group["observed_frame"][()], float(name[-6:]))


MASTER_PATHS = sorted(full_run.master_values(N_IMAGES, [MISSING], 512, 1024))


@pytest.mark.parametrize("path", MASTER_PATHS)
def test_field_of_the_run(run: tuple[str, Path], path: str) -> None:
    _, folder = run
    height, width = frames(1).shape[1:]
    wanted, units = full_run.master_values(N_IMAGES, [MISSING], height, width)[path]
    with h5py.File(folder / "lyso_master.h5") as master:
        dataset = master[path]
        value = dataset[()]
        stored_units = dataset.attrs.get("units")
    assert (stored_units.decode() if isinstance(stored_units, bytes) else stored_units) == units
    if isinstance(wanted, bytes) or (isinstance(wanted, list) and wanted and isinstance(wanted[0], bytes)):
        assert np.array_equal(value, wanted), value
    else:
        assert np.shape(value) == np.shape(wanted)
        np.testing.assert_allclose(value, wanted, rtol=1e-7)


def test_what_is_not_stored(run: tuple[str, Path]) -> None:
    layout, folder = run
    with h5py.File(folder / "lyso_master.h5") as master:
        assert "skipped" not in master["/entry/user"]
        detector = master["/entry/instrument/detector"]
        assert "eiger_fw_version" not in detector["detectorSpecific"]
        assert ("data" in detector) == (layout != "NXmxLegacy")
        mask = detector["pixel_mask"]
        assert mask.chunks is None
        assert mask.dtype == np.uint32
        assert (mask[3, 5], mask[7, 9], int((mask[()] != 0).sum())) == (1, 256, 2)
