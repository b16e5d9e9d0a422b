"""Files are created and opened as h5py does it, and other threads run meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import pytest

from jfwriter.hdf5 import hdf5_file
from tests.support.daemon import wait_for
from tests.support.faulty_storage import FaultyStorage


def properties() -> tuple[Any, Any]:
    return h5py.h5p.create(h5py.h5p.FILE_CREATE), h5py.h5p.create(h5py.h5p.FILE_ACCESS)


def test_byte_for_byte_as_h5py_creates_it(tmp_path: Path) -> None:
    with hdf5_file.create(str(tmp_path / "ours.h5"), *properties()) as file:
        assert file.mode == "r+"
        file["/a/b"] = 1
    path = tmp_path / "theirs.h5"
    creation, access = properties()
    with h5py.File(h5py.h5f.create(str(path).encode(), h5py.h5f.ACC_EXCL, creation, access)) as file:
        file["/a/b"] = 1
    assert (tmp_path / "ours.h5").read_bytes() == path.read_bytes()
    with hdf5_file.open_to_read(str(path)) as file:
        assert (file.mode, file["/a/b"][()]) == ("r", 1)


def test_errors_are_those_of_the_system(tmp_path: Path) -> None:
    there = tmp_path / "there.h5"
    there.write_bytes(b"somebody else's")
    with pytest.raises(FileExistsError):
        hdf5_file.create(str(there), *properties())
    assert there.read_bytes() == b"somebody else's"
    with pytest.raises(FileNotFoundError):
        hdf5_file.create(str(tmp_path / "none" / "x.h5"), *properties())
    with pytest.raises(OSError, match="file signature not found"):
        hdf5_file.open_to_read(str(there))
    with pytest.raises(FileNotFoundError):
        hdf5_file.open_to_read(str(tmp_path / "none.h5"))


def test_nothing_is_left_open(tmp_path: Path) -> None:
    before = h5py.h5f.get_obj_count()
    hdf5_file.create(str(tmp_path / "a.h5"), *properties()).close()
    hdf5_file.open_to_read(str(tmp_path / "a.h5")).close()
    assert h5py.h5f.get_obj_count() == before


SCRIPT = """
import sys, threading, time
from pathlib import Path
from typing import Any
from jfwriter.hdf5.new_file import new_file
path, told = sys.argv[1], Path(sys.argv[2])
def tell():
    for number in range(10**6):
        told.write_text(str(number))
        time.sleep(0.005)
threading.Thread(target=tell, daemon=True).start()
told.with_suffix(".ready").touch()
sys.stdin.read(1)
new_file(path, ("earliest", "v108"))
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
