"""`jfwriter recover`: final files of the runs that a crash has left."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from jfwriter.errors import StorageUnavailable
from jfwriter.recovery.result import RunResult


def main(argv: Sequence[str]) -> int:
    """Exit status 0: nothing is left to recover; 1: something could not be. Raises StorageUnavailable."""
    options = make_parser().parse_args(list(argv))
    good = True
    try:
        for result in _results(options):
            _tell(result, as_json=options.json)
            good &= result.is_good
    except OSError as error:
        raise StorageUnavailable(f"{options.directory}: {error.strerror or error}") from error
    return 0 if good else 1


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jfwriter recover",
        description="Make final files of the runs below DIR that a crash of the writer has left. The runs of "
        "living writers are left alone, and so is the raw material unless --remove is given.",
        epilog="Exit status: 0 nothing is left to recover, 1 something could not be recovered.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("directory", type=Path, metavar="DIR", help="searched with all its sub-directories")
    add("--dry-run", action="store_true", help="read and check everything, write nothing")
    add("--remove", action="store_true",
        help="then remove temporary files and journals of the runs that are recovered")  # fmt: skip
    add("--known", action="store_true",
        help="do not search: DIR is the root of a writer, which has noted its unfinished runs")  # fmt: skip
    add("--overwrite", action="store_true",
        help="replace files in the way, where the start message of the run said overwrite")  # fmt: skip
    add("--second-root", type=Path, metavar="DIR2",
        help="the other root directory of the writer: searched, too, and runs that went on there are "
        "recovered with both their halves")  # fmt: skip
    add("--half", action="store_true",
        help="recover a run that went on in another root directory also if only one half of it is found; its "
        "raw material stays")  # fmt: skip
    add("--force", action="store_true",
        help="also on a file system without locks; make sure that no writer works there")  # fmt: skip
    add("--json", action="store_true", help="one JSON object for each run")
    return parser


def _results(options: argparse.Namespace) -> Iterator[RunResult]:
    # Imported late: this compiles the kernels, which `--help` need not wait for.
    from jfwriter.recovery.place import Options
    from jfwriter.recovery.search import recover_below, recover_known

    find = recover_known if options.known else recover_below
    return find(
        options.directory,
        Options(
            dry_run=options.dry_run,
            remove=options.remove,
            force=options.force,
            overwrite=options.overwrite,
            half=options.half,
        ),
        options.second_root,
    )


def _tell(result: RunResult, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"ok": result.is_good, **dataclasses.asdict(result)}), flush=True)
        return
    print(result.line(), flush=True)
    for problem in result.problems:
        print(f"  {problem}", file=sys.stderr, flush=True)
