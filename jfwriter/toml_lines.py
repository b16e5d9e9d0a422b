"""Where a setting stands in a TOML file. The parser of the standard library does not tell."""

from __future__ import annotations

import re
from collections import Counter

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
_NAME = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_KEY = re.compile(rf"\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=")


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """Number (from 1) of the line that sets `path`, or that opens the nearest table above it.

    Tables of an array are counted from 0 in the path: ("rois", "1", "name").

    Made for files as people write them: one `key = value` in a line. None if nothing fits; lines inside a
    multi-line value that look like a key can mislead it.
    """
    best: tuple[int, int] | None = None
    table: tuple[str, ...] = ()
    n_tables: Counter[tuple[str, ...]] = Counter()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.fullmatch(line):
            table = found = _parts(header[2])
            if header[1] == "[[":
                table = found = (*table, str(n_tables[table]))
                n_tables[found[:-1]] += 1
        elif key := _KEY.match(line):
            found = (*table, *_parts(key[1]))
        else:
            continue
        if found == path[: len(found)] and (best is None or len(found) > best[0]):
            best = len(found), number
    return None if best is None else best[1]


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
