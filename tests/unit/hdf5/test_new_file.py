"""A file that the storage does not take is let go of, and the process lives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jfwriter.hdf5.file_versions import DATA_FILE
from jfwriter.hdf5.new_file import new_file

CHILD = """
import resource
import sys
from pathlib import Path

import numpy as np

from jfwriter.hdf5.faults import STORAGE_FAULTS
from jfwriter.hdf5.file_versions import DATA_FILE
from jfwriter.hdf5.new_file import new_file

n_failed = 0
for limit in range(9000, 17_000, 100):
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    path = Path(sys.argv[1]) / f"{limit}.h5"
    file = new_file(str(path), DATA_FILE)
    images = file.create_dataset("images", (1, 64, 64), "u2", chunks=(1, 64, 64), maxshape=(None, 64, 64)).id
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        images.write_direct_chunk((0, 0, 0), bytes(8192))
        for i in range(20):
            file.create_dataset(f"chunked {i}", data=np.ones(60), chunks=(50,), maxshape=(None,))
            file.create_dataset(f"contiguous {i}", data=np.ones(60))
    except STORAGE_FAULTS:
        n_failed += 1
    del images
    for _ in range(2):
        try:
            file.close()
            break
        except STORAGE_FAULTS:
            pass
    path.unlink()
print(n_failed)
"""


def test_a_file_that_cannot_grow_costs_no_process(tmp_path: Path) -> None:
    """The limit falls on each of the things that are written, as a full disk does."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50
    assert done.stderr == ""


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(b"mine")
    with pytest.raises(OSError, match="exists"):
        new_file(str(path), DATA_FILE)
    assert path.read_bytes() == b"mine"


def test_the_bounds(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with new_file(str(path), DATA_FILE) as file:
        assert file.libver == DATA_FILE
    assert path.read_bytes()[8] == 0  # superblock version
