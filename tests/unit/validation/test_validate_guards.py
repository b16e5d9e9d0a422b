"""Each thing that `validate` looks at, made wrong on its own in a run of the virtual layout."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from jfwriter.errors import UsageError
from jfwriter.session.image_status import ImageStatus
from jfwriter.validation import accounts, data_file, target
from jfwriter.validation.findings import Report
from jfwriter.validation.layout import virtual_datasets
from jfwriter.validation.run import Options, check_run
from jfwriter.validation.target import find_runs
from tests.domain.runs import DETECTOR, Scenario
from tests.support.offline import write

WITH_GAP = Scenario("with a gap", 10, (0, 1, 2, 3, 4, 5, 7, 8, 9), outcome="incomplete")
DATA = "/entry/data/data"
MASTER, FIRST, SECOND = "run_master.h5", "run_data_000001.h5", "run_data_000002.h5"
MANIFEST = "run_manifest.json"
Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("vds")
    write(root, WITH_GAP.messages("NXmxVDS"), files={"manifest": True, "checksum": "crc32"})
    return root / "sub"


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def checked(path: Path) -> Report:
    (found,) = find_runs(path)
    return check_run(found, Options(deep=True))


def problems(path: Path) -> list[str]:
    return [found.line() for found in checked(path).problems if "far outside" not in found.text]


def value(name: str, path: str, new: Any) -> Change:
    """Another dataset at `path`; None: none."""

    def change(folder: Path) -> None:
        with h5py.File(folder / name, "r+") as file:
            if path in file:
                del file[path]
            if new is not None:
                file[path] = new

    return change


def told(**fields: object) -> Change:
    """Other fields of the manifest."""

    def change(folder: Path) -> None:
        place = folder / MANIFEST
        place.write_text(json.dumps(json.loads(place.read_text()) | fields))

    return change


def text(content: str) -> Change:
    return lambda folder: (folder / MANIFEST).write_text(content) and None


def chunk(data: bytes, filter_mask: int = 0) -> Change:
    def change(folder: Path) -> None:
        with h5py.File(folder / SECOND, "r+") as file:
            file[DATA].id.write_direct_chunk((1, 0, 0), data, filter_mask)

    return change


def mapped_otherwise(folder: Path) -> None:
    with h5py.File(folder / MASTER, "r+") as file:
        path = next(path for path, _ in virtual_datasets(file) if path.endswith("/number"))
        layout = h5py.VirtualLayout((10,), file[path].dtype)
        layout[1:4] = h5py.VirtualSource(FIRST, path, (3,))
        del file[path]
        file.create_virtual_dataset(path, layout)


def virtual(path: str) -> Change:
    """In place of stored images."""

    def change(folder: Path) -> None:
        with h5py.File(folder / SECOND, "r+") as file:
            if path in file:
                del file[path]
            layout = h5py.VirtualLayout((4, 24, 40), "u2")
            layout[:] = h5py.VirtualSource(FIRST, DATA, (4, 24, 40))
            file.create_virtual_dataset(path, layout)

    return change


def without_bounds(folder: Path) -> None:
    with h5py.File(folder / SECOND, "r+") as file:
        del file[DATA].attrs["image_nr_low"]


def moved_chunk(folder: Path) -> None:
    """As if the file had been cut off and its own account of its length had not."""
    path = folder / SECOND
    with h5py.File(path) as file:
        place = file[DATA].id.get_chunk_info_by_coord((1, 0, 0)).byte_offset.to_bytes(8, "little")
    content = path.read_bytes()
    assert content.count(place) == 1
    path.write_bytes(content.replace(place, (len(content) - 10).to_bytes(8, "little")))


def spoilt_index(folder: Path) -> None:
    """Nodes of level 1 tell where chunks are."""
    path = folder / SECOND
    content = path.read_bytes()
    assert b"TREE\x01" in content
    path.write_bytes(content.replace(b"TREE\x01", b"XXXX\x01"))


def flipped(folder: Path) -> None:
    """Neither the checksum is right, nor can it be unpacked."""
    with h5py.File(folder / SECOND, "r+") as file:
        images = file[DATA].id
        data = bytearray(images.read_direct_chunk((1, 0, 0))[1])
        data[16:24] = bytes(255 - byte for byte in data[16:24])
        images.write_direct_chunk((1, 0, 0), bytes(data))


def absent_chunks(n_numbers: int) -> Change:
    """The file says of `n_numbers` of its four rows whether they hold an image; no row has one."""

    def change(folder: Path) -> None:
        with h5py.File(folder / SECOND, "r+") as file:
            old = file[DATA]
            attributes = dict(old.attrs)
            shape, dtype = old.shape, old.dtype
            del file[DATA]
            chunks = (1, *shape[1:])
            file.create_dataset(DATA, shape, dtype, chunks=chunks, **hdf5plugin.Bitshuffle())
            for name, value in attributes.items():
                file[DATA].attrs[name] = value
            del file["/entry/detector/number"]
            if n_numbers:
                file["/entry/detector/number"] = np.arange(4, 4 + n_numbers, dtype="i8")

    return change


def listed(folder: Path) -> list[dict[str, object]]:
    files: list[dict[str, object]] = json.loads((folder / MANIFEST).read_text())["files"]
    return files


def test_the_run_itself_is_sound(folder: Path) -> None:
    assert problems(folder) == []
    assert checked(folder).n_checksums == 10


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (chunk(bytes(24 * 40 * 2), 1), "image 5: its chunk is stored without its filter"),
        (chunk(bytes(2 * 24 * 40 * 4 + 65537)), "image 5: its chunk has "),
        (moved_chunk, "image 5: its chunk reaches to byte "),
        (spoilt_index, "image 5: its chunk cannot be looked up: "),
        (absent_chunks(0), "image 7: no chunk is stored for it"),
        (absent_chunks(3), "number has shape (3,); expected 4 rows"),
        (value(SECOND, DATA, np.full((4, 2, 2), b"text")), "there are no images [n, y, x] at"),
        (value(SECOND, DATA, np.zeros((4, 2), "u2")), "there are no images [n, y, x] at"),
        (value(SECOND, "/entry/channels/x/data", np.zeros((4, 2))), "x/data is (4, 2); expected 4 images"),
        (value(SECOND, "/entry/channels/x/data", np.zeros((3, 2, 2))), "x/data is (3, 2, 2); expected"),
        (virtual("/entry/channels/x/data"), "x/data is (4, 24, 40); expected 4 images"),
        (virtual(DATA), "of a data file is a virtual dataset; expected stored images"),
        (value(SECOND, DATA, np.zeros((3, 24, 40), "u2")), "it has 3 images; the master takes it for 4"),
        (without_bounds, "lacks image_nr_low or image_nr_high"),
        (value(SECOND, "/entry/detector/number", np.zeros(4)), "cannot be read as one integer per image"),
        (value(SECOND, "/entry/detector/number", np.zeros(3, "i8")), "number has shape (3,); expected 4"),
        (value(SECOND, "/entry/image/x", 1), "/entry/image/x has shape (); expected 4 rows"),
        (value(SECOND, "/entry/detector/crc32", np.zeros(3, "u4")), "crc32 has shape (3,); expected 4 rows"),
        (value(MASTER, f"{DETECTOR}/missing_images", np.array([-1, 6])), "missing_images lists -1"),
        (value(MASTER, f"{DETECTOR}/missing_images", np.array([[6]])), "cannot be read as a list of image"),
        (value(MASTER, f"{DETECTOR}/missing_images", b"6"), "cannot be read as a list of image"),
        (value(MASTER, f"{DETECTOR}/missing_images", np.array([5, 6])),
         "missing_images and image_status do not say the same of them"),
        (value(MASTER, f"{DETECTOR}/image_status", np.ones(7, "u1")), "image_status has shape (7,)"),
        (value(MASTER, f"{DETECTOR}/missing_images", np.array([6.0])), "cannot be read as a list of image"),
        (value(MASTER, f"{DETECTOR}/ntrigger", None), "nimages or ntrigger is missing"),
        (mapped_otherwise, "the images are mapped otherwise"),
        (text("[" * 100_000), "is no manifest: RecursionError"),
        (text("{"), "is no manifest: JSONDecodeError"),
        (text("{}"), "is no manifest: KeyError"),
        (told(files=3), "is no manifest: TypeError"),
        (told(images_by_status=[]), "is no manifest: AttributeError"),
        (told(files=[{"name": "../x.h5", "size_bytes": 1}]), "names '../x.h5', which is no plain file name"),
        (told(files=[{"name": "x.h5", "size_bytes": 1}]), "x.h5 is not there"),
        (told(files=[{"name": SECOND, "size_bytes": 1}]), f"{SECOND} has "),
        (told(n_images=12), "says that the run has 12 images; the master says 10"),
        (told(images_by_status={}), "counts no images; image_status of the master has"),
        (told(outcome="complete"), "calls the run complete; the master was written when it was still "),
        (lambda folder: shutil.copy(folder / FIRST, folder / "run_data_000007.h5") and None,
         f"run_data_000007.h5: {MASTER} does not refer to this file of the run"),
    ],
)  # fmt: skip
def test_one_thing_is_wrong(folder: Path, change: Change, expected: str) -> None:
    change(folder)
    found = problems(folder)
    assert any(expected in line for line in found), found
    assert expected.startswith("cannot be read") or not any("cannot be read" in line for line in found), found


def test_a_wrong_checksum_says_it_all(folder: Path) -> None:
    flipped(folder)
    (found,) = problems(folder)
    assert found.startswith(f"{SECOND}, image 5: crc32 of its chunk is ")


def test_progress_is_told_while_chunks_are_read(folder: Path) -> None:
    ticks: list[None] = []
    (found,) = find_runs(folder / SECOND)
    check_run(found, Options(progress=lambda: ticks.append(None)))
    assert ticks


@pytest.mark.parametrize(
    "bound", ["data_file.MAX_IMAGES", "accounts.MAX_IMAGES", "accounts.MAX_MANIFEST_BYTES"]
)
def test_what_is_too_much_is_not_looked_at(folder: Path, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    module, _, name = bound.partition(".")
    monkeypatch.setattr({"data_file": data_file, "accounts": accounts}[module], name, 3)
    report = checked(folder)
    found = [finding.text for finding in (*report.problems, *report.notes)]
    expected = {
        "data_file.MAX_IMAGES": "4 images; at most 3 are looked at",
        "accounts.MAX_IMAGES": "10 images are too many to be compared one by one",
        "accounts.MAX_MANIFEST_BYTES": "larger than 3 bytes: not read",
    }
    assert expected[bound] in found


def test_numbers_beyond_their_type_are_those_at_its_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_file, "LAST_IMAGE_NR", 9)
    with h5py.File(folder / "run_data_000003.h5", "r+") as file:
        file[DATA].attrs["image_nr_high"] = np.int32(9)
    assert problems(folder) == []


def test_a_file_that_lacks_is_told_once(folder: Path) -> None:
    """What is in it is not known, so that no count of images is wrong."""
    (folder / SECOND).unlink()
    (folder / MANIFEST).unlink()
    assert problems(folder) == [f"{SECOND}: the master needs this file: it is not there"]


@pytest.mark.parametrize("leads_out", [False, True])
def test_a_file_of_which_the_master_says_that_no_image_is_there(folder: Path, leads_out: bool) -> None:
    (folder / MANIFEST).unlink()
    with h5py.File(folder / MASTER, "r+") as file:
        status = file[f"{DETECTOR}/image_status"]
        status[4:8] = ImageStatus.NEVER_CAME
        file[f"{DETECTOR}/nimages_written"][()] = 6
        del file[f"{DETECTOR}/missing_images"]
        file[f"{DETECTOR}/missing_images"] = np.array([4, 5, 6, 7])
    (folder / SECOND).rename(folder.parent / SECOND)
    if leads_out:
        (folder / SECOND).symlink_to(folder.parent / SECOND)
    report = checked(folder)
    noted = [note.text for note in report.notes]
    is_noted = "not there: the master says that none of its images is" in noted
    assert is_noted is not leads_out
    assert any("leads out of the run's folder" in line for line in problems(folder)) is leads_out


def test_files_judged_may_be_nonsense(folder: Path) -> None:
    value(MASTER, f"{DETECTOR}/image_status", None)(folder)
    value(MASTER, f"{DETECTOR}/files_judged", np.array([0, -1, 99, 1]))(folder)
    assert not any("cannot be read" in line for line in problems(folder))


def test_a_status_of_another_type_is_not_counted(folder: Path) -> None:
    value(MASTER, f"{DETECTOR}/image_status", np.full(10, -1, "i4"))(folder)
    assert not any("cannot be read" in line for line in problems(folder))


def test_data_files_alone(folder: Path) -> None:
    (folder / MASTER).unlink()
    (folder / MANIFEST).unlink()
    (folder / SECOND).unlink()
    report = checked(folder)
    assert report.problems == []
    assert "data files 2 to 2 are not there" in [note.text for note in report.notes]
    (folder / FIRST).write_bytes(b"no HDF5")
    assert any(f"{FIRST}: cannot be read" in line for line in problems(folder))


def test_unfinished_files_are_noted(folder: Path) -> None:
    for name in (f"{SECOND}.0123.tmp", f"{MASTER}.0123.tmp", "other_data_000001.h5.0123.tmp"):
        (folder / name).touch()
    noted = [note.file for note in checked(folder).notes if "unfinished" in note.text]
    assert noted == [f"{SECOND}.0123.tmp", f"{MASTER}.0123.tmp"]


def test_what_is_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="cannot be looked into"):
        find_runs(tmp_path / "absent" / "run")
    with pytest.raises(UsageError, match="no run of this prefix"):
        find_runs(tmp_path / "run")
    with pytest.raises(UsageError, match="no master and no data file"):
        find_runs(tmp_path)
    for name in "abc":
        (tmp_path / f"{name}_master.h5").touch()
    monkeypatch.setattr(target, "MAX_RUNS", 3)
    assert len(find_runs(tmp_path)) == 3
    monkeypatch.setattr(target, "MAX_RUNS", 2)
    with pytest.raises(UsageError, match="3 runs; at most 2"):
        find_runs(tmp_path)
