"""Recovered runs and their manifests, in the eyes of `jfwriter validate --deep`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cbor2
import pytest

from jfwriter.cli import main
from jfwriter.hdf5 import manifest
from jfwriter.recovery.result import State
from tests.domain.runs import LAYOUTS, frames
from tests.support import full_run, stream
from tests.support.crashed import content, crash, recover, recover_one
from tests.support.offline import OfflineDaemon
from tests.support.plain_dcu import encode

N_IMAGES, N_PLANNED, PER_FILE, MISSING = 7, 10, 3, 4
PIXELS = frames(N_PLANNED)
FILES: dict[str, object] = {"sync": True, "checksum": "crc32", "manifest": True}


def messages(layout: str, n_images: int = N_IMAGES) -> list[bytes]:
    """The start, its beam centre on these small images, and the first images of the run, of which one never
    came."""
    start = full_run.start(PIXELS, prefix="sub/run", file_format=layout, images_per_file=PER_FILE,
                           json_user_data=False)  # fmt: skip
    start = encode({**cbor2.loads(start), "beam_center_x": 20.5, "beam_center_y": 12.5})
    images = [encode(full_run.image_message(i, PIXELS[i], "bslz4")) for i in range(n_images) if i != MISSING]
    return [start, *images]


def stopped(root: Path, sent: list[bytes]) -> Path:
    """The same messages to a writer that is stopped instead of killed."""
    root.mkdir()
    daemon = OfflineDaemon(root, files=FILES)
    daemon.take(sent)
    for order in daemon.session.stop():
        daemon._do(order)
    return root


def told(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "sub" / "run_manifest.json").read_bytes())
    return found


def validated(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """Exit status and what is told of the run."""
    capsys.readouterr()
    code = main(["validate", "--deep", "--json", str(folder)])
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    return code, run


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("n_images", [PER_FILE, N_IMAGES])
def test_validate_says_the_same_of_a_recovered_run_as_of_a_stopped_one(
    tmp_path: Path, layout: str, n_images: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """No problem; the verdict and the images that never came are named."""
    sent = messages(layout, n_images)
    wanted = stopped(tmp_path / "wanted", sent)
    root = crash(tmp_path / "living", tmp_path / "crashed", sent, files=FILES)
    assert recover_one(root, remove=True).removed
    code, found = validated(root / "sub", capsys)
    assert (code, found["problems"]) == (0, [])
    assert found["n_unpacked"] == found["n_checksums"] >= n_images - (n_images > MISSING)
    expected = validated(wanted / "sub", capsys)[1]
    for table in (found, expected):
        del table["run"]
    assert found == expected
    texts = [note["text"] for note in found["notes"]]
    if layout != "NXmxOnlyData":
        assert "the writer called the run incomplete" in texts
        assert n_images == PER_FILE or "1 image (4) missing, as the master says" in texts


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_manifest_is_that_of_a_writer_that_was_stopped(tmp_path: Path, layout: str) -> None:
    sent = messages(layout)
    wanted = told(stopped(tmp_path / "wanted", sent))
    root = crash(tmp_path / "living", tmp_path / "crashed", sent, files=FILES)
    assert not (root / "sub" / "run_manifest.json").exists()
    result = recover_one(root)
    found = told(root)
    assert "run_manifest.json" in result.files
    assert found["reasons"][0] == "recovered after a crash"
    for table in (wanted, found):
        for key in ("written_at", "reasons"):
            del table[key]
        for file in table["files"]:  # the sums over the images, and the reason, are not as long
            size_bytes = file.pop("size_bytes")
        assert size_bytes > 0
    assert found == wanted
    again = recover_one(root, remove=True)
    assert (again.state, again.removed) == (State.RECOVERED_BEFORE, True)


def test_a_manifest_of_the_failed_run_is_written_again(tmp_path: Path) -> None:
    """A run that failed has one; that of somebody else stays."""
    daemon = OfflineDaemon(tmp_path, files=FILES)
    daemon.take(messages("NXmxVDS"))
    writer = daemon.writer
    assert writer is not None
    writer.abandon()
    for order in daemon.session.stop():
        daemon._do(order)
    assert told(tmp_path)["outcome"] == "failed"
    before = told(tmp_path)
    path = tmp_path / "sub" / "run_manifest.json"
    for change in ({"series_unique_id": "other"}, {"started_at": "2020-01-01T00:00:00.000000Z"}):
        path.write_text(json.dumps(before | change))
        foreign = content(tmp_path)
        result = recover_one(tmp_path)
        assert result.state is State.FAILED
        assert "run_manifest.json stands there and is not of this run" in result.reason
        assert content(tmp_path) == foreign
    path.write_text(json.dumps(before))
    assert recover_one(tmp_path).state is State.RECOVERED
    after = told(tmp_path)
    assert (after["outcome"], after["images_written"]) == ("incomplete", N_IMAGES - 1)


@pytest.mark.parametrize("layout", ["NXmxVDS", "NXmxIntegrated"])
def test_killed_before_and_after_the_manifest_was_written(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All else stands, and the run was complete: so says the manifest, whoever writes it."""
    root = tmp_path / "root"
    root.mkdir()
    daemon = OfflineDaemon(root, files=FILES)
    sent = [full_run.start(PIXELS, prefix="sub/run", file_format=layout, images_per_file=PER_FILE,
                           json_user_data=False),
            *(encode(full_run.image_message(i, PIXELS[i], "bslz4")) for i in range(N_PLANNED))]  # fmt: skip
    daemon.take(sent)
    real = manifest._create

    def create(*arguments: Any) -> None:
        shutil.copytree(root, tmp_path / "before")
        real(*arguments)
        shutil.copytree(root, tmp_path / "after")

    with monkeypatch.context() as patch:
        patch.setattr(manifest, "_create", create)
        daemon.take([full_run.end(N_PLANNED)])
    wanted = told(root)
    assert wanted["outcome"] == "complete"
    for name in ("before", "after"):
        top = tmp_path / name
        assert recover_one(top, dry_run=True).state is State.FINISHED
        assert not (top / "sub" / "run_manifest.json").exists()
        result = recover_one(top, remove=True)
        assert (result.state, result.removed) == (State.FINISHED, True)
        assert told(top) == wanted
        assert content(top / "sub").keys() == content(root / "sub").keys()


def test_a_manifest_that_was_wanted_and_not_noted_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jfwriter.hdf5.run_account import RunAccount

    root = tmp_path / "root"
    root.mkdir()
    daemon = OfflineDaemon(root, files=FILES)
    daemon.take(stream.run(n_images=4)[:-1])
    real = RunAccount.report

    def report(self: RunAccount, order: Any) -> Any:
        shutil.copytree(root, tmp_path / "copy")
        return real(self, order)

    with monkeypatch.context() as patch:
        patch.setattr(RunAccount, "report", report)
        daemon.take([stream.end(n_images=4)])
    (result,) = recover(tmp_path / "copy")
    assert result.state is State.FINISHED
    assert "run1_manifest.json was wanted, and the crash came before it" in result.problems
