"""Recovery where the directory of the run does not take what is made of it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from jfwriter.errors import StorageError
from jfwriter.hdf5.data_file import DataFile
from jfwriter.hdf5.data_files import DataFiles
from jfwriter.recovery.result import State
from jfwriter.recovery.search import waiting
from jfwriter.session.orders import WriteImage
from tests.support import stream
from tests.support.crashed import content, crash, recover_one
from tests.support.second_root import N_IMAGES, images_through, recover_both, sent

LAYOUTS = ("NXmxLegacy", "NXmxVDS", "NXmxIntegrated")


def files_of(root: Path) -> dict[str, bytes]:
    """But for the entry of a run that is still to be recovered."""
    return {name: data for name, data in content(root).items() if not name.startswith(".jfwriter/")}


def fill_up_at(patch: pytest.MonkeyPatch, row: int) -> None:
    """A disk that is full at this row of any data file that is not in the second root."""
    real = DataFiles.for_image

    def for_image(self: DataFiles, order: WriteImage) -> DataFile:
        file = real(self, order)
        if order.row == row and not file.relative_name.startswith("/"):
            raise StorageError("no_space", os.strerror(errno.ENOSPC))
        return file

    patch.setattr(DataFiles, "for_image", for_image)


@pytest.fixture(params=LAYOUTS)
def crashed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two whole files have their names, the third is open; in the integrated layout the only one is."""
    return crash(tmp_path / "living", tmp_path / "first", sent(request.param, N_IMAGES))


def assert_whole(master: Path) -> None:
    np.testing.assert_array_equal(images_through(master), [stream.pixels(i) for i in range(N_IMAGES)])


def test_nothing_half_is_published_and_a_second_try_has_all(
    crashed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with half of its images under its final name would hide the rest from the second try."""
    before = files_of(crashed)
    with monkeypatch.context() as patch:
        fill_up_at(patch, 2)
        result = recover_one(crashed, remove=True)
    assert (result.state, result.is_good, result.removed) == (State.FAILED, False, False)
    assert "No space left" in result.reason
    after = files_of(crashed)
    assert {name: after[name] for name in before} == before
    assert {name.rpartition(".")[2] for name in after.keys() - before.keys()} == {"recovered"}
    result = recover_one(crashed, remove=True)
    assert (result.state, result.is_good, result.n_images) == (State.RECOVERED, True, N_IMAGES)
    assert_whole(crashed / "sub" / "run_master.h5")


def test_it_is_made_in_the_second_root_if_there_is_one(
    crashed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = tmp_path / "second"
    second.mkdir()
    before = files_of(crashed)
    fill_up_at(monkeypatch, 2)
    (result,) = recover_both(crashed, second)
    assert (result.state, result.is_good, result.n_images) == (State.RECOVERED, True, N_IMAGES), result
    assert any(name.startswith(f"{second}/sub/") for name in result.files)
    (master,) = [path for root in (crashed, second) for path in root.rglob("*_master.h5")]
    assert_whole(master)
    after = files_of(crashed)
    assert {name: after[name] for name in before} == before
    assert waiting([crashed, second]) == []
    made = files_of(crashed), files_of(second)
    (again,) = recover_both(crashed, second)
    assert (again.state, again.is_good) == (State.RECOVERED_BEFORE, True)
    assert (files_of(crashed), files_of(second)) == made
    (last,) = recover_both(crashed, second, remove=True)
    assert last.removed
    left = [path for root in (crashed, second) for path in root.rglob("*") if path.is_file()]
    assert {path.suffix for path in left} == {".h5"}
    assert_whole(master)


def test_a_second_root_that_takes_nothing_either_is_told(
    crashed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_of(crashed)
    second = tmp_path / "second"
    (second / "sub").mkdir(parents=True)
    stranger = second / "sub" / "run_master.h5"
    stranger.write_bytes(b"another run")
    fill_up_at(monkeypatch, 2)
    (result,) = recover_both(crashed, second, remove=True)
    assert (result.state, result.is_good, result.removed) == (State.FAILED, False, False)
    assert "No space left" in result.reason
    assert "run_master.h5 exists already" in result.problems[-1]
    assert files_of(second) == {"sub/run_master.h5": b"another run"}
    assert {name: files_of(crashed)[name] for name in before} == before
