"""One data file in memory, and the plugins of a run over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import pytest

from jfwriter.hdf5.plugin import ImagePlugin, StoredDataset
from jfwriter.session.plan import RunPlan
from jfwriter.session.planning import make_plan
from jfwriter.settings import Settings
from jfwriter.wire.messages import ImageMessage
from tests.support import messages


def plan_of(file_format: int = 2, **start: Any) -> RunPlan:
    return make_plan(messages.start(file_format=file_format, **start), Settings(), 1, 0.0)


class OneFile:
    """Feeds images to a plugin and shows what stands in the file afterwards."""

    def __init__(self, file: h5py.File) -> None:
        self.file = file
        self.problems: dict[str, int] = {}
        self.stored: tuple[StoredDataset, ...] = ()
        self.image_groups: dict[int, str] = {}

    def write(self, plugin: ImagePlugin, images: dict[int, ImageMessage], n_rows: int = 4) -> h5py.File:
        rows = plugin.open_file(self.file.require_group("entry"), 4)
        for index, image in images.items():
            row = plugin.row(image, None)
            if row is not None:
                rows.append(index, row)
        self.stored = rows.finish(n_rows)
        self.problems = dict(rows.problems)
        self.image_groups = dict(rows.image_groups)
        return self.file

    def paths(self) -> set[str]:
        found: set[str] = set()
        self.file.visititems(
            lambda name, item: found.add(f"/{name}") if isinstance(item, h5py.Dataset) else None
        )
        return found


@pytest.fixture
def one_file(tmp_path: Path) -> Iterator[OneFile]:
    with h5py.File(tmp_path / "data.h5", "w", libver=("earliest", "v108")) as file:
        yield OneFile(file)


@pytest.fixture
def plan() -> Callable[..., RunPlan]:
    return plan_of
