"""What a VDS master shows of its data files, written by plain h5py."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from jfwriter.hdf5 import virtual_datasets
from jfwriter.hdf5.dataset_calls import NewDataset, make_datasets
from jfwriter.hdf5.per_image_links import map_per_image
from jfwriter.hdf5.plugin import StoredDataset
from jfwriter.hdf5.virtual_datasets import VirtualDatasets
from jfwriter.session.plan import FileFormat
from tests.support.hand_made_run import SHAPE, HandMadeRun, run_plan, start_message

N_IMAGES = 10
RNG = np.random.default_rng(2)
PER_IMAGE: dict[str, Any] = {
    "/entry/MX/nPeaks": np.arange(1, N_IMAGES + 1, dtype="u4"),
    "/entry/MX/peakXPosRaw": RNG.random((N_IMAGES, 5), "f4"),
    "/entry/MX/latticeIndexedExtra": RNG.random((N_IMAGES, 4, 9), "f4"),
    "/entry/MX/bravaisLattice": np.array([b"tP", b"mC"] * 5, dtype="S3"),
    "/entry/MX/indexingLatticeCount": np.arange(N_IMAGES, dtype="u4"),
    "/entry/azint/image": RNG.random((N_IMAGES, 2, 7), "f4"),
    "/entry/roi/50%b/sum": np.arange(N_IMAGES, dtype="i8"),
    "/entry/image/max_value": np.arange(N_IMAGES, dtype="i8"),
    "/entry/detector/number": np.arange(N_IMAGES, dtype="i8"),
    "/entry/xfel/pulseID": np.arange(N_IMAGES, dtype="u8") + 2**63,
}
SENTINELS: dict[str, Any] = {
    "/entry/MX/nPeaks": 0,
    "/entry/MX/peakXPosRaw": 0,
    "/entry/MX/latticeIndexedExtra": np.nan,
    "/entry/MX/indexingLatticeCount": 0,
    "/entry/azint/image": np.nan,
    "/entry/roi/50%b/sum": 0,
    "/entry/image/max_value": -(2**63),
    "/entry/detector/number": -1,
    "/entry/xfel/pulseID": 0,
}


def in_master(path: str) -> str:
    return path.replace("/entry/detector/", "/entry/instrument/detector/detectorSpecific/")


def make(
    folder: Path, *, images_per_file: int = 4, missing_files: tuple[int, ...] = (), **plan: Any
) -> HandMadeRun:
    images = RNG.integers(-100, 30000, (N_IMAGES, *SHAPE), "i2")
    made = run_plan(start_message(N_IMAGES), FileFormat.NXmxVDS, images_per_file, **plan)
    return HandMadeRun(folder, made, images, PER_IMAGE, SENTINELS, missing_files)


@pytest.mark.parametrize("images_per_file", [1, 3, 4, 10, 0])
def test_every_row_of_every_dataset(tmp_path: Path, images_per_file: int) -> None:
    run = make(tmp_path, images_per_file=images_per_file)
    assert run.write() == []
    with h5py.File(run.master, "r") as file:
        np.testing.assert_array_equal(file["entry/data/data"], run.images)
        for path, values in PER_IMAGE.items():
            dataset = file[in_master(path)]
            assert dataset.is_virtual
            assert dataset.dtype == values.dtype
            assert dataset.shape == dataset.maxshape == values.shape
            assert dataset.attrs["units"] == b"pixel"
            np.testing.assert_array_equal(dataset, values)
        assert file["entry/MX/indexedLatticeCount"] == file["entry/MX/indexingLatticeCount"]


@pytest.mark.parametrize("n_together", [1, 7, 100])
def test_a_master_of_many_files_is_made_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_together: int
) -> None:
    """Ten datasets and the images over three files."""
    calls: list[int] = []

    def make_some(new: Sequence[NewDataset]) -> tuple[int, int]:
        calls.append(len(new))
        return make_datasets(new)

    monkeypatch.setattr(virtual_datasets, "make_datasets", make_some)
    monkeypatch.setattr(virtual_datasets, "MAPPINGS_TOGETHER", n_together)
    run = make(tmp_path)
    assert run.write() == []
    with h5py.File(run.master) as master:
        for path, values in PER_IMAGE.items():
            np.testing.assert_array_equal(master[in_master(path)], values)
        np.testing.assert_array_equal(master["entry/data/data"], run.images)
    assert sum(calls) == 1 + len(PER_IMAGE)
    assert max(calls) == {1: 1, 7: 3, 100: 11}[n_together]


def test_a_missing_file_reads_as_sentinels(tmp_path: Path) -> None:
    run = make(tmp_path, missing_files=(1,))
    run.write()
    gone, there = slice(4, 8), [0, 1, 2, 3, 8, 9]
    with h5py.File(run.master, "r") as file:
        images = file["entry/data/data"][()]
        assert (images[gone] == np.iinfo("i2").min).all()
        np.testing.assert_array_equal(images[there], run.images[there])
        for path, values in PER_IMAGE.items():
            stored = file[in_master(path)][()]
            np.testing.assert_array_equal(stored[gone], np.full_like(values[gone], SENTINELS.get(path, b"")))
            np.testing.assert_array_equal(stored[there], values[there])


def test_files_that_lack_a_dataset_read_as_sentinels(tmp_path: Path) -> None:
    """Optional quantities: no image of that file carried them, so that not even their group is there."""
    run = make(tmp_path)
    lacking = ["/entry/xfel/pulseID", "/entry/roi/50%b/sum", "/entry/MX/nPeaks", "/entry/azint/image"]
    run.lacking = {0: lacking, 2: lacking[:2]}
    stored_paths = {k: set(PER_IMAGE) - set(run.lacking.get(k, ())) for k in range(3)}
    run.write(stored_paths=stored_paths)
    with h5py.File(run.master, "r") as file:
        for path in lacking:
            wanted = PER_IMAGE[path].copy()
            wanted[:4] = SENTINELS[path]
            if path in lacking[:2]:
                wanted[8:] = SENTINELS[path]
            np.testing.assert_array_equal(file[path], wanted)


def test_a_promised_dataset_of_files_of_other_writers(tmp_path: Path) -> None:
    """They hold at least its group."""
    run = make(tmp_path)
    promised = run.stored()
    run.per_image = {"/entry/MX/other": np.zeros(N_IMAGES)}
    run.write(datasets=[stored for stored in promised if stored.path.startswith("/entry/MX")])
    with h5py.File(run.master, "r") as file:
        assert (file["entry/MX/nPeaks"][()] == 0).all()
        assert np.isnan(file["entry/MX/latticeIndexedExtra"][()]).all()
        assert (file["entry/MX/bravaisLattice"][()] == b"").all()


@pytest.mark.parametrize("basename", ["a%b", "50%", "%d%%b", "größe"])
def test_any_prefix_and_any_working_directory(tmp_path: Path, basename: str) -> None:
    run = make(tmp_path, basename=basename)
    run.write()
    code = "import sys, h5py; f = h5py.File(sys.argv[1]); print(f['entry/data/data'][()].astype('i8').sum())"
    (tmp_path / "elsewhere").mkdir()
    answer = subprocess.run(
        [sys.executable, "-c", code, run.master], cwd=tmp_path / "elsewhere", capture_output=True, check=True
    )
    assert int(answer.stdout) == run.images.sum(dtype="i8")


def test_each_source_is_one_whole_dataset_named_by_base_name(tmp_path: Path) -> None:
    run = make(tmp_path, directory=("a", "b"))
    run.write()
    with h5py.File(run.master, "r") as file:
        for path in ("entry/data/data", "entry/MX/latticeIndexedExtra"):
            sources = file[path].virtual_sources()
            assert [source.file_name for source in sources] == [f"run_data_{k:06d}.h5" for k in (1, 2, 3)]
            assert {source.dset_name for source in sources} == {f"/{path}"}
            for source, (first, n_rows) in zip(sources, ((0, 4), (4, 4), (8, 2)), strict=True):
                assert source.src_space.get_select_type() == h5py.h5s.SEL_ALL
                low, high = source.vspace.get_select_bounds()
                assert (low[0], high[0]) == (first, first + n_rows - 1)


def test_other_channels(tmp_path: Path) -> None:
    channels = {"threshold_1": np.dtype("i2"), "threshold_2": np.dtype("u4")}
    run = make(tmp_path)
    second = RNG.integers(0, 2**32, (N_IMAGES, *SHAPE), "u4")
    datasets = run.stored()
    run.per_image = {**PER_IMAGE, "/entry/channels/threshold_2/data": second}
    run.write(channels=channels, datasets=datasets)
    with h5py.File(run.master, "r") as file:
        np.testing.assert_array_equal(file["entry/data/data"], run.images)
        np.testing.assert_array_equal(file["entry/channels/threshold_2/data"], second)
        assert file["entry/channels/threshold_2/data"].fillvalue == 2**32 - 1
        assert file["entry/channels/threshold_2"].attrs["NX_class"] == b"NXcollection"
        assert list(file["entry/channels"]) == ["threshold_2"]


def test_reflections_of_single_images_are_linked(tmp_path: Path) -> None:
    run = make(tmp_path)
    groups = {7: "/entry/reflections/image_000007", 3: "/entry/reflections/image_000003"}
    run.per_image = {f"{groups[7]}/h": np.arange(N_IMAGES)}
    run.write(datasets=(), image_groups=groups.items())
    with h5py.File(run.master, "r") as file:
        reflections = file["entry/reflections"]
        links = {name: reflections.get(name, getlink=True) for name in reflections}
        assert {name: (link.filename, link.path) for name, link in links.items()} == {
            "image_000003": ("run_data_000001.h5", groups[3]),
            "image_000007": ("run_data_000002.h5", groups[7]),
        }
        assert len(reflections["image_000007/h"]) == 4
        assert reflections.attrs["NX_class"] == b"NXcollection"


@pytest.mark.parametrize(("announced", "stored"), [(np.dtype("u2"), "<u2"), (None, "<i4")])
def test_a_writer_that_got_no_image_maps_what_was_announced(
    tmp_path: Path, announced: np.dtype[Any] | None, stored: str
) -> None:
    run = make(tmp_path, dtype=announced, channels=("a", "b"))
    warnings = run.write(channels={}, n_written=0)
    assert len(warnings) == (announced is None)
    with h5py.File(run.master, "r") as file:
        for path in ("entry/data/data", "entry/channels/b/data"):
            assert file[path].dtype == np.dtype(stored)
            assert file[path].shape == (N_IMAGES, *SHAPE)


def test_h5dump_of_hdf5_1_10_reads_it(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.write()
    command = ["h5dump", "-d", "/entry/image/max_value", str(run.master)]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("h5dump is not installed")
    assert answer.returncode == 0, answer.stderr
    assert "(0): 0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in answer.stdout


def test_of_two_datasets_with_one_name_in_the_master_the_first_is_mapped(tmp_path: Path) -> None:
    stored = [
        StoredDataset("/entry/detector/number", np.dtype("i8"), (), -1, {"units": "first"}),
        StoredDataset("/entry/instrument/detector/detectorSpecific/number", np.dtype("i8"), (), -1),
        StoredDataset("/entry/MX/nPeaks", np.dtype("u4"), (), 0),
    ]
    plan = run_plan(start_message(N_IMAGES), FileFormat.NXmxVDS, 4)
    warnings: list[str] = []
    with h5py.File(tmp_path / "two.h5", "w", libver=("earliest", "v110")) as file:
        virtual = VirtualDatasets(plan, N_IMAGES)
        map_per_image(file.create_group("entry"), virtual, stored, {}, warnings)
        virtual.write()
        number = file["/entry/instrument/detector/detectorSpecific/number"]
        assert number.attrs["units"] == b"first"
        assert number.virtual_sources()[0].dset_name == "/entry/detector/number"
        assert file["/entry/MX/nPeaks"].shape == (N_IMAGES,)
    assert len(warnings) == 1
    assert "the name is taken" in warnings[0]


def test_a_virtual_dataset_that_cannot_be_made_is_told_by_hdf5(tmp_path: Path) -> None:
    plan = run_plan(start_message(N_IMAGES), FileFormat.NXmxVDS, 4)
    with h5py.File(tmp_path / "none.h5", "w", libver=("earliest", "v110")) as file:
        file["second"] = 1
        virtual = VirtualDatasets(plan, N_IMAGES)
        for name in ("first", "second", "third"):
            virtual.add(file, name, StoredDataset("/entry/MX/nPeaks", np.dtype("u4"), (), 0))
        with pytest.raises(ValueError, match="name already exists"):
            virtual.write()
