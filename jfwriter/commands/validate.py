"""`jfwriter validate`: is a finished run whole? One line per problem, exit status 1 if there is one."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jfwriter.validation.findings import Check, Finding
from jfwriter.validation.target import find_runs
from jfwriter.validation.worker import WorkerOptions, reports

Found = Mapping[str, Any]


def main(argv: Sequence[str]) -> int:
    """Exit status 0: no problem; 1: at least one. Raises UsageError if there is no such run."""
    arguments = make_parser().parse_args(list(argv))
    targets = [target for path in arguments.runs for target in find_runs(path)]
    options = WorkerOptions(
        deep=arguments.deep,
        also=tuple(str(folder) for folder in arguments.also),
        stall_limit_s=arguments.stall_limit,
    )
    found = []
    for report in reports(targets, options):
        found.append(report)
        if not arguments.json:
            print("\n".join(lines(report)), flush=True)
    good = all(report["ok"] for report in found)
    if arguments.json:
        print(json.dumps({"ok": good, "runs": found}, indent=2))
    return 0 if good else 1


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jfwriter validate",
        description="Check finished runs: all files there and readable, links, extents, chunks and their "
        "framing, values per image, units, required fields, plausible numbers.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("runs", nargs="+", type=Path, metavar="RUN",
        help="a master, a data file, a prefix (path without _master.h5), or a directory")  # fmt: skip
    add(
        "--deep",
        action="store_true",
        help="also compare checksums where they are stored, and unpack every image",
    )
    add("--also", action="append", type=Path, default=[], metavar="DIR",
        help="another directory that data files of the run may lie in; may be given again")  # fmt: skip
    add("--stall-limit", type=_seconds, default=120.0, metavar="S",
        help="give a run up that makes no progress for so many seconds (default: 120)")  # fmt: skip
    add("--json", action="store_true", help="print the result for a program")
    return parser


def lines(report: Found) -> Iterator[str]:
    """A run as text."""
    for problem in report["problems"]:
        yield f"PROBLEM  {_finding(problem).line()} [{problem['check']}]"
    for text in report.get("left_out", ()):
        yield f"PROBLEM  {text}"
    for note in report["notes"]:
        yield f"note     {_finding(note).line()}"
    yield f"{'ok' if report['ok'] else 'BAD':<8} {_finding_name(report)}: {_summary(report)}"


def _summary(report: Found) -> str:
    n_images = report["n_images"]
    images = "an unknown number of images" if n_images is None else _count(n_images, "image")
    parts = [
        str(report["format"]),
        images,
        _count(report["n_files"], "file"),
        _count(report["n_chunks"], "chunk"),
    ]
    if report["n_unpacked"]:
        parts.append(f"{report['n_unpacked']} unpacked")
    if report["n_checksums"]:
        parts.append(_count(report["n_checksums"], "checksum"))
    if report["outcome"]:
        parts.append(str(report["outcome"]))
    parts.append(_count(report["n_problems"], "problem"))
    return ", ".join(parts)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _finding(found: Found) -> Finding:
    return Finding(Check(found["check"]), found["file"], found["text"], found["image"])


def _finding_name(report: Found) -> str:
    return Finding(Check.FILE, str(report["run"]), "").line().removesuffix(": ")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 86400:
        raise argparse.ArgumentTypeError(f"{text}: expected more than 0 and at most 86400 seconds")
    return value
