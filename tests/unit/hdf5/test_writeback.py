"""Early writing: the kernel is asked in steps, for the file that HDF5 writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from jfwriter.hdf5 import system_calls
from jfwriter.hdf5.writeback import STEP_BYTES, Writeback


@pytest.fixture
def file(tmp_path: Path) -> h5py.File:
    return h5py.File(tmp_path / "data.h5", "x")


def test_the_kernel_takes_the_request_for_the_file_that_is_written(
    file: h5py.File, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[tuple[Path, int]] = []
    request = system_calls._function  # finds the system call itself, to see its answer

    def found(name: str, *arguments: Any) -> Callable[..., None]:
        assert name == "sync_file_range"

        def asked(descriptor: int, first: int, n_bytes: int, flags: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            answers.append((path, request(name, *arguments)(descriptor, first, n_bytes, flags)))

        return asked

    monkeypatch.setattr(system_calls, "_function", found)
    early = Writeback(file)
    file["pixels"] = np.ones(1 << 16)
    early.wrote(STEP_BYTES - 1)
    assert answers == []
    early.wrote(1)
    early.wrote(1)
    early.wrote(STEP_BYTES)
    assert answers == [(Path(file.filename).resolve(), 0)] * 2
    file.close()


def test_a_system_without_the_call_writes_as_ever(file: h5py.File, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(system_calls, "_function", lambda name, *_: asked.append(name))
    Writeback(file).wrote(2 * STEP_BYTES)
    assert asked == ["sync_file_range"]
    file.close()
