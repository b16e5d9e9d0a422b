"""No interval is measured with the time of day, which may be set or change between summer and winter."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import jfwriter

PACKAGE = Path(jfwriter.__file__).parent
MONOTONIC = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep", "thread_time"}
STAMPS = {
    "daemon/aftermath.py: time.time",
    "daemon/pipeline.py: time.time",
    "hdf5/data_file.py: time.time",
    "hdf5/manifest.py: time.time",
    "hdf5/run_master.py: time.time",
}
"""Where a point in time is written down, as Unix time: the only uses of the time of day that a writer has."""
COMMANDS = ("bench/", "simulator/", "commands/")
"""What no daemon runs; `commands/run.py` is only the way into it."""


def of_the_time_of_day(source: str) -> Iterator[str]:
    """What of the module `time` is no stopwatch, and moments of `datetime` without a time zone."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (f"time.{name.name}" for name in node.names if name.name not in MONOTONIC)
        elif isinstance(node, ast.Attribute):
            is_of_time = isinstance(node.value, ast.Name) and node.value.id == "time"
            if is_of_time and node.attr not in MONOTONIC:
                yield f"time.{node.attr}"
            if node.attr in {"now", "utcnow", "today", "utcfromtimestamp"}:
                yield f"datetime.{node.attr}"
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "fromtimestamp"
            and len(node.args) + len(node.keywords) < 2
        ):
            yield "datetime.fromtimestamp"


def test_the_time_of_day_only_stamps() -> None:
    found = {
        f"{name}: {use}"
        for path in PACKAGE.rglob("*.py")
        if not (name := path.relative_to(PACKAGE).as_posix()).startswith(COMMANDS)
        for use in of_the_time_of_day(path.read_text())
    }
    assert found == STAMPS


@pytest.mark.parametrize(
    ("source", "use"),
    [
        ("clock = time.time", "time.time"),
        ("from time import time", "time.time"),
        ("x = time.strftime('%Y')", "time.strftime"),
        ("x = datetime.datetime.now()", "datetime.now"),
        ("x = datetime.fromtimestamp(0.0)", "datetime.fromtimestamp"),
    ],
)
def test_it_would_be_found(source: str, use: str) -> None:
    assert list(of_the_time_of_day(source)) == [use]
    assert list(of_the_time_of_day("time.monotonic(); datetime.fromtimestamp(0.0, UTC)")) == []
