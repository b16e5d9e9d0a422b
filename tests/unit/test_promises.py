"""The pages that promise something name tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
DOCS = TESTS.parent / "docs"
PAGES = ("reference/faults.md", "explanations/what-is-promised.md")
NAME = re.compile(r"`([a-z_0-9/]+\.py)::([tT]est\w+)`")


@pytest.mark.parametrize("page", PAGES)
def test_each_named_test_exists(page: str) -> None:
    named = NAME.findall((DOCS / page).read_text(encoding="utf-8"))
    assert len(named) > 30
    wrong = []
    for file, name in named:
        path = TESTS / file
        defined = rf"^(?:(?:async )?def {name}\(|{name} =)"
        if not (path.exists() and re.search(defined, path.read_text(encoding="utf-8"), re.MULTILINE)):
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


def test_nothing_is_unpickled() -> None:
    """Nor evaluated: no module of the package can turn bytes from outside into code."""
    forbidden = {"pickle", "cPickle", "dill", "marshal", "shelve", "code", "runpy"}
    found = []
    for path in sorted((TESTS.parent / "jfwriter").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: set[str] = set()
            if isinstance(node, ast.Import):
                names = {alias.name.split(".")[0] for alias in node.names} & forbidden
            elif isinstance(node, ast.ImportFrom):
                names = {(node.module or "").split(".")[0]} & forbidden
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                names = {node.func.id} & {"eval", "exec", "compile", "__import__"}
            elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                names = {"allow_pickle"}
            found += [f"{path.name}:{name}" for name in names]
    assert found == []
