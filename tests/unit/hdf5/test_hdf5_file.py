"""Files are created and opened as h5py does it, and other threads run meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from jfwriter.hdf5 import hdf5_file
from jfwriter.hdf5.file_versions import DATA_FILE, SINGLE_FILE, Libver
from tests.support.daemon import wait_for
from tests.support.faulty_storage import FaultyStorage


@pytest.mark.parametrize("libver", [DATA_FILE, SINGLE_FILE])
def test_byte_for_byte_as_h5py_creates_it(tmp_path: Path, libver: Libver) -> None:
    with hdf5_file.create(str(tmp_path / "ours.h5"), libver) as file:
        assert file.mode == "r+"
        file["/a/b"] = 1
    path = tmp_path / "theirs.h5"
    with h5py.File(path, "x", libver=libver, track_order=False, locking="best-effort") as file:
        file["/a/b"] = 1
    assert (tmp_path / "ours.h5").read_bytes() == path.read_bytes()
    with hdf5_file.open_to_read(str(path)) as file:
        assert (file.mode, file["/a/b"][()]) == ("r", 1)


def test_errors_are_those_of_the_system(tmp_path: Path) -> None:
    there = tmp_path / "there.h5"
    there.write_bytes(b"somebody else's")
    with pytest.raises(FileExistsError):
        hdf5_file.create(str(there), DATA_FILE)
    assert there.read_bytes() == b"somebody else's"
    with pytest.raises(FileNotFoundError):
        hdf5_file.create(str(tmp_path / "none" / "x.h5"), DATA_FILE)
    with pytest.raises(OSError, match="file signature not found"):
        hdf5_file.open_to_read(str(there))
    with pytest.raises(FileNotFoundError):
        hdf5_file.open_to_read(str(tmp_path / "none.h5"))


def test_nothing_is_left_open(tmp_path: Path) -> None:
    before = h5py.h5f.get_obj_count()
    hdf5_file.create(str(tmp_path / "a.h5"), DATA_FILE).close()
    hdf5_file.open_to_read(str(tmp_path / "a.h5")).close()
    assert h5py.h5f.get_obj_count() == before


SCRIPT = """
import sys, threading, time
from pathlib import Path
from jfwriter.hdf5 import hdf5_file
path, told = sys.argv[1], Path(sys.argv[2])
def tell():
    for number in range(10**6):
        told.write_text(str(number))
        time.sleep(0.005)
threading.Thread(target=tell, daemon=True).start()
told.with_suffix(".ready").touch()
sys.stdin.read(1)
hdf5_file.create(path, ("earliest", "v108"))
"""


@pytest.mark.parametrize("operation", ["create", "write"])
def test_other_threads_run_while_the_storage_does_not_answer(tmp_path: Path, operation: str) -> None:
    storage = FaultyStorage(tmp_path)
    told = tmp_path / "told"
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "wanted.h5"), str(told)]
    root = Path(__file__).parents[3]
    storage.wait_at(operation, "wanted.h5")
    with subprocess.Popen(command, env={**storage.environment}, cwd=root, stdin=subprocess.PIPE) as process:
        try:
            wait_for((tmp_path / "told.ready").exists)
            assert process.stdin is not None
            process.stdin.write(b"1")
            process.stdin.flush()
            storage.wait_until_struck()
            before = int(told.read_text() or 0)
            wait_for(lambda: int(told.read_text() or 0) > before + 20)
        finally:
            process.kill()
