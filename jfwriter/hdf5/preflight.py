"""Before the first image: is there room for what the start message announces?

Permissions and names are looked at by `run_directory`, which refuses the run. Room is an estimate and may
only be warned of.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from jfwriter.session.plan import RunPlan

LEAST_SHARE = 1 / 20
"""Of the plain pixels that a run needs, as long as nothing was written here from which to learn: images
that compress better are rare."""
WEIGHT_OF_LATEST = 0.5


class Compression:
    """What images become in files, learned from the files closed so far: a running mean over files."""

    def __init__(self) -> None:
        self.share: float | None = None
        """Bytes of a file by bytes of its plain pixels; None: nothing was written yet."""

    def learn(self, raw_bytes: int, size_bytes: int) -> None:
        if raw_bytes <= 0:
            return
        latest = size_bytes / raw_bytes
        old = latest if self.share is None else self.share
        self.share = old + WEIGHT_OF_LATEST * (latest - old)


@dataclass(frozen=True, slots=True)
class Room:
    """What a file system has left for this process."""

    n_bytes: int
    n_files: int | None
    """None: as many as there is room for."""

    @classmethod
    def of(cls, place: str | os.PathLike[str] | int) -> Room:
        """Raises OSError."""
        system = os.statvfs(place)
        n_files = system.f_favail if system.f_files else None
        return cls(system.f_bavail * system.f_frsize, n_files)


def raw_image_bytes(plan: RunPlan) -> int:
    """Of one image, unpacked; where the start message names no pixel type, one of 2 bytes."""
    dtype = plan.dtype or np.dtype("u2")
    return plan.shape[0] * plan.shape[1] * dtype.itemsize * max(1, len(plan.channels))


def shortages(plan: RunPlan, compression: Compression, rooms: Iterable[Room]) -> list[str]:
    """What `rooms` together are too small for, as sentences; none if the run does not say how long it is."""
    n_images = _n_own_images(plan)
    if n_images is None or not plan.writes_files:
        return []
    rooms = list(rooms)
    found = []
    n_free_bytes = sum(room.n_bytes for room in rooms)
    n_bytes, share = expected_bytes(plan, compression), compression.share or LEAST_SHARE
    if n_bytes > n_free_bytes:
        basis = "at the least" if compression.share is None else f"at {share:.2g} of plain pixels, as before,"
        found.append(f"{n_images} images need {_size(n_bytes)} {basis} and {_size(n_free_bytes)} are free")
    n_files = plan.n_files(n_images) + 1
    if all(room.n_files is not None for room in rooms):
        n_free_files = sum(room.n_files or 0 for room in rooms)
        if n_files > n_free_files:
            found.append(
                f"the run needs {n_files} files, the file system has room for {n_free_files} (inodes)"
            )
    return found


def expected_bytes(plan: RunPlan, compression: Compression) -> int:
    """What the images that the start message announces for this writer will take; 0 if it announces none."""
    share = compression.share or LEAST_SHARE
    return int((_n_own_images(plan) or 0) * raw_image_bytes(plan) * share)


def _n_own_images(plan: RunPlan) -> int | None:
    if plan.n_images_planned is None:
        return None
    factor = plan.start.data_reduction_factor_serialmx
    kept = factor if factor is not None and 0 < factor < 1 else 1.0
    return int(plan.n_images_planned * kept) // (1 if plan.only_writer else max(1, plan.n_writers))


def _size(n_bytes: int) -> str:
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return f"{n_bytes} bytes"
