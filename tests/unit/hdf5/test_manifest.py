"""The manifest: what it says, that it is published like a file, and what its failing means."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jfwriter.errors import RunRefused, StorageError
from jfwriter.hdf5 import manifest as module
from jfwriter.session.orders import Outcome
from jfwriter.validation.run import Options, check_run
from jfwriter.validation.target import find_runs
from tests.support import messages
from tests.support.offline import write
from tests.support.writer_run import Run

MakeRun = Callable[..., Run]

WANTED: dict[str, object] = {"manifest": True}


def told(root: Path, name: str = "scan1_manifest.json") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((root / name).read_bytes())
    return content


@pytest.mark.parametrize("file_format", [0, 1, 2, 3])
def test_it_names_files_and_images(make_run: MakeRun, file_format: int) -> None:
    run = make_run(file_format=file_format, files=WANTED)
    run.write(0, 1, 3, 4, 5)
    report = run.finish(6, missing=((2, 2),), outcome=Outcome.INCOMPLETE, n_received=5)
    content = told(run.root)
    assert (content["outcome"], content["n_images"], content["images_written"]) == ("incomplete", 6, 5)
    assert content["missing"] == [[2, 2]]
    assert content["images_by_status"] == {"never_came": 1, "written": 5}
    assert [file["name"] for file in content["files"]] == list(report.files)
    for file in content["files"]:
        assert file["size_bytes"] == (run.root / file["name"]).stat().st_size
    rows = [(file["role"], file.get("first_image"), file.get("n_images")) for file in content["files"]]
    data = [("data", 0, 4), ("data", 4, 2)]
    assert rows == {0: data, 1: [*data, ("master", None, None)], 2: [*data, ("master", None, None)],
                    3: [("single", 0, 6)]}[file_format]  # fmt: skip
    assert report.manifest == "scan1_manifest.json"
    assert not [name for name in run.names() if name.endswith(".tmp")]


def test_none_unless_wanted_and_none_without_files(make_run: MakeRun) -> None:
    run = make_run(file_format=2)
    run.write(0)
    assert run.finish(1).manifest == ""
    assert "scan1_manifest.json" not in run.names()


def test_a_failed_run_has_one(make_run: MakeRun) -> None:
    run = make_run(file_format=2, files=WANTED)
    run.write(0, 1, 2, 3)
    run.writer.close_file(0)
    run.write(4)
    run.writer.abandon()
    report = run.finish(5)
    assert report.outcome is Outcome.FAILED
    content = told(run.root)
    assert content["outcome"] == "failed"
    assert [file["name"] for file in content["files"]] == ["scan1_data_000001.h5"]
    assert content["images_by_status"] == {"written": 4, "run_failed": 1}


def test_an_older_one_is_never_replaced_unless_told(make_run: MakeRun) -> None:
    root = make_run(file_format=2).root
    (root / "scan2_manifest.json").write_text("mine")
    with pytest.raises(RunRefused, match=r"scan2_manifest\.json exists already"):
        make_run(file_format=2, file_prefix="scan2", files=WANTED)
    run = make_run(file_format=2, file_prefix="scan2", files=WANTED, overwrite=True)
    run.write(0)
    run.finish(1)
    assert told(run.root, "scan2_manifest.json")["n_images"] == 1


def test_one_that_appears_meanwhile_is_left_alone(make_run: MakeRun) -> None:
    run = make_run(file_format=2, files=WANTED)
    run.write(0)
    (run.root / "scan1_manifest.json").write_text("mine")
    report = run.finish(1)
    assert (run.root / "scan1_manifest.json").read_text() == "mine"
    assert report.outcome is Outcome.INCOMPLETE
    assert "no manifest: scan1_manifest.json has appeared since" in report.reasons[-1]
    assert not [name for name in run.names() if name.endswith(".tmp")]


def test_a_run_without_its_manifest_is_not_complete(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_create", full)
    run = make_run(file_format=2, files=WANTED)
    run.write(0)
    report = run.finish(1)
    assert report.outcome is Outcome.INCOMPLETE
    assert "no manifest: scan1_manifest.json cannot be written: No space left on device" in report.reasons


def test_a_directory_that_is_gone(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise StorageError("not_found", "directory sub is gone")

    monkeypatch.setattr(module.RunDirectory, "reopen", gone)
    run = make_run(file_format=2, files=WANTED)
    run.write(0)
    assert run.finish(1).reasons[-1] == "no manifest: directory sub is gone"


def test_of_several_writers_each_has_its_own(tmp_path: Path) -> None:
    for socket in (1, 0):
        start = messages.start(
            file_format=2, images_per_file=5, socket_number=socket, write_master_file=socket == 0
        )
        images = [messages.image(i) for i in range(10) if i // 5 == socket]
        write(tmp_path, [start, *images, messages.end()], files={"manifest": True, "n_writers": 2})
    assert told(tmp_path)["images_by_status"] == {"written": 5, "other_writer": 5}
    assert [f["name"] for f in told(tmp_path, "scan1_manifest_1.json")["files"]] == ["scan1_data_000002.h5"]


def test_validate_compares_it(make_run: MakeRun) -> None:
    run = make_run(file_format=2, files=WANTED)
    run.write(0, 1, 2, 3, 4)
    run.finish(5)
    target = find_runs(run.root / "scan1")[0]

    def problems() -> list[str]:
        report = check_run(target, Options())
        return [found.line() for found in report.problems if found.check == "manifest"]

    assert problems() == []
    path = run.root / "scan1_manifest.json"
    good = told(run.root)
    for change, expected in (
        ({"n_images": 7}, "says that the run has 7 images; the master says 5"),
        ({"files": [{"name": "../x", "size_bytes": 1}]}, "names '../x', which is no plain file name"),
        ({"files": [{"name": "gone.h5", "size_bytes": 1}]}, "gone.h5 is not there"),
        ({"files": [{"name": "scan1_master.h5", "size_bytes": 1}]}, "1 when the run was finished"),
        ({"files": 3}, "is no manifest"),
        ({"images_by_status": {"written": 9}}, "counts 9 written; image_status of the master has 5 written"),
    ):
        path.write_text(json.dumps(good | change))
        assert any(expected in line for line in problems()), expected
    for text in ("", "[]", "{" * 100_000, "\xff"):
        path.write_text(text)
        (line,) = problems()
        assert "is no manifest" in line
    path.write_text(json.dumps(good | {"outcome": "failed"}))
    assert problems() == []
