"""The pages that promise something name tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
DOCS = TESTS.parent / "docs"
PAGES = ("reference/faults.md", "explanations/what-is-promised.md")
NAME = re.compile(r"`([a-z_0-9/]+\.py)::(test_\w+)`")


@pytest.mark.parametrize("page", PAGES)
def test_each_named_test_exists(page: str) -> None:
    named = NAME.findall((DOCS / page).read_text(encoding="utf-8"))
    assert len(named) > 30
    wrong = []
    for file, name in named:
        path = TESTS / file
        defined = path.exists() and re.search(
            rf"^(?:async )?def {name}\(", path.read_text(encoding="utf-8"), re.MULTILINE
        )
        if not defined:
            wrong.append(f"{file}::{name}")
    assert wrong == []


def test_each_row_of_the_faults_names_a_test() -> None:
    rows = [
        line
        for line in (DOCS / "reference/faults.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.endswith("| tests |")
    ]
    assert len(rows) > 50
    assert [row for row in rows if not NAME.search(row.rsplit("|", 2)[1])] == []


def test_each_sentence_of_the_promises_names_a_test() -> None:
    text = (DOCS / "explanations/what-is-promised.md").read_text(encoding="utf-8")
    items = re.split(r"\n(?=- )|\n\n", text)
    promises = [item for item in items if item.startswith("- ")]
    assert len(promises) > 20
    assert [item.splitlines()[0] for item in promises if not NAME.search(item)] == []
