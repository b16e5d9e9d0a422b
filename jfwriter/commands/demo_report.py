"""What the demo found, for a person and for a program."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jfwriter.reader.summary import RunSummary

_MAX_FILES = 8


@dataclass(frozen=True, slots=True)
class DemoRun:
    """One run of the demo. `outcome` is the writer's word, `failures` what was found to be wrong."""

    format: str
    outcome: str
    summary: RunSummary
    announced_files: tuple[str, ...]
    sent_images: int
    sent_bytes: int
    duration_s: float
    """From the first message to the announcement that the run is finalized."""
    n_compared: int
    failures: tuple[str, ...]

    @property
    def images_per_s(self) -> float:
        return self.sent_images / max(self.duration_s, 1e-9)

    @property
    def gigabytes_per_s(self) -> float:
        return self.sent_bytes / max(self.duration_s, 1e-9) / 1e9


def lines(run: DemoRun) -> Iterator[str]:
    """A block of text about one run."""
    found = run.summary
    yield ""
    yield f"{run.format}: {run.outcome}"
    many = len(found.files) > _MAX_FILES
    for file in (*found.files[:2], found.files[-1]) if many else found.files:
        images = f", {file.n_images} images" if file.n_images else ""
        yield f"  {file.role:<8} {file.name}, {file.size_bytes / 1e6:.1f} MB{images}"
    if many:
        yield f"           {len(found.files)} files in all, {found.size_bytes / 1e6:.1f} MB"
    if found.shape is not None:
        height, width = found.shape
        missing = f"{found.n_missing} missing" if found.missing else "none missing"
        yield f"  images   {found.n_written} of {width} x {height} {found.dtype} ({found.codec}), {missing}"
    if found.by_status:
        became = ", ".join(f"{n} {name}" for name, n in found.by_status.items())
        yield f"  verdict  {found.outcome}: {became}"
    if found.spots_mean is not None:
        yield f"  spots    {found.spots_mean:.1f} per image, {found.spots_max} at most"
    if found.wavelength_angstrom is not None and found.detector_distance_m is not None:
        distance_mm = found.detector_distance_m * 1e3
        yield f"  beam     {found.wavelength_angstrom:.4f} Å, detector at {distance_mm:.1f} mm"
    yield (
        f"  speed    {run.sent_images} images in {run.duration_s:.2f} s: "
        f"{run.images_per_s:.0f} images/s, {run.gigabytes_per_s:.2f} GB/s to finished files"
    )
    yield f"  check    {run.n_compared} images compared with those sent, {len(run.failures)} problems"
    for failure in run.failures:
        yield f"  PROBLEM  {failure}"


def as_json(
    root: Path, runs: Sequence[DemoRun], writer_exit_status: int | None, *, good: bool
) -> dict[str, object]:
    """The result for `--json`."""
    return {
        "ok": good,
        "directory": str(root),
        "writer_exit_status": writer_exit_status,
        "runs": [
            dataclasses.asdict(run)
            | {"images_per_s": run.images_per_s, "gigabytes_per_s": run.gigabytes_per_s}
            for run in runs
        ],
    }
