"""The reference pages name everything that there is."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from jfwriter.commands import check_config, keys, run
from jfwriter.daemon.announce import file_announcement, run_announcement
from jfwriter.daemon.metrics import Metrics
from jfwriter.daemon.results import result_of_report
from tests.support.told import FILE, FULL, WRITING, plan, report

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def named(name: str) -> set[str]:
    """What stands in code style."""
    return set(re.findall(r"`([^`]+)`", page(name)))


@pytest.mark.parametrize(
    "parser",
    [run.make_parser(), check_config.make_parser(), keys.make_parser()],
    ids=["run", "check-config", "keys"],
)
def test_every_option(parser: argparse.ArgumentParser) -> None:
    text = page("command-line.md")
    for action in parser._actions:
        for option in action.option_strings:
            if option not in {"-h", "--help"}:
                with_value = f"{option} {action.metavar}" if action.metavar else option
                assert with_value in text


def test_the_defaults_of_the_options() -> None:
    for action in run.make_parser()._actions:
        found = re.search(r"\(default: (\d+)\)", action.help or "")
        if found:
            (row,) = [
                line
                for line in page("command-line.md").splitlines()
                if f"`{action.option_strings[0]} " in line
            ]
            assert f"| {found[1]} |" in row


def test_every_metric() -> None:
    text = Metrics(lambda: WRITING).text().decode()
    samples = {s.name for family in text_string_to_metric_families(text) for s in family.samples}
    own = {name for name in samples if name.startswith("jfwriter_")}
    documented = {name for name in named("http.md") if name.startswith("jfwriter_")}
    assert documented == own


def test_every_field_of_an_announcement() -> None:
    fields = set(file_announcement(plan(**FULL), FILE))
    told = report()
    fields |= set(run_announcement(result_of_report(told, 1.0), told.plan.start, told.missing, told.files))
    assert fields <= named("announcements.md")
