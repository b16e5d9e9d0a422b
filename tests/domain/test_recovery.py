"""Runs whose writer was killed, and what a recovery makes of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest

from jfwriter.journal import registry
from jfwriter.journal.records import Kind, record
from jfwriter.recovery.result import State
from tests.domain.runs import LAYOUTS, frames
from tests.support import full_run, stream
from tests.support.crashed import content, crash, recover, recover_one
from tests.support.dump import dump as dump_of_all
from tests.support.offline import OfflineDaemon
from tests.support.plain_dcu import encode
from tests.support.plain_dcu import image as packed

N_IMAGES, PER_FILE, MISSING = 7, 3, 4
PIXELS = frames(N_IMAGES)
OTHERWISE = (
    "/entry/analysis", "/entry/MX/bkgEstimateMean", "/entry/MX/imageIndexedMean",
    "/entry/instrument/detector/detectorSpecific/outcome",
)  # fmt: skip


def dump(path: Path) -> list[str]:
    """A file as text, without the verdict, and without the means over all images of the run, which a recovery
    may not have."""
    lines = dump_of_all(path).splitlines()
    return [line for line in lines if not line.startswith(OTHERWISE)]


def messages(layout: str, *, stop: int = N_IMAGES, prefix: str = "sub/run", **fields: Any) -> list[bytes]:
    """Start, calibration and the images below `stop`, of which one never came."""
    return [
        full_run.start(PIXELS, prefix=prefix, file_format=layout, images_per_file=PER_FILE,
                       json_user_data=False),
        full_run.calibration(PIXELS),
        *(
            encode({**full_run.image_message(i, PIXELS[i], "bslz4"), **fields})
            for i in range(stop)
            if i != MISSING
        ),
    ]  # fmt: skip


@pytest.fixture
def crashed(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Of the layout that the test names."""
    return crash(tmp_path / "living", tmp_path / "crashed", messages(request.param))


def undisturbed(root: Path, sent: list[bytes]) -> Path:
    """The same messages to a writer that is stopped instead of killed."""
    root.mkdir()
    daemon = OfflineDaemon(root, files={"sync": True})
    daemon.take(sent)
    for order in daemon.session.stop():
        daemon._do(order)
    return root


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("stop", [3, 7], ids=["a whole file", "more"])
def test_the_files_are_those_of_a_writer_that_was_stopped(tmp_path: Path, layout: str, stop: int) -> None:
    sent = messages(layout, stop=stop)
    wanted = undisturbed(tmp_path / "wanted", sent) / "sub"
    found = crash(tmp_path / "living", tmp_path / "crashed", sent) / "sub"
    standing = content(found)
    result = recover_one(tmp_path / "crashed")
    nothing_is_open = layout == "NXmxOnlyData" and stop == PER_FILE
    assert result.state is (State.FINISHED if nothing_is_open else State.RECOVERED)
    assert result.is_good
    names = sorted(path.name for path in wanted.iterdir())
    assert sorted(path.name for path in found.glob("*.h5")) == names
    assert sorted(result.files) == names
    for name in names:
        assert dump(found / name) == dump(wanted / name)
    for name, before in standing.items():
        assert (found / name).read_bytes() == before


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_packed_bytes_are_those_that_were_sent(tmp_path: Path, layout: str) -> None:
    top = crash(tmp_path / "living", tmp_path / "crashed", messages(layout))
    recover(top)
    per_file = N_IMAGES if layout == "NXmxIntegrated" else PER_FILE
    for i in range(N_IMAGES):
        name = "run_master.h5" if layout == "NXmxIntegrated" else f"run_data_{i // per_file + 1:06d}.h5"
        with h5py.File(top / "sub" / name) as file:
            _, chunk = file["/entry/data/data"].id.read_direct_chunk((i % per_file, 0, 0))
        if i != MISSING:
            assert chunk in full_run_message(i)


def full_run_message(i: int) -> bytes:
    return encode(full_run.image_message(i, PIXELS[i], "bslz4"))


@pytest.mark.parametrize("crashed", LAYOUTS, indirect=True)
def test_a_second_recovery_does_nothing(crashed: Path) -> None:
    recover_one(crashed)
    before = content(crashed)
    again = recover_one(crashed)
    assert (again.state, again.is_good) == (State.RECOVERED_BEFORE, True)
    assert content(crashed) == before


@pytest.mark.parametrize("crashed", LAYOUTS, indirect=True)
def test_a_dry_run_tells_and_writes_nothing(crashed: Path) -> None:
    before = content(crashed)
    told = recover_one(crashed, dry_run=True)
    assert content(crashed) == before
    assert told.state is State.RECOVERABLE
    done = recover_one(crashed)
    assert (told.n_images, told.n_recovered, told.n_published, told.missing) == (
        done.n_images, done.n_recovered, done.n_published, done.missing,
    )  # fmt: skip
    assert told.n_recovered + told.n_published == N_IMAGES - 1
    assert told.missing == ((MISSING, MISSING),)


@pytest.mark.parametrize("crashed", LAYOUTS, indirect=True)
def test_the_raw_material_goes_on_request_only(crashed: Path) -> None:
    raw = {name: data for name, data in content(crashed).items() if not name.endswith(".h5")}
    raw = {name: data for name, data in raw.items() if not name.startswith(registry.DIRECTORY)}
    assert any(name.endswith(".tmp") for name in raw)
    recover(crashed)
    assert {name: data for name, data in content(crashed).items() if name in raw} == raw
    assert recover_one(crashed, remove=True).removed
    assert all(path.suffix == ".h5" for path in (crashed / "sub").iterdir())


@pytest.mark.parametrize("crashed", ["NXmxVDS"], indirect=True)
def test_the_run_is_told_to_be_incomplete(crashed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from jfwriter.cli import main

    assert main(["recover", "--json", str(crashed)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"]
    assert told["state"] == "recovered"
    assert told["file_prefix"] == "sub/run"
    assert main(["recover", str(crashed)]) == 0
    assert capsys.readouterr().out.startswith("sub/run: was recovered before")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_living_writer_is_left_alone(tmp_path: Path, layout: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    daemon = OfflineDaemon(root, journal={"sync_interval_s": 3600.0})
    daemon.take(messages(layout, stop=4))
    before = content(root)
    result = recover_one(root, remove=True)
    assert (result.state, result.is_good) == (State.IN_USE, True)
    assert content(root) == before
    daemon.take([full_run.end(4)])
    assert daemon.written.report.n_written == 4


def test_files_of_the_names_of_a_living_run_are_not_made(tmp_path: Path) -> None:
    """A crashed run, and a new one of the same prefix that has no file under a final name yet."""
    crash(tmp_path / "living", tmp_path / "root", messages("NXmxVDS", stop=2))
    daemon = OfflineDaemon(tmp_path / "root")
    daemon.take(messages("NXmxVDS", stop=1))
    states = {result.state for result in recover(tmp_path / "root")}
    assert states == {State.IN_USE}
    assert not list((tmp_path / "root" / "sub").glob("*.h5"))
    assert daemon.writer is not None
    daemon.writer.abandon()


@pytest.mark.parametrize("layout", ["NXmxVDS", "NXmxIntegrated"])
def test_killed_while_it_was_finished(tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every step of the end: the run of the copy that is made there becomes whole."""
    import os

    from jfwriter.hdf5 import publish

    root, n_copies = tmp_path / "root", 0
    root.mkdir()
    daemon = OfflineDaemon(root, files={"sync": True})
    daemon.take(messages(layout))

    def copied() -> None:
        nonlocal n_copies
        n_copies += 1
        shutil.copytree(root, tmp_path / f"copy{n_copies}", symlinks=True)

    real_rename, real_unlink = publish.rename_without_replacing, os.unlink

    def rename(descriptor: int, old: str, new: str) -> None:
        copied()
        real_rename(descriptor, old, new)
        copied()

    def unlink(*arguments: Any, **options: Any) -> None:
        copied()
        real_unlink(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(publish, "rename_without_replacing", rename)
        patch.setattr(os, "unlink", unlink)
        daemon.take([full_run.end(N_IMAGES)])
    wanted = {path.name: dump(path) for path in (root / "sub").iterdir()}
    assert n_copies >= 4
    for number in range(1, n_copies + 1):
        top = tmp_path / f"copy{number}"
        results = recover(top, remove=True)
        assert [(result.is_good, result.removed) for result in results] in ([(True, True)], [])
        assert {path.name: dump(path) for path in (top / "sub").iterdir()} == wanted


@pytest.mark.parametrize("layout", ["NXmxVDS", "NXmxIntegrated"])
def test_a_recovery_that_was_killed_is_repeated(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jfwriter.hdf5 import publish

    sent = messages(layout)
    crash(tmp_path / "living", tmp_path / "first", sent)
    copies: list[Path] = []
    real = publish.rename_without_replacing

    def rename(descriptor: int, old: str, new: str) -> None:
        for step in (lambda: None, lambda: real(descriptor, old, new)):
            step()
            copies.append(tmp_path / f"copy{len(copies)}")
            shutil.copytree(tmp_path / "first", copies[-1], symlinks=True)

    with monkeypatch.context() as patch:
        patch.setattr(publish, "rename_without_replacing", rename)
        recover_one(tmp_path / "first")
    wanted = {path.name: dump(path) for path in (tmp_path / "first" / "sub").glob("*.h5")}
    assert copies
    for top in copies:
        result = recover_one(top, remove=True)
        assert result.is_good
        assert {path.name: dump(path) for path in (top / "sub").iterdir()} == wanted


@pytest.mark.parametrize("crashed", ["NXmxVDS"], indirect=True)
def test_a_torn_journal_gives_the_images_before_the_tear(crashed: Path) -> None:
    (journal,) = (crashed / "sub").glob("run_data_000002*.journal")
    data = journal.read_bytes()
    journal.write_bytes(data[:-300])  # the note of the sync, and the end of the last image
    result = recover_one(crashed)
    assert result.is_good
    assert result.n_recovered == 2
    journal.write_bytes(data)


@pytest.mark.parametrize("crashed", ["NXmxVDS"], indirect=True)
def test_a_data_file_that_is_gone_is_told(crashed: Path) -> None:
    (temporary,) = (crashed / "sub").glob("run_data_000002*.tmp")
    temporary.unlink()
    result = recover_one(crashed)
    assert (result.state, result.is_good, result.n_lost) == (State.RECOVERED, False, 2)
    assert f"{temporary.name} is gone: 2 images are lost" in result.problems
    assert result.missing == ((3, 5),)


@pytest.mark.parametrize("crashed", ["NXmxVDS"], indirect=True)
def test_pixels_that_did_not_reach_the_disk_are_told(crashed: Path) -> None:
    (temporary,) = (crashed / "sub").glob("run_data_000002*.tmp")
    data = temporary.read_bytes()
    _, chunk = _chunk(full_run_message(5))
    place = data.index(chunk)
    temporary.write_bytes(data[:place] + bytes(len(chunk)) + data[place + len(chunk) :])
    result = recover_one(crashed)
    assert (result.n_lost, result.is_good) == (1, False)
    assert result.problems[0].startswith("image 5: ")
    assert (5, 5) in [*result.missing, (4, 5)[0:2]] or result.missing == ((4, 5),)
    assert not recover_one(crashed, remove=True).removed


def _chunk(message: bytes) -> tuple[int, bytes]:
    from jfwriter.settings import LimitSettings
    from jfwriter.wire.decode import decode

    image: Any = decode(message, LimitSettings())
    return 0, bytes(image.channels["default"].data)


@pytest.mark.parametrize("crashed", LAYOUTS, indirect=True)
def test_a_file_in_the_way_is_left_alone(crashed: Path) -> None:
    name = "run_master.h5" if not list((crashed / "sub").glob("run_data_000001.h5")) else "run_data_000003.h5"
    (crashed / "sub" / name).write_bytes(b"somebody's")
    before = content(crashed)
    result = recover_one(crashed)
    assert result.state is State.FAILED
    assert name in result.reason
    assert content(crashed) == before


def test_a_failed_run_is_recovered_while_its_writer_lives_on(tmp_path: Path) -> None:
    daemon = OfflineDaemon(tmp_path)
    daemon.take(stream.run(n_images=10)[:7])
    assert daemon.writer is not None
    daemon.writer.abandon()
    result = recover_one(tmp_path)
    assert (result.state, result.n_recovered, result.n_published) == (State.RECOVERED, 2, 4)
    with h5py.File(tmp_path / "run1_data_000002.h5") as file:
        assert np.array_equal(file["/entry/data/data"][:], [stream.pixels(i) for i in (4, 5)])


@pytest.mark.parametrize("codec", ["none", "bslz4"])
def test_plain_pixels_as_they_are_stored(tmp_path: Path, codec: str) -> None:
    """Big-endian and uncompressed ones are stored otherwise than sent."""
    sent = [stream.start(n_images=3)]
    for i in range(3):
        dtype = ">u2" if i == 1 else "<u2"
        sent.append(stream.image_message(i, data={"default": packed(stream.pixels(i).astype(dtype), None)}))
    top = crash(
        tmp_path / "living", tmp_path / "crashed", sent, files={"sync": True, "compress_raw_images": codec}
    )
    assert recover_one(top).n_recovered == 3
    with h5py.File(top / "run1_data_000001.h5") as file:
        assert np.array_equal(file["/entry/data/data"][:], [stream.pixels(i) for i in range(3)])
        assert file["/entry/data/data"].id.get_create_plist().get_nfilters() == (codec != "none")


def test_what_the_writer_computed_is_computed_again(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"analysis": {"image_statistics": "always"}}
    sent = stream.run(n_images=3)[:-1]
    top = crash(tmp_path / "living", tmp_path / "crashed", sent, **settings)
    assert recover_one(top).is_good
    with h5py.File(top / "run1_data_000001.h5") as file:
        sums = file["/entry/image/pixel_sum"][:]
    assert sums.tolist() == [int(stream.pixels(i).sum()) for i in range(3)]


@pytest.mark.parametrize("crashed", ["NXmxVDS"], indirect=True)
def test_after_a_power_cut_unsynced_plain_pixels_are_not_trusted(tmp_path: Path, crashed: Path) -> None:
    sent = [stream.start(n_images=3)]
    sent += [stream.image_message(i, data={"default": packed(stream.pixels(i), None)}) for i in range(3)]
    top = crash(tmp_path / "living2", tmp_path / "crashed2", sent)
    _another_boot(top)
    assert recover_one(top, dry_run=True).n_recovered == 3  # all of them were synced
    (journal,) = top.glob("*.tmp.journal")
    _without_notes_of_sync(journal)
    result = recover_one(top)
    assert (result.n_recovered, result.n_lost) == (0, 3)
    assert "may not have reached the disk" in result.problems[0]
    _another_boot(crashed)
    for journal in (crashed / "sub").glob("*.tmp.journal"):
        _without_notes_of_sync(journal)
    assert recover_one(crashed).is_good  # packed images tell themselves whether they are whole


def _another_boot(top: Path) -> None:
    (journal,) = top.rglob("*.run.journal")
    _rewrite(journal, lambda kind, body: json.dumps({**json.loads(body), "boot_id": "x"}).encode()
             if kind == Kind.RUN else body)  # fmt: skip


def _without_notes_of_sync(journal: Path) -> None:
    _rewrite(journal, lambda kind, body: None if kind == Kind.SYNCED else body)


def _rewrite(journal: Path, change: Any) -> None:
    from jfwriter.journal.records import Reader

    with journal.open("rb") as file:
        found = [(r.kind, r.body) for r in Reader(file, journal.stat().st_size)]
    changed = [(kind, change(kind, body)) for kind, body in found]
    journal.write_bytes(b"".join(record(Kind(kind), body) for kind, body in changed if body is not None))
