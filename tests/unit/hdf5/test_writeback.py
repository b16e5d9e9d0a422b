"""Early writing: the kernel is asked in steps, for the file that HDF5 writes."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from jfwriter.hdf5 import writeback
from jfwriter.hdf5.writeback import STEP_BYTES, Writeback


@pytest.fixture
def file(tmp_path: Path) -> h5py.File:
    return h5py.File(tmp_path / "data.h5", "x")


def test_the_kernel_takes_the_request_for_the_file_that_is_written(
    file: h5py.File, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[tuple[Path, int]] = []
    early = Writeback(file)
    request = early._request  # the system call itself, to see its answer
    assert request is not None

    def asked(descriptor: int, first: int, n_bytes: int, flags: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink()
        answers.append((name, request(descriptor, first, n_bytes, flags)))

    monkeypatch.setattr(early, "_request", asked)
    file["pixels"] = np.ones(1 << 16)
    early.wrote(STEP_BYTES - 1)
    assert answers == []
    early.wrote(1)
    early.wrote(1)
    early.wrote(STEP_BYTES)
    assert answers == [(Path(file.filename).resolve(), 0)] * 2
    file.close()


def test_a_system_without_the_call_writes_as_ever(file: h5py.File, monkeypatch: pytest.MonkeyPatch) -> None:
    class Libc:
        pass

    monkeypatch.setattr(writeback.ctypes, "CDLL", lambda _name: Libc())
    Writeback(file).wrote(2 * STEP_BYTES)
    file.close()
