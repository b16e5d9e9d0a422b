"""Summaries of runs that were written by hand, whole and damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from jfwriter.reader.summary import ranges, summarize
from tests.support.plain_runs import data_file, plain_run

LAYOUTS = ("NXmxLegacy", "NXmxVDS", "NXmxIntegrated")
IMAGES = np.arange(10 * 6 * 8, dtype=np.int16).reshape(10, 6, 8)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_whole_run(tmp_path: Path, layout: str) -> None:
    master = plain_run(tmp_path, layout, IMAGES, 4)
    found = summarize(master)
    assert found.problems == ()
    assert found.format == layout
    assert (found.shape, found.dtype, found.codec) == ((6, 8), "int16", "bslz4")
    assert (found.n_images, found.n_written, found.missing) == (10, 10, ())
    assert found.wavelength_angstrom == 0.98
    assert found.detector_distance_m == 0.12
    assert found.frame_time_s == 0.01
    assert found.duration_s == 10.5
    names = [(file.name, file.role, file.n_images) for file in found.files]
    if layout == "NXmxIntegrated":
        assert names == [("run_master.h5", "master", 10)]
        assert (found.spots_mean, found.spots_max) == (5.5, 10)
    else:
        assert names == [
            ("run_data_000001.h5", "data", 4),
            ("run_data_000002.h5", "data", 4),
            ("run_data_000003.h5", "data", 2),
            ("run_master.h5", "master", 0),
        ]
        assert (found.spots_mean, found.spots_max) == (2.3, 4)
    assert found.size_bytes == sum(path.stat().st_size for path in tmp_path.glob("*.h5"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gaps_are_missing_images(tmp_path: Path, layout: str) -> None:
    found = summarize(plain_run(tmp_path, layout, IMAGES, 4, gaps=(0, 5, 6, 7, 8)))
    assert found.problems == ()
    assert found.missing == ((0, 0), (5, 8))
    assert (found.n_images, found.n_written, found.n_missing) == (10, 5, 5)


@pytest.mark.parametrize("layout", LAYOUTS[:2])
@pytest.mark.parametrize(("lost", "missing"), [(1, (0, 3)), (2, (4, 7)), (3, (8, 9))])
def test_an_absent_data_file_is_a_problem_and_a_gap(
    tmp_path: Path, layout: str, lost: int, missing: tuple[int, int]
) -> None:
    master = plain_run(tmp_path, layout, IMAGES, 4)
    (tmp_path / f"run_data_00000{lost}.h5").unlink()
    found = summarize(master)
    assert found.missing == (missing,)
    assert found.problems == (f"run_data_00000{lost}.h5: not there",)


def test_a_single_data_file(tmp_path: Path) -> None:
    data_file(tmp_path / "x_data_000003.h5", IMAGES, first=20, gaps=(9,))
    found = summarize(tmp_path / "x_data_000003.h5")
    assert found.format == "data file"
    assert found.problems == ()
    assert found.missing == ((9, 9),)
    assert found.files[0].role == "data"
    assert found.duration_s is None


def test_a_master_whose_list_of_gaps_is_wrong(tmp_path: Path) -> None:
    master = plain_run(tmp_path, "NXmxVDS", IMAGES, 4, gaps=(2,))
    path = "/entry/instrument/detector/detectorSpecific/missing_images"
    with h5py.File(master, "a") as file:
        file[path] = np.array([2])
    assert summarize(master).problems == ()
    with h5py.File(master, "a") as file:
        del file[path]
        file[path] = np.array([3, 4])
    assert summarize(master).problems == ("the master lists 2 missing images, the files show 1",)


def test_a_shorter_data_file_than_the_master_maps(tmp_path: Path) -> None:
    master = plain_run(tmp_path, "NXmxVDS", IMAGES, 4)
    (tmp_path / "run_data_000002.h5").unlink()
    data_file(tmp_path / "run_data_000002.h5", IMAGES[:3], first=4)
    found = summarize(master)
    assert found.missing == ((7, 7),)
    assert found.problems == ("run_data_000002.h5: has 3 images, the master maps 4",)


def test_files_of_other_shapes_are_a_problem(tmp_path: Path) -> None:
    master = plain_run(tmp_path, "NXmxLegacy", IMAGES, 4)
    (tmp_path / "run_data_000003.h5").unlink()
    data_file(tmp_path / "run_data_000003.h5", np.zeros((2, 3, 3), np.uint8), first=8)
    assert "differ" in summarize(master).problems[0]


@pytest.mark.parametrize("name", ["../secret.h5", "/etc/passwd", "a/b.h5", "..", ".", "x\n.h5"])
def test_nothing_outside_the_directory_is_opened(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    data_file(tmp_path / "secret.h5", IMAGES)
    master = plain_run(directory, "NXmxLegacy", IMAGES[:0], 4)
    with h5py.File(master, "a") as file:
        file["/entry/data/data_000001"] = h5py.ExternalLink(name, "/entry/data/data")
    found = summarize(master)
    assert found.n_written == 0
    assert found.shape is None
    assert len(found.problems) == 1


def test_an_external_link_in_place_of_a_group_is_not_followed(tmp_path: Path) -> None:
    data_file(tmp_path / "other.h5", IMAGES)
    with h5py.File(tmp_path / "run_master.h5", "x") as file:
        file["/entry"] = h5py.ExternalLink("other.h5", "/entry")
    found = summarize(tmp_path / "run_master.h5")
    assert found.format == "unknown"
    assert found.problems


def loop(file: h5py.File) -> None:
    del file["/entry/definition"]
    file["/entry/definition"] = h5py.SoftLink("/entry/definition")


def replace(path: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[path]
        file[path] = value

    return change


SPECIFIC = "/entry/instrument/detector/detectorSpecific"
ODD: tuple[Callable[[h5py.File], None], ...] = (
    loop,
    replace(f"{SPECIFIC}/nimages", "many"),
    replace(f"{SPECIFIC}/nimages", np.int64(-4)),
    replace(f"{SPECIFIC}/nimages", np.int64(2**62)),
    replace(f"{SPECIFIC}/nimages", np.arange(4)),
    replace("/entry/start_time", 17.0),
    replace("/entry/start_time", np.bytes_("\xff nonsense".encode("latin1"))),
    replace("/entry/instrument/beam/incident_wavelength", np.nan),
    replace("/entry/instrument/beam/incident_wavelength", "long"),
    replace("/entry/instrument/detector", np.arange(3)),
    replace("/entry/data", np.arange(3)),
    replace("/entry", np.arange(3)),
)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("change", ODD)
def test_odd_masters_raise_nothing(tmp_path: Path, layout: str, change: Callable[[h5py.File], None]) -> None:
    master = plain_run(tmp_path, layout, IMAGES, 4)
    with h5py.File(master, "a") as file:
        change(file)
    found = summarize(master)
    assert found.path == str(master)


@pytest.mark.parametrize(
    "change",
    [
        replace("/entry/detector/number", np.arange(3)),
        replace("/entry/detector/number", np.zeros(4)),
        replace("/entry/detector/number", "text"),
        replace("/entry/MX/nPeaks", np.zeros((4, 2), np.int32)),
        replace("/entry/data/data", np.arange(3)),
        replace("/entry/data/data", "text"),
    ],
)
def test_odd_data_files_are_problems(tmp_path: Path, change: Callable[[h5py.File], None]) -> None:
    master = plain_run(tmp_path, "NXmxLegacy", IMAGES, 4)
    with h5py.File(tmp_path / "run_data_000001.h5", "a") as file:
        change(file)
    found = summarize(master)
    assert len(found.problems) == 1
    assert "run_data_000001.h5" in found.problems[0]


@pytest.mark.parametrize("content", [None, b"", b"not HDF5", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_what_is_no_file_of_ours_is_a_problem(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x_master.h5"
    if content is not None:
        path.write_bytes(content)
    found = summarize(path)
    assert found.format == "unknown"
    assert len(found.problems) == 1


def test_a_truncated_data_file_is_a_problem(tmp_path: Path) -> None:
    master = plain_run(tmp_path, "NXmxLegacy", IMAGES, 4)
    path = tmp_path / "run_data_000002.h5"
    path.write_bytes(path.read_bytes()[:700])
    found = summarize(master)
    assert found.missing == ((4, 7),)
    assert "run_data_000002.h5" in found.problems[0]


def test_an_empty_run(tmp_path: Path) -> None:
    found = summarize(plain_run(tmp_path, "NXmxLegacy", IMAGES[:0], 4))
    assert found.problems == ()
    assert (found.n_images, found.n_written, found.missing) == (0, 0, ())


def test_ranges() -> None:
    assert ranges(np.array([], np.int64)) == ()
    assert ranges(np.array([3])) == ((3, 3),)
    assert ranges(np.array([0, 1, 2, 5, 7, 8])) == ((0, 2), (5, 5), (7, 8))
