"""Every `jfwriter` command line in the documentation is one that the program takes."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest

from jfwriter import cli

ROOT = Path(__file__).parents[2]
PARSERS = {
    "run": "jfwriter.commands.run",
    "simulate": "jfwriter.commands.simulate_options",
    "check-config": "jfwriter.commands.check_config",
    "keys": "jfwriter.commands.keys",
}
LINE = re.compile(r"^ +(?:\$ )?jfwriter (run|simulate|check-config|keys) ([^#\n]*)", re.MULTILINE)
INLINE = re.compile(r"`jfwriter (run|simulate|check-config|keys) ([^`]+)`")
PLACEHOLDER = re.compile(r"\[|\.\.\.|…")
REPLACED = {"PORT": "5400", "N": "1", "ADDRESS": "tcp://dcu:5400", "FILE:/path/to/dataset": "a.h5:/x"}


def commands() -> list[tuple[str, str, str]]:
    """(page, sub-command, the rest of the line)"""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
    return [
        (str(page.relative_to(ROOT)), match[1], match[2].strip())
        for page in pages
        for pattern in (LINE, INLINE)
        for match in pattern.finditer(page.read_text(encoding="utf-8"))
        if not PLACEHOLDER.search(match[2])
    ]


def parser(command: str) -> argparse.ArgumentParser:
    made = importlib.import_module(PARSERS[command]).make_parser()
    assert isinstance(made, argparse.ArgumentParser)
    return made


@pytest.mark.parametrize(("page", "command", "rest"), commands())
def test_command_line_is_taken(page: str, command: str, rest: str) -> None:
    words = [REPLACED.get(word, word) for word in shlex.split(rest)]
    try:
        parser(command).parse_intermixed_args(cli.one_spelling(words))
    except SystemExit:
        pytest.fail(f"{page}: jfwriter {command} {rest}")


def test_the_readme_shows_a_start_line() -> None:
    assert any(page == "README.md" and command == "run" for page, command, _ in commands())
