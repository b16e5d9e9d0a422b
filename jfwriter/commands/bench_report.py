"""What `jfwriter bench` found, for a person and for a program."""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Iterator

from jfwriter import __version__
from jfwriter.bench.bound import Finding
from jfwriter.bench.measure import DAEMON_SYNCED, LIMIT_SYNCED, BenchResult
from jfwriter.bench.rounds import Spread, table


def lines(result: BenchResult) -> Iterator[str]:
    """A page of text."""
    place = result.place
    yield (
        f"{place.directory} ({place.file_system}): {result.size} images of "
        f"{result.message_bytes / 1e6:.2f} MB, rounds: {result.n_rounds} of {result.n_images}; "
        "median (quartiles)"
    )
    yield ""
    rows = [["", "images/s", "GB/s", "of the limit", "CPU ms/image"]]
    for name, standing in result.standings.items():
        rows.append([
            name,
            _whole(standing.images_per_s),
            str(_times(standing.bytes_per_s, 1e-9)),
            "" if standing.ratio is None else str(standing.ratio),
            str(_times(standing.cpu_s_per_image, 1e3)),
        ])  # fmt: skip
    yield table(rows)
    yield ""
    yield "limit: a loop that receives and writes raw messages. fsync: files are on the disk before the next"
    yield "begins, or are announced; that is how jfwriter runs by default. CPU: of the whole process."
    if result.direct_io:
        yield "jfwriter wrote past the page cache (files.direct_io), the limit did not."
    if result.finding is not None:
        yield ""
        yield from _long(result, result.finding)


def as_json(result: BenchResult) -> dict[str, object]:
    """The result for `--json`; rates in images/s and bytes/s, times in s."""
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    place = dataclasses.asdict(result.place) | {"directory": str(result.place.directory)}
    return dataclasses.asdict(result) | {"place": place, "version": __version__, "host": machine}


def _long(result: BenchResult, finding: Finding) -> Iterator[str]:
    for name in (LIMIT_SYNCED, DAEMON_SYNCED):
        run = result.long_runs[name]
        yield (
            f"{name}, {run.duration_s:.1f} s without pause: {run.n_images / run.duration_s:.0f} images/s, "
            f"{run.n_bytes / run.duration_s / 1e9:.2f} GB/s, "
            f"{run.seen.cpu_s / run.n_images * 1e3:.3g} ms CPU per image, "
            f"{run.seen.peak_resident_bytes / 1e6:.0f} MB of memory"
        )
    yield ""
    yield f"bound by {finding.bound.upper()}: {finding.reason}"
    if result.receiving_pauses:
        yield f"The byte budget was full, and the sender had to wait, {result.receiving_pauses} times."
    yield finding.advice


def _whole(value: Spread) -> str:
    return f"{value.median:.0f} ({value.low:.0f} to {value.high:.0f})"


def _times(value: Spread, factor: float) -> Spread:
    return Spread(value.median * factor, value.low * factor, value.high * factor)
