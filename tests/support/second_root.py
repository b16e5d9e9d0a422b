"""Runs that need the second root directory: a writer with two, and how a reader finds their images."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest

from jfwriter.errors import StorageError
from jfwriter.hdf5.data_file import DataFile
from jfwriter.hdf5.data_files import DataFiles
from jfwriter.recovery.place import Options
from jfwriter.recovery.result import RunResult
from jfwriter.recovery.search import recover_below
from jfwriter.session.orders import WriteImage
from tests.support import stream
from tests.support.offline import OfflineDaemon

N_IMAGES = 11
"""Of the runs; four are in a file."""


def writer_of(first: Path, second: Path, sync_interval_s: float = 0.01, **files: object) -> OfflineDaemon:
    wanted: dict[str, object] = {"second_root_dir": str(second), "sync": True, **files}
    return OfflineDaemon(first, files=wanted, journal={"sync_interval_s": sync_interval_s})


def sent(layout: str, n_images: int) -> list[bytes]:
    """Start and the first images of a run."""
    start = stream.start(n_images=N_IMAGES, user_data={"file_format": layout, "file_prefix": "sub/run"})
    return [start, *images(0, n_images)]


def images(first: int, stop: int) -> list[bytes]:
    return [stream.image_message(i) for i in range(first, stop)]


def images_through(master: Path) -> Any:
    """As a reader finds them: the virtual dataset, or the links one after another."""
    with h5py.File(master) as file:
        data = file["/entry/data"]
        if "data" in data:
            return data["data"][()]
        return np.concatenate([data[name][()] for name in sorted(data) if name.startswith("data_")])


def fill_the_first_root(patch: pytest.MonkeyPatch) -> None:
    """No image can be written there any more."""
    real = DataFiles.for_image

    def for_image(self: DataFiles, order: WriteImage) -> DataFile:
        file = real(self, order)
        if not file.relative_name.startswith("/"):
            raise StorageError("no_space", os.strerror(errno.ENOSPC))
        return file

    patch.setattr(DataFiles, "for_image", for_image)


def copied(first: Path, second: Path, to: Path) -> tuple[Path, Path]:
    """What a kill would have left at this moment in both root directories."""
    for root in (first, second):
        shutil.copytree(root, to / root.name, symlinks=True)
    return to / first.name, to / second.name


def recover_both(first: Path, second: Path, **options: bool) -> list[RunResult]:
    return list(recover_below(first, Options(**options), second))
