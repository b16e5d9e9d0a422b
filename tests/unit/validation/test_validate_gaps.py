"""Which images are there and which are not: in a run with a master, of data files alone, by its manifest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from jfwriter.session.image_status import ImageStatus
from jfwriter.validation.accounts import shown_images
from jfwriter.validation.findings import Report
from jfwriter.validation.run import Options, check_run
from jfwriter.validation.target import find_runs
from tests.domain.runs import DETECTOR, LAYOUTS, Scenario, run
from tests.support.offline import write

WITH_GAP = Scenario("with a gap", 10, (0, 1, 2, 3, 4, 5, 7, 8, 9), outcome="incomplete")
NOTHING = Scenario("no image", 10, (), outcome="incomplete")
DATA = "/entry/data/data"
MASTER, FIRST, SECOND, THIRD = "run_master.h5", *(f"run_data_{number:06d}.h5" for number in (1, 2, 3))
MANIFEST = "run_manifest.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    roots = {layout: tmp_path_factory.mktemp(layout) for layout in LAYOUTS}
    for layout, root in roots.items():
        write(root, WITH_GAP.messages(layout), files={"manifest": True})
    return {layout: root / "sub" for layout, root in roots.items()}


@pytest.fixture
def vds(made: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made["NXmxVDS"], tmp_path / "vds"))


@pytest.fixture
def legacy(made: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made["NXmxLegacy"], tmp_path / "legacy"))


@pytest.fixture
def alone(made: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made["NXmxOnlyData"], tmp_path / "alone"))


def checked(path: Path) -> Report:
    (target,) = find_runs(path)
    return check_run(target, Options())


def problems(report: Report) -> list[str]:
    return [found.line() for found in report.problems if "far outside" not in found.text]


def notes(report: Report) -> list[str]:
    return [found.line() for found in report.notes]


def put(path: Path, **values: object) -> None:
    """Other datasets below `DETECTOR`; None: none."""
    with h5py.File(path, "r+") as file:
        for name, value in values.items():
            if name in file[DETECTOR]:
                del file[DETECTOR][name]
            if value is not None:
                file[DETECTOR][name] = value


def tell(folder: Path, **fields: object) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def statuses(**others: int) -> np.ndarray:
    found = np.ones(10, "u1")
    found[6] = ImageStatus.NEVER_CAME
    for name, status in others.items():
        found[int(name[1:])] = status
    return found


def test_data_files_alone_are_sound_and_tell_their_gaps(alone: Path) -> None:
    report = checked(alone)
    assert problems(report) == []
    assert report.n_images == 10
    assert f"{SECOND}: 1 image (6) missing: rows with fill values" in notes(report)
    report = checked(alone / SECOND)
    assert problems(report) == []
    assert f"{SECOND}: 1 image (6) missing: rows with fill values" in notes(report)
    assert not any("missing" in line for line in notes(checked(alone / FIRST)))


def test_the_first_of_the_data_files_is_not_there(alone: Path) -> None:
    (alone / FIRST).unlink()
    (alone / MANIFEST).unlink()
    report = checked(alone)
    assert problems(report) == []
    assert report.n_images == 10
    assert "run: data files 1 to 1 are not there" in notes(report)


def test_data_files_alone_that_were_exchanged(alone: Path) -> None:
    (alone / FIRST).rename(alone / "x")
    (alone / SECOND).rename(alone / FIRST)
    (alone / "x").rename(alone / SECOND)
    assert any(
        line.startswith(f"{SECOND}: its images are numbered 1 to 4") for line in problems(checked(alone))
    )


@pytest.mark.parametrize("shape_and_type", [((2, 24, 40), "i4"), ((2, 5, 6), "i2")])
def test_data_files_alone_of_another_kind(alone: Path, shape_and_type: tuple[tuple[int, ...], str]) -> None:
    shape, dtype = shape_and_type
    with h5py.File(alone / THIRD, "r+") as file:
        attributes = dict(file[DATA].attrs)
        del file[DATA]
        file.create_dataset(DATA, data=np.zeros(shape, dtype), chunks=(1, *shape[1:]))
        file[DATA].attrs.update(attributes)
    assert any(line.startswith(f"{THIRD}: its images are {shape[1:]}") for line in problems(checked(alone)))


def test_data_files_alone_none_of_which_can_be_read(alone: Path) -> None:
    for name in (FIRST, SECOND, THIRD):
        (alone / name).write_bytes(b"no HDF5")
    report = checked(alone)
    assert report.n_images is None
    assert [line.partition(":")[0] for line in problems(report)[:3]] == [FIRST, SECOND, THIRD]


def test_the_manifest_of_data_files_alone(alone: Path) -> None:
    (alone / THIRD).unlink()
    (found,) = problems(checked(alone))
    assert found.startswith(f"{MANIFEST}: {THIRD} is not there")
    (alone / MANIFEST).unlink()
    assert problems(checked(alone)) == []


def test_a_number_of_the_first_image_that_is_none(alone: Path) -> None:
    with h5py.File(alone / SECOND, "r+") as file:
        file[DATA].attrs["image_nr_low"] = np.int32(-5)
    (found,) = problems(checked(alone / SECOND))
    assert found.startswith(f"{SECOND}: its images are numbered -5 to 8 ")
    assert "they are 1 to 4" in found


def test_images_that_the_sender_left_out_are_no_lack(vds: Path) -> None:
    (vds / MANIFEST).unlink()
    left_out = ImageStatus.REJECTED_BY_SENDER
    put(vds / MASTER, image_status=statuses(i6=left_out), outcome=b"complete")
    assert problems(checked(vds)) == []
    with h5py.File(vds / SECOND, "r+") as file:
        file["/entry/detector/number"][1] = -1
    put(vds / MASTER, image_status=statuses(i6=left_out, i5=0), missing_images=[5, 6], nimages_written=8)
    assert problems(checked(vds)) == [f"{MASTER}: the run is called complete, and images of it are missing"]
    put(vds / MASTER, outcome=b"incomplete")
    report = checked(vds)
    assert problems(report) == []
    assert f"{MASTER}: 2 images (5-6) missing, as the master says" in notes(report)
    assert f"{MASTER}: the writer called the run incomplete" in notes(report)


def test_a_master_that_does_not_say_how_it_ended(vds: Path) -> None:
    """As those of other writers."""
    put(vds / MASTER, outcome=None, image_status=None)
    report = checked(vds)
    assert problems(report) == []
    assert not any("the writer called" in line for line in notes(report))
    assert any("no image_status: other writers do not store it" in line for line in notes(report))


def test_without_image_status_the_list_of_missing_images_counts(vds: Path) -> None:
    (vds / MANIFEST).unlink()
    put(vds / MASTER, image_status=None, missing_images=[4, 5, 6, 7], nimages_written=6)
    (vds / SECOND).unlink()
    report = checked(vds)
    assert problems(report) == []
    assert f"{SECOND}: not there: the master says that none of its images is" in notes(report)
    put(vds / MASTER, missing_images=[4, 5, 6])
    assert any("the master needs this file" in line for line in problems(checked(vds)))


@pytest.mark.parametrize("length", [-1, 1 << 40])
def test_a_length_that_cannot_be(legacy: Path, length: int) -> None:
    put(legacy / MASTER, nimages=length)
    report = checked(legacy)
    assert any("nimages x ntrigger is" in line for line in problems(report))


def test_a_legacy_master_of_which_a_file_lacks(legacy: Path) -> None:
    """Neither the length of the run nor that of the files that follow is in doubt."""
    (legacy / MANIFEST).unlink()
    (legacy / SECOND).unlink()
    assert problems(checked(legacy)) == [f"{SECOND}: the master needs this file: it is not there"]


def test_legacy_files_of_several_lengths(legacy: Path) -> None:
    with h5py.File(legacy / SECOND, "r+") as file:
        file[DATA].resize(3, axis=0)
    found = problems(checked(legacy))
    assert any(f"{SECOND}: 3 images; {FIRST} has 4, as all but the last must" in line for line in found)
    assert any("nimages x ntrigger is 10; there are 9 images" in line for line in found)


def test_a_manifest_that_was_written_later_than_the_master(vds: Path) -> None:
    """A run that failed after that: its counts are others, too."""
    tell(vds, outcome="failed", images_by_status={})
    report = checked(vds)
    assert problems(report) == []
    assert any("calls the run failed; the master was written when" in line for line in notes(report))


def test_a_manifest_beside_a_master_without_outcome(vds: Path) -> None:
    put(vds / MASTER, outcome=None)
    report = checked(vds)
    assert problems(report) == []
    assert not any("the master was written when" in line for line in notes(report))


def test_a_manifest_that_cannot_be_read(vds: Path) -> None:
    (vds / MANIFEST).unlink()
    (vds / MANIFEST).mkdir()
    assert [line for line in problems(checked(vds)) if "is no manifest: IsADirectoryError" in line]


def test_a_run_without_an_image_is_not_said_to_lack_statuses(tmp_path: Path) -> None:
    finished = run(NOTHING, "NXmxVDS", tmp_path)
    assert not any("no image_status" in line for line in notes(checked(finished.folder)))


def test_only_the_first_ranges_are_shown() -> None:
    images = np.zeros(20, np.bool_)
    images[[0, 2, 3, 5, 7, 9]] = True
    assert shown_images(images) == "6 images (0, 2-3, 5, 7, 9)"
    images[[11, 13]] = True
    assert shown_images(images) == "8 images (0, 2-3, 5, 7, 9 and 2 more ranges)"


@pytest.mark.parametrize("absent", [2, 1])
def test_a_row_without_an_image_needs_no_chunk(alone: Path, absent: int) -> None:
    """Image 6, in row 2, did not come: other writers store nothing for it."""
    with h5py.File(alone / SECOND, "r+") as file:
        old = file[DATA]
        attributes, shape, dtype = dict(old.attrs), old.shape, old.dtype
        chunks = [old.id.read_direct_chunk((row, 0, 0))[1] for row in range(len(old))]
        del file[DATA]
        new = file.create_dataset(DATA, shape, dtype, chunks=(1, *shape[1:]), **hdf5plugin.Bitshuffle())
        new.attrs.update(attributes)
        for row, chunk in enumerate(chunks):
            if row != absent:
                new.id.write_direct_chunk((row, 0, 0), chunk)
    found = problems(checked(alone / SECOND))
    assert found == ([] if absent == 2 else [f"{SECOND}, image 5: no chunk is stored for it"])
