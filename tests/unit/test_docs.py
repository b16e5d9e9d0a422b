"""The documentation agrees with the code, and its links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6} +(.*)$", re.MULTILINE)


def pages() -> list[Path]:
    """Markdown files of the project, not of environments or build folders below it."""
    return sorted(
        path
        for folder in (".", "docs", "deploy", "benchmarks", "fuzz", "configs", "tests", "jfwriter")
        for path in (ROOT / folder).glob("*.md" if folder == "." else "**/*.md")
    )


def anchors(page: Path) -> set[str]:
    """Anchors of the headings, as GitHub and GitLab make them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    plain = (
        re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in HEADING.findall(text)
    )
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}


def broken_links(page: Path, root: Path = ROOT) -> list[str]:
    broken = []
    for match in LINK.finditer(FENCE.sub("", page.read_text(encoding="utf-8"))):
        link = match[1] or match[2]
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        wrong_anchor = anchor and target.suffix == ".md" and target.exists() and anchor not in anchors(target)
        if not target.exists() or not target.is_relative_to(root) or wrong_anchor:
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    (tmp_path / "other.md").write_text("## The `second` part\n")
    page.write_text(
        "# A\n[v](none.md) [w](#a) [x](#b) [y](https://example.org) [z](../other.md#the-second-part)\n"
        "[u](../../outside.md) ![t](none.png)\n```\n[s](in_code.md)\n```\n"
    )
    assert broken_links(page, tmp_path) == ["none.md", "#b", "../../outside.md", "none.png"]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["reference/settings.md", "reference/http.md", "decisions/README.md"])
def test_generated_pages_are_up_to_date(name: str) -> None:
    generate = generator()
    kept = (generate.DOCS / name).read_text(encoding="utf-8")
    assert kept == generate.PAGES[name](), "run `python3 dev.py docs`"


def test_decisions_have_numbers_of_their_own_and_three_parts() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    numbers = [path.name[:4] for path in decisions]
    assert len(set(numbers)) == len(numbers)
    for path in decisions:
        headings = {heading.lower() for heading in HEADING.findall(path.read_text(encoding="utf-8"))}
        assert {"context", "decision", "consequences"} <= headings, path.name


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    todo = [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen or not page.exists():
            continue
        seen.add(page)
        for match in LINK.finditer(FENCE.sub("", page.read_text(encoding="utf-8"))):
            link = (match[1] or match[2]).partition("#")[0]
            target = (page.parent / link).resolve()
            if link and target.suffix == ".md":
                todo.append(target)
    lost = [str(page.relative_to(ROOT)) for page in pages() if page.resolve() not in seen]
    assert lost == []


def test_nothing_of_one_machine_is_written_down() -> None:
    """Absolute paths of a developer's machine; files of a checkout only."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    homes = re.compile(r"(?<![\w.~/-])/(?:home|root|Users)/\w")
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".service"} and path.exists():
            found += [name for line in path.read_text(encoding="utf-8").splitlines() if homes.search(line)]
    assert found == []
