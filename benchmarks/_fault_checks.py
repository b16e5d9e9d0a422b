"""Was the run what it had to be? By the daemon's own words, and by h5py reading the files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np

from benchmarks._fault_runs import Expected
from benchmarks._fault_stage import Messages, picture

COUNTS = "/entry/instrument/detector/detectorSpecific"


def problems(root: Path, run: Messages, expected: Expected, last: dict[str, Any]) -> Iterator[str]:
    """Sentences; none if all is as it must be."""
    if last["outcome"] != expected.outcome:
        yield f"outcome {last['outcome']} {last['reasons']}, expected {expected.outcome}"
    if expected.reason and not any(expected.reason in reason for reason in last["reasons"]):
        yield f"no reason holds {expected.reason!r}: {last['reasons']}"
    for reason, n in expected.dropped.items():
        if last["images_dropped"].get(reason) != n:
            yield f"{last['images_dropped']} dropped, expected {expected.dropped}"
    if last["images_received"] != last["images_written"] + sum(last["images_dropped"].values()):
        yield f"received {last['images_received']}, {last['images_written']} + {last['images_dropped']}"
    written = None if expected.written is None else set(expected.written)
    if written is not None and last["images_written"] != len(written):
        yield f"{last['images_written']} written, expected {len(written)}"
    yield from _files(root, run, expected, last)


def _files(root: Path, run: Messages, expected: Expected, last: dict[str, Any]) -> Iterator[str]:
    folder = root / f"run_{run.number}"
    names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    unpublished = [name for name in names if name.endswith(".tmp")]
    if unpublished and expected.outcome != "failed":
        yield f"left over: {unpublished}"
    if not expected.has_files:
        if any("_data_" in name and name.endswith(".h5") for name in names):
            yield f"files of a run that has none: {names}"
        return
    found: dict[int, bool] = {}
    for name in names:
        if name.endswith(".h5"):
            found.update(_images(folder / name, run))
    wrong = [i for i, is_right in found.items() if not is_right]
    if wrong:
        yield f"images {wrong} are neither right nor fill values"
    right = {i for i, is_right in found.items() if is_right}
    if expected.written is not None and right != expected.written:
        yield f"images {sorted(right)} are there, expected {sorted(expected.written)}"
    if len(right) != last["images_written"]:
        yield f"{len(right)} images are there, {last['images_written']} are said to be"
    if expected.outcome != "failed":
        yield from _master(folder / "run_master.h5", run, expected)


def _images(path: Path, run: Messages) -> Iterator[tuple[int, bool]]:
    """(number, whether it is right) of each image; rows of fill values are none."""
    integrated = run.layout == "NXmxIntegrated"
    if path.name.endswith("_master.h5") and not integrated:
        return
    first = 0 if integrated else (int(path.stem[-6:]) - 1) * run.per_file
    with h5py.File(path) as file:
        if "/entry/data/data" not in file:
            return
        for row, image in enumerate(file["/entry/data/data"][()]):
            if not np.all(image == np.iinfo(image.dtype).max):
                yield first + row, np.array_equal(image, picture(first + row))


def _master(path: Path, run: Messages, expected: Expected) -> Iterator[str]:
    if not path.exists():
        yield "no master"
        return
    assert expected.written is not None
    with h5py.File(path) as file:
        if file[f"{COUNTS}/nimages"][()] != expected.n_images:
            yield f"the master says {file[f'{COUNTS}/nimages'][()]} images, expected {expected.n_images}"
        missing = set(range(expected.n_images)) - expected.written
        listed = (
            set(file[f"{COUNTS}/missing_images"][()].tolist())
            if f"{COUNTS}/missing_images" in file
            else set()
        )
        if listed != missing:
            yield f"the master lists {sorted(listed)} as missing, expected {sorted(missing)}"
        if run.layout == "NXmxVDS":
            data = file["/entry/data/data"]
            wrong = [i for i in expected.written if not np.array_equal(data[i], picture(i))]
            if wrong:
                yield f"through the virtual data set images {wrong} are wrong"
