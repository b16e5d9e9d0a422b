"""A run in each layout, one thing spoilt at a time: `validate` names the file, the image and the reason."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from jfwriter.cli import main
from jfwriter.errors import UsageError
from jfwriter.validation import worker
from jfwriter.validation.findings import Check, Report
from jfwriter.validation.run import Options, check_run
from jfwriter.validation.target import find_runs
from tests.domain.runs import DETECTOR, LAYOUTS, SCENARIOS, Scenario, frames, run
from tests.support import full_run
from tests.support.offline import write
from tests.support.plain_dcu import encode

N_IMAGES, PER_FILE = 10, 4
WITH_GAP = Scenario("with a gap", N_IMAGES, (0, 1, 2, 3, 4, 5, 7, 8, 9), outcome="incomplete")
DATA = "/entry/data/data"
DISTANCE = "/entry/instrument/detector/distance"


def checked(path: Path, *, deep: bool = True, also: tuple[Path, ...] = ()) -> Report:
    """Beam centres far outside the tiny images of these runs are left aside."""
    (target,) = find_runs(path)
    report = check_run(target, Options(deep=deep, also=also))
    report.problems = [found for found in report.problems if "far outside" not in found.text]
    return report


def problems(path: Path, **options: object) -> list[str]:
    return [found.line() for found in checked(path, **options).problems]  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=["NXmxLegacy", "NXmxVDS", "NXmxIntegrated"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    return run(WITH_GAP, request.param, folder).folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


@pytest.fixture(scope="module")
def made_vds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(WITH_GAP, "NXmxVDS", tmp_path_factory.mktemp("vds")).folder


@pytest.fixture
def vds(made_vds: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made_vds, tmp_path / "copy"))


def master(folder: Path) -> Path:
    return folder / "run_master.h5"


def second(folder: Path) -> Path:
    """The file with images 4 and on, or all of them."""
    path = folder / "run_data_000002.h5"
    return path if path.exists() else master(folder)


def row(path: Path, image: int) -> int:
    return image if path.name == "run_master.h5" else image - PER_FILE


CHOSEN = ("short last file", "an inner file missing", "only the last image", "no image", "twice the same")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "scenario", [s for s in SCENARIOS if s.name in CHOSEN], ids=lambda scenario: scenario.name
)
def test_what_was_written_is_sound(layout: str, scenario: Scenario, tmp_path: Path) -> None:
    finished = run(scenario, layout, tmp_path)
    if layout == "NXmxOnlyData" and not scenario.sent:
        with pytest.raises(UsageError, match="no master and no data file"):
            find_runs(finished.folder)
        return
    report = checked(finished.folder)
    assert [found.line() for found in report.problems] == []
    assert report.format == layout or not scenario.sent  # an empty master does not tell its layout
    assert report.n_unpacked == report.n_chunks
    assert report.n_chunks >= len(set(scenario.sent))
    if finished.has_master:
        assert report.outcome == scenario.outcome
        assert report.n_images == scenario.length


def test_a_file_cut_off(folder: Path) -> None:
    path = second(folder)
    os.truncate(path, path.stat().st_size // 2)
    (found,) = problems(folder)
    assert found.startswith(f"{path.name}: cannot be read: ")
    assert "truncated" in found


def test_a_file_taken_away_or_the_master_moved_alone(folder: Path, tmp_path: Path) -> None:
    path = second(folder)
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(master(folder), alone)
    path.unlink()
    if path == master(folder):
        return
    assert problems(folder) == [f"{path.name}: the master needs this file: it is not there"]
    assert [line.partition(":")[0] for line in problems(alone)] == [
        f"run_data_{number:06d}.h5" for number in (1, 2, 3)
    ]
    shutil.rmtree(folder)
    with pytest.raises(UsageError, match="no file, no directory"):
        find_runs(folder)


def test_data_files_exchanged(folder: Path) -> None:
    one, two = folder / "run_data_000001.h5", folder / "run_data_000002.h5"
    if not two.exists():
        return
    one.rename(folder / "x")
    two.rename(one)
    (folder / "x").rename(two)
    found = problems(folder)
    assert any(line.startswith("run_data_000001.h5: its images are numbered 5 to 8") for line in found)
    assert any(line.startswith("run_data_000002.h5: its images are numbered 1 to 4") for line in found)


def test_a_chunk_of_twelve_bytes_ends_no_process(folder: Path) -> None:
    path = second(folder)
    with h5py.File(path, "r+") as file:
        header = frames(1)[0].nbytes.to_bytes(8, "big") + (8192).to_bytes(4, "big")
        file[DATA].id.write_direct_chunk((row(path, 5), 0, 0), header)
    (found,) = problems(folder, deep=False)
    assert found.startswith(f"{path.name}, image 5: its chunk is not well framed: ")
    assert problems(folder, deep=True) == [found]


def test_a_flipped_bit_is_found_by_unpacking_at_the_latest(folder: Path) -> None:
    path = second(folder)
    with h5py.File(path, "r+") as file:
        images = file[DATA].id
        chunk = bytearray(images.read_direct_chunk((row(path, 4), 0, 0))[1])
        chunk[16:24] = bytes(255 - byte for byte in chunk[16:24])
        images.write_direct_chunk((row(path, 4), 0, 0), bytes(chunk))
    assert problems(folder, deep=False) == []
    (found,) = problems(folder, deep=True)
    assert found.startswith(f"{path.name}, image 4: it does not unpack: ")


def rewritten(path: Path, change: Callable[[h5py.Group, h5py.Dataset], h5py.Dataset]) -> None:
    """Exchange the images for others."""
    with h5py.File(path, "r+") as file:
        old = file[DATA]
        attributes = dict(old.attrs)
        del file[DATA]
        new = change(file["/entry/data"], old)
        for name, value in attributes.items():
            new.attrs.create(name, value, dtype="i4")


def test_an_absent_chunk(folder: Path) -> None:
    def all_but_image_5(group: h5py.Group, old: h5py.Dataset) -> h5py.Dataset:
        new = group.create_dataset("data", old.shape, old.dtype, chunks=old.chunks, **hdf5plugin.Bitshuffle())
        for i in range(len(old)):
            if i != row(path, 5):
                new.id.write_direct_chunk((i, 0, 0), old.id.read_direct_chunk((i, 0, 0))[1])
        return new

    path = second(folder)
    rewritten(path, all_but_image_5)
    assert problems(folder) == [f"{path.name}, image 5: no chunk is stored for it"]


def test_images_of_another_size_count_or_storage(folder: Path) -> None:
    path = second(folder)
    if path == master(folder):
        return
    rewritten(
        path,
        lambda group, old: group.create_dataset("data", data=np.zeros((3, 5, 6), "i2"), chunks=(1, 5, 6)),
    )
    found = problems(folder)
    assert any(
        "its images are (5, 6) int16; those of run_data_000001.h5 are (24, 40)" in line for line in found
    )
    assert any(
        line.startswith("run_data_000002.h5: /entry/") and "has shape (4,); expected 3 rows" in line
        for line in found
    )
    rewritten(
        path,
        lambda group, old: group.create_dataset("data", data=np.zeros((4, 24, 40), "i2"), chunks=(4, 24, 40)),
    )
    assert any("stored in chunks of (4, 24, 40); expected (1, 24, 40)" in line for line in problems(folder))
    packed = {"data": np.zeros((4, 24, 40), "i2"), "chunks": (1, 24, 40), "compression": "gzip"}
    rewritten(path, lambda group, old: group.create_dataset("data", **packed))
    assert problems(folder) == []
    assert any("packed by a filter that is not known here" in note.text for note in checked(folder).notes)


def edited(path: Path, name: str, value: object, **attributes: object) -> None:
    with h5py.File(path, "r+") as file:
        kept = dict(file[name].attrs)
        del file[name]
        if value is not None:
            dataset = file.create_dataset(name, data=value)
            for key, text in (kept | attributes).items():
                dataset.attrs[key] = text


@pytest.mark.parametrize(
    ("name", "value", "attributes", "expected"),
    [
        ("/entry/definition", b"NXsas", {}, "/entry/definition is 'NXsas'; expected 'NXmx'"),
        ("/entry/source/name", None, {}, "/entry/source/name is missing or no text"),
        ("/entry/start_time", b"yesterday", {}, "/entry/start_time is 'yesterday'; expected YYYY"),
        ("/entry/sample/depends_on", b"/entry/nowhere", {}, "leads to '/entry/nowhere', which is not there"),
        (DISTANCE, 0.1, {"units": b"furlong"}, "has units 'furlong'; expected e.g. 'm'"),
        (DISTANCE, 150.0, {}, "detector_distance: 150 m; expected 0.001 to 60 m"),
        ("/entry/instrument/detector/count_time", 3.0, {}, "count_time: 3 s; longer than the "),
        ("/entry/instrument/detector/x_pixel_size", 75.0, {}, "pixel_size_x: 75 m; expected"),
        ("/entry/instrument/beam/incident_wavelength", 1e-10, {}, "incident_wavelength: 1e-10"),
        ("/entry/instrument/detector/frame_time", float("nan"), {}, "frame_time is nan"),
        (f"{DETECTOR}/nimages", 12, {}, "nimages x ntrigger is 12; there are 10 images"),
        (f"{DETECTOR}/nimages_written", 3, {}, "nimages_written is 3; the files hold 9 images"),
        (f"{DETECTOR}/missing_images", [5, 6], {}, "missing_images lists them, and they are there"),
        (f"{DETECTOR}/missing_images", None, {}, "they are not there, and missing_images does not list them"),
        (f"{DETECTOR}/missing_images", [6, 99], {}, "missing_images lists 99; the run has 10 images"),
        (f"{DETECTOR}/image_status", np.ones(10, "u1"), {}, "says that they are in a file, and they are not"),
        (f"{DETECTOR}/image_status", np.zeros(10, "u1"), {}, "they are in no file, and they are in one"),
        (f"{DETECTOR}/image_status", np.full(10, 77, "u1"), {}, "holds 77, which has no meaning"),
        (f"{DETECTOR}/outcome", b"complete", {}, "the run is called complete, and images of it are missing"),
        (f"{DETECTOR}/image_status", np.ones(7, "u1"), {}, "image_status has shape (7,); expected 10 rows"),
    ],
)  # fmt: skip
def test_a_master_that_says_what_is_not_so(
    vds: Path, name: str, value: object, attributes: dict[str, object], expected: str
) -> None:
    edited(master(vds), name, value, **attributes)
    found = problems(vds)
    assert any(expected in line for line in found), found
    assert all(line.startswith("run_master.h5") for line in found)


def test_rotation_angles_that_do_not_fit(folder: Path) -> None:
    path = "/entry/sample/transformations/omega_end"
    with h5py.File(master(folder)) as file:
        ends = file[path][()]
    ends[4] += 1
    edited(master(folder), path, ends)
    (found,) = problems(folder)
    assert found.startswith("run_master.h5, image 4: /entry/sample/transformations/omega_end is not ")


def test_an_array_with_too_few_rows(folder: Path) -> None:
    path = second(folder)
    edited(path, "/entry/MX/strongPixels", np.zeros(2, "u4"))
    assert any("/entry/MX/strongPixels has shape (2,); expected" in line for line in problems(folder))


def test_a_file_in_another_directory_may_be_named_by_its_path(vds: Path, tmp_path: Path) -> None:
    other = tmp_path / "second"
    other.mkdir()
    (vds / "run_data_000002.h5").rename(other / "run_data_000002.h5")
    with h5py.File(master(vds), "r+") as file:
        shape, dtype = file[DATA].shape, file[DATA].dtype
        del file[DATA]
        layout = h5py.VirtualLayout(shape, dtype)
        names = ("run_data_000001.h5", str(other / "run_data_000002.h5"), "run_data_000003.h5")
        for first, name in zip((0, 4, 8), names, strict=True):
            n_rows = min(4, shape[0] - first)
            layout[first : first + n_rows] = h5py.VirtualSource(name, DATA, (n_rows, *shape[1:]))
        file.create_virtual_dataset(DATA, layout)
    assert any("is named with a directory" in line for line in problems(vds))
    assert not any("is named with a directory" in line for line in problems(vds, also=(other,)))
    assert checked(vds, also=(other,)).n_chunks == 10


@pytest.mark.parametrize("name", ["/etc/passwd", "../run_data_000001.h5", "sub/run_data_000001.h5", "..", ""])
def test_links_that_lead_out_are_not_followed(folder: Path, name: str) -> None:
    with h5py.File(master(folder), "r+") as file:
        data = file["/entry/data"]
        if "data_000001" not in data:
            return
        del data["data_000001"]
        data.id.links.create_external(b"data_000001", name.encode() or b"x/", b"/entry/data/data")
    assert any("files outside the run's folder are not opened" in line for line in problems(folder))


def test_links_beside_the_images_are_not_followed_either(folder: Path, tmp_path: Path) -> None:
    """What they lead to would have too few rows."""
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        file["/x"] = np.zeros(3)
    for path in {master(folder), second(folder)}:
        with h5py.File(path, "r+") as file:
            group = file.require_group("/entry/MX")
            group["outside"] = h5py.ExternalLink(str(tmp_path / "outside.h5"), "/x")
            group["nowhere"] = h5py.SoftLink("/not/there")
    assert problems(folder, deep=False) == []


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(0, 4, "1"), (5, 9, "2")], "images 4 to 4 are mapped from no file"),
        (
            [(0, 4, "1"), (3, 7, "2"), (7, 10, "3")],
            "images 3 to 3 are mapped twice, last from run_data_000002.h5",
        ),
        ([(0, 4, "1"), (4, 8, "2")], "its virtual dataset has 10 images, its sources reach to 8"),
        ([(0, 4, "1"), (4, 8, "HERE/2")], "files outside the run's folder are not opened"),
        ([(0, 4, "1"), (4, 8, "x" * 300)], "it cannot be looked at: "),
    ],
)
def test_a_virtual_dataset_that_maps_otherwise(
    vds: Path, parts: list[tuple[int, int, str]], expected: str
) -> None:
    with h5py.File(master(vds), "r+") as file:
        shape, dtype = file[DATA].shape, file[DATA].dtype
        del file[DATA]
        layout = h5py.VirtualLayout(shape, dtype)
        for first, stop, name in parts:
            folder = f"{vds}/" if name.startswith("HERE/") else ""
            source = f"{folder}run_data_00000{name.removeprefix('HERE/')}.h5"
            layout[first:stop] = h5py.VirtualSource(source, DATA, (stop - first, *shape[1:]))
        file.create_virtual_dataset(DATA, layout)
    assert any(expected in line for line in problems(vds, deep=False))


def test_a_pipe_in_place_of_a_file_holds_nobody_up(folder: Path) -> None:
    path = second(folder)
    path.unlink()
    os.mkfifo(path)
    assert any(f"{path.name}: is no regular file" in line for line in problems(folder))


def test_virtual_datasets_that_lead_out_or_in_circles(folder: Path) -> None:
    with h5py.File(master(folder), "r+") as file:
        if not file[DATA].is_virtual if DATA in file else True:
            return
        shape, dtype = file[DATA].shape, file[DATA].dtype
        del file[DATA]
        layout = h5py.VirtualLayout(shape, dtype)
        layout[:4] = h5py.VirtualSource("/etc/passwd", DATA, (4, *shape[1:]))
        layout[4:8] = h5py.VirtualSource("run_master.h5", DATA, (4, *shape[1:]))
        layout[8:9] = h5py.VirtualSource(".", "/entry/data/x", (1, *shape[1:]))
        file.create_virtual_dataset(DATA, layout)
    found = problems(folder)
    assert any(
        line.startswith("/etc/passwd: the master needs this file: it is named with a directory")
        for line in found
    )
    assert any("of a data file is a virtual dataset" in line for line in found)
    assert any("the master takes /entry/data/x of ." in line for line in found)
    assert any("has 10 images, its sources reach to 9" in line for line in found)


def test_a_symbolic_link_is_followed_only_where_the_user_says_so(folder: Path, tmp_path: Path) -> None:
    path = second(folder)
    other = tmp_path / "other"
    other.mkdir()
    if path == master(folder):
        return
    path.rename(other / path.name)
    path.symlink_to(other / path.name)
    (found,) = problems(folder)
    assert found.startswith(
        f"{path.name}: the master needs this file: it is a symbolic link that leads out of "
    )
    assert problems(folder, also=(other,)) == []
    path.unlink()
    assert problems(folder, also=(other,)) == []


def test_a_single_data_file_and_a_run_without_master(folder: Path) -> None:
    path = second(folder)
    if path == master(folder):
        return
    report = checked(path)
    assert (report.format, report.n_images, report.n_problems) == ("data file", 4, 0)
    master(folder).unlink()
    report = checked(folder / "run")
    assert (report.n_problems, report.n_chunks) == (0, 10)
    assert "there is no master" in report.notes[0].text


def test_shared_runs_are_judged_by_their_own_images(tmp_path: Path) -> None:
    pixels = frames(8)
    for socket in (1, 0):
        sent = [image for image in range(8) if image // 2 % 2 == socket and image != 5]
        start = full_run.start(
            pixels, prefix="run", file_format="NXmxVDS", images_per_file=2, json_user_data=False
        )
        shared = start_with(start, socket_number=socket, write_master_file=socket == 0)
        write(tmp_path, [shared, *(encode(full_run.image_message(i, pixels[i], "bslz4")) for i in sent),
                         full_run.end(8)], files={"n_writers": 2})  # fmt: skip
    report = checked(tmp_path)
    assert [found.line() for found in report.problems] == []
    with h5py.File(tmp_path / "run_master.h5") as file:
        assert file[f"{DETECTOR}/image_status"][()].tolist() == [1, 1, 12, 12, 1, 0, 12, 12]
    (tmp_path / "run_data_000002.h5").unlink()
    assert problems(tmp_path) == ["run_data_000002.h5: the master needs this file: it is not there"]


def start_with(start: bytes, **user: object) -> bytes:
    import cbor2

    message = dict(cbor2.loads(start))
    message["user_data"] = dict(message["user_data"]) | user
    return encode(message)


FOREIGN: dict[str, Callable[[Path], None]] = {
    "text": lambda path: path.write_text("hello"),  # type: ignore[dict-item,return-value]
    "empty": lambda path: path.touch(),
    "no groups": lambda path: h5py.File(path, "w").close(),
    "images elsewhere": lambda path: _foreign(path, "/exchange/data", np.zeros((2, 3, 4), "u2")),
    "one image": lambda path: _foreign(path, DATA, np.zeros((3, 4), "u2")),
    "text as images": lambda path: _foreign(path, DATA, np.array([b"a", b"b"])),
    "entry is a dataset": lambda path: _foreign(path, "/entry", np.zeros(3)),
    "images not chunked": lambda path: _foreign(path, DATA, np.zeros((2, 3, 4), "u2")),
    "group as definition": lambda path: _foreign(path, "/entry/definition/x", np.zeros(3)),
    "strings of any length": lambda path: _foreign(path, "/entry/definition", "NXmx"),
}


def _foreign(path: Path, name: str, value: object) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=value)


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("name", ["a_master.h5", "a_data_000001.h5", "a.h5"])
def test_files_of_other_programs_get_sensible_words(tmp_path: Path, kind: str, name: str) -> None:
    FOREIGN[kind](tmp_path / name)
    report = checked(tmp_path / name)
    assert report.problems
    assert all(len(found.line()) < 400 for found in report.problems)


def test_many_problems_of_a_kind_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset(DATA, (500, 2, 2), "u2", chunks=(1, 2, 2), **hdf5plugin.Bitshuffle())
        for i in range(500):
            data.id.write_direct_chunk((i, 0, 0), b"twelve bytes")
    report = checked(path)
    assert len([found for found in report.problems if found.check is Check.FRAMING]) == 20
    assert report.left_out() == ["a.h5: 480 more problems of this kind (framing)"]
    assert report.n_problems > 500


def test_names_from_files_cannot_move_the_cursor() -> None:
    report = Report("x")
    report.problem(Check.LINK, "a\x1b[2Jb", "text\nline")
    assert report.problems[0].line() == r"a\x1b[2Jb: text\nline"


def test_the_command(vds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["validate", str(vds), "--deep"])
    out = capsys.readouterr().out
    assert status == 1
    assert "far outside a detector of 40" in out
    assert "note     run_master.h5: 1 image (6) missing, as the master says" in out
    with h5py.File(master(vds), "r+") as file:
        for name in ("beam_center_x", "beam_center_y"):
            file[f"/entry/instrument/detector/{name}"][()] = 10.0
    assert main(["validate", str(vds / "run"), str(master(vds)), "--deep", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"]
    assert [found["n_unpacked"] for found in told["runs"]] == [10, 10]
    assert told["runs"][0]["problems"] == []


def test_a_file_that_never_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A storage that hangs is not at hand either: the process that reads is stopped."""
    (tmp_path / "hang_master.h5").write_bytes(b"x")
    send = worker._Worker.report

    def stop(self: worker._Worker, target: worker.Target) -> dict[str, object] | str:
        self._process.send_signal(signal.SIGSTOP)
        return send(self, target)

    monkeypatch.setattr(worker._Worker, "report", stop)
    assert main(["validate", str(tmp_path), "--stall-limit", "0.2"]) == 1
    assert "reading it made no progress for 0.2 s; given up" in capsys.readouterr().out


def test_a_file_that_ends_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has such a file at hand for every version of HDF5, so the process is ended for it."""
    (tmp_path / "a_master.h5").write_bytes(b"x")
    (tmp_path / "b_master.h5").write_bytes(b"x")
    send = worker._Worker.report

    def kill(self: worker._Worker, target: worker.Target) -> dict[str, object] | str:
        if target.prefix == "a":
            self._process.kill()
            self._process.wait()
        return send(self, target)

    monkeypatch.setattr(worker._Worker, "report", kill)
    first, other = worker.reports(find_runs(tmp_path), worker.WorkerOptions())
    assert "ends the process (SIGKILL)" in str(first["problems"])
    assert "cannot be read" in str(other["problems"])


def test_there_is_no_such_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(tmp_path)]) == 2
    assert main(["validate", str(tmp_path / "no")]) == 2
    assert "no run of this prefix" in capsys.readouterr().err
