"""`docs/reference/layout.md` and the golden dumps of real files say the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "layout.md"
GOLDEN = sorted((ROOT / "tests" / "golden").glob("*.txt"))

GROUP = re.compile(r"^\*\*`(/entry[^`]*)`\*\*", re.MULTILINE)
NAME = re.compile(r"`([^`]+)`")
DATASET = re.compile(r"^(\S+)  ([a-z]+[0-9*]*) (\(.*?\))\S*(?: max \(.*?\))?  .*?(?:\[([^\]]*)\])?$")
IN_MASTER = ("/entry/instrument/detector/detectorSpecific/", "/entry/detector/")


@dataclass(frozen=True)
class Row:
    """One dataset as the page has it: type without size for text, unit or None."""

    kind: str
    unit: str | None
    n_dimensions: int | None


def documented() -> dict[str, Row]:
    """Path, with `<...>` and NNNNNN for what varies -> row of the tables."""
    rows: dict[str, Row] = {}
    group = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        heading = GROUP.match(line)
        if heading:
            group = heading[1]
        if not group or not line.startswith("| `"):
            continue
        names, kind, unit = (cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:4])
        shape = NAME.search(kind)
        dimensions = shape[1].count(",") + 1 if shape else 0
        for name in NAME.findall(names):
            path = name if name.startswith("/") else f"{group}/{name}"
            word = kind.split()[0]
            rows[path] = Row(word, unit or None, None if word == "as" else dimensions)
    return rows


@cache
def pattern(path: str) -> re.Pattern[str]:
    escaped = re.sub(r"<[^>]*>", "[^/]+", re.escape(path).replace(r"\<", "<").replace(r"\>", ">"))
    return re.compile(escaped.replace("NNNNNN", "[0-9]{6}"))


def found(page: dict[str, Row], path: str) -> Row | None:
    """The row for a path of a file; a literal one before one with placeholders, of these the longest."""
    candidates = [path, path.replace(*IN_MASTER), path.replace("/goniometer/", "/transformations/")]
    for candidate in candidates:
        if candidate in page:
            return page[candidate]
    fitting = [name for name in page if any(pattern(name).fullmatch(candidate) for candidate in candidates)]
    return page[max(fitting, key=len)] if fitting else None


def in_files() -> list[tuple[str, str, str, int, str | None]]:
    """(file, path, type, dimensions, unit) of every dataset of the golden dumps."""
    datasets = []
    for file in GOLDEN:
        for line in file.read_text(encoding="utf-8").splitlines():
            match = DATASET.match(re.sub(r"  [A-Za-z_]+=.*$", "", line))
            if match:
                path, kind, shape, unit = match.groups()
                n_dimensions = 0 if shape == "()" else len(shape.strip("(),").split(","))
                datasets.append((file.stem, path, kind, n_dimensions, unit))
    return datasets


IMAGES = re.compile(r"/entry/(data|channels/[^/]+)/data|/entry/user/[^/]+")
"""Described in words."""


@pytest.mark.skipif(not GOLDEN, reason="no golden dumps")
def test_every_dataset_of_a_file_is_on_the_page_with_its_type_and_unit() -> None:
    page = documented()
    wrong = []
    for file, path, kind, n_dimensions, unit in in_files():
        if IMAGES.fullmatch(path):
            continue
        row = found(page, path)
        word = "str" if kind.startswith("str") else kind
        if row is None:
            wrong.append(f"{file}: {path} is not on the page")
        elif row.unit != unit:
            wrong.append(f"{file}: {path} has unit {unit}, on the page {row.unit}")
        elif row.kind not in {word, "as"}:
            wrong.append(f"{file}: {path} is {word}, on the page {row.kind}")
        elif row.n_dimensions not in {None, n_dimensions}:
            wrong.append(f"{file}: {path} has {n_dimensions} dimensions, on the page {row.n_dimensions}")
    assert wrong == []


@pytest.mark.skipif(not GOLDEN, reason="no golden dumps")
def test_everything_on_the_page_is_in_some_file() -> None:
    """The golden runs set every field but these."""
    unset = {
        "/entry/MX/unitCellIndexed", "/entry/sample/ub_matrix",
        "/entry/instrument/detector/detectorSpecific/files_judged",
        "/entry/sample/transformations/grid_x", "/entry/sample/transformations/grid_y",
    }  # fmt: skip
    paths = {path for _, path, *_ in in_files()}
    links = {
        line.split("  ")[0]
        for file in GOLDEN
        for line in file.read_text(encoding="utf-8").splitlines()
        if "  = " in line
    }
    groups = {link for link in links if any(path.startswith(f"{link}/") for path in paths)}
    aliased = {path.replace("/sample/goniometer/", "/sample/transformations/") for path in paths}
    present = paths | links | aliased | groups
    lost = [name for name in documented() if not any(pattern(name).fullmatch(path) for path in present)]
    assert set(lost) == unset
