"""Runs to write and what must then stand in their files, judged from the messages alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import numpy.typing as npt

from tests.support import full_run
from tests.support.offline import Written, write
from tests.support.plain_dcu import encode

Array = npt.NDArray[Any]

LAYOUTS = ("NXmxLegacy", "NXmxVDS", "NXmxIntegrated", "NXmxOnlyData")
HEIGHT, WIDTH = 24, 40
GAP = np.iinfo(np.int16).min
DETECTOR = "/entry/instrument/detector/detectorSpecific"


def frames(n_images: int) -> Array:
    return np.random.default_rng(5).poisson(20.0, (n_images, HEIGHT, WIDTH)).astype(np.int16)


@dataclass(frozen=True)
class Scenario:
    """`sent` are the images in the order in which they are sent; `end` None: no end message comes."""

    name: str
    planned: int
    sent: tuple[int, ...]
    images_per_file: int = 4
    end: int | None = None
    end_comes: bool = True
    outcome: str = "complete"
    n_images: int | None = None

    @property
    def length(self) -> int:
        return self.planned if self.n_images is None else self.n_images

    @property
    def missing(self) -> list[int]:
        return [i for i in range(self.length) if i not in self.sent]

    def messages(self, layout: str) -> Iterator[bytes]:
        pixels = frames(max(self.planned, self.length))
        yield full_run.start(pixels, prefix="sub/run", file_format=layout, json_user_data=False,
                             images_per_file=self.images_per_file, n_images=self.planned)  # fmt: skip
        for i in self.sent:
            yield encode(full_run.image_message(i, pixels[i], "bslz4"))
        if self.end_comes:
            yield full_run.end(self.length if self.end is None else self.end)


SCENARIOS = (
    Scenario("complete", 8, tuple(range(8))),
    Scenario("short last file", 10, tuple(range(10))),
    Scenario("out of order", 10, (9, 3, 0, 7, 1, 2, 8, 4, 6, 5)),
    Scenario("backwards", 10, tuple(range(9, -1, -1))),
    Scenario("one image of a file missing", 10, (0, 1, 2, 3, 4, 5, 7, 8, 9), outcome="incomplete"),
    Scenario("first image missing", 6, (1, 2, 3, 4, 5), outcome="incomplete"),
    Scenario("tail of an inner file missing", 10, (0, 1, 4, 5, 6, 7, 8, 9), outcome="incomplete"),
    Scenario("an inner file missing", 12, (0, 1, 2, 3, 8, 9, 10, 11), outcome="incomplete"),
    Scenario("the last file missing", 10, tuple(range(8)), outcome="incomplete"),
    Scenario("stopped early", 10, tuple(range(5)), n_images=5, outcome="incomplete"),
    Scenario("only the last image", 10, (9,), outcome="incomplete"),
    Scenario("one image", 1, (0,)),
    Scenario("one image per file", 3, (2, 0, 1), images_per_file=1),
    Scenario("all in one file", 10, (0, 1, 2, 9, 4, 5, 6, 7, 8), images_per_file=0, outcome="incomplete"),
    Scenario("no image", 10, (), n_images=0, outcome="incomplete"),
    Scenario("more than planned", 6, tuple(range(9)), n_images=9),
    Scenario("twice the same", 4, (0, 1, 1, 0, 2, 3, 2)),
)


@dataclass(frozen=True)
class Finished:
    """A written run and where it stands."""

    scenario: Scenario
    layout: str
    root: Path
    written: Written

    @property
    def folder(self) -> Path:
        return self.root / "sub"

    @property
    def master(self) -> Path:
        return self.folder / "run_master.h5"

    @property
    def is_integrated(self) -> bool:
        return self.layout == "NXmxIntegrated"

    @property
    def has_master(self) -> bool:
        return self.layout != "NXmxOnlyData"

    def data_files(self) -> list[tuple[Path, range]]:
        """Each file that holds images, and the images that are its rows."""
        length, size = self.scenario.length, self.scenario.images_per_file
        if self.is_integrated or (size == 0 and length):
            name = "run_master.h5" if self.is_integrated else "run_data_000001.h5"
            return [(self.folder / name, range(length))] if length else []
        blocks = [range(first, min(first + size, length)) for first in range(0, length, size or 1)]
        return [
            (self.folder / f"run_data_{number:06d}.h5", rows)
            for number, rows in enumerate(blocks, 1)
            if self.layout == "NXmxLegacy" or any(i in self.scenario.sent for i in rows)
        ]

    def expected_files(self) -> set[str]:
        names = {path.name for path, _ in self.data_files()}
        return names | ({"run_master.h5"} if self.has_master else set())

    def pixels(self, images: Sequence[int]) -> Array:
        """What must be read for `images`: gaps are the fill value."""
        stack = frames(max(self.scenario.planned, self.scenario.length))[list(images)]
        for row, image in enumerate(images):
            if image not in self.scenario.sent:
                stack[row] = GAP
        return stack

    @contextmanager
    def opened_master(self) -> Iterator[h5py.File]:
        with h5py.File(self.master) as file:
            yield file


def run(scenario: Scenario, layout: str, root: Path) -> Finished:
    return Finished(scenario, layout, root, write(root, scenario.messages(layout)))


def datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    """All datasets by absolute path; hard links under each of their names, other links not followed."""
    found: dict[str, h5py.Dataset] = {}

    def walk(group: h5py.Group, path: str) -> None:
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            item = group[name]
            if isinstance(item, h5py.Group):
                walk(item, f"{path}/{name}")
            else:
                found[f"{path}/{name}"] = item

    walk(file, "")
    return found
