"""The program names itself and the commit it was built from."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import jfwriter
from jfwriter import software

ROOT = Path(__file__).parents[2]


def test_release_text() -> None:
    assert software.SOFTWARE.release_text == f"jfwriter {jfwriter.__version__}"
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", software.SOFTWARE.version)


def test_a_tree_that_was_never_built_says_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jfwriter._build_info", None)
    assert software._build_info("GIT_COMMIT") == "unknown"


@pytest.fixture
def hook() -> ModuleType:
    pytest.importorskip("hatchling", reason="the build back-end is not installed")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def git(directory: Path, *arguments: str) -> str:
    identity = {
        f"GIT_{who}_{what}": "tester" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    dates = {
        "GIT_AUTHOR_DATE": "2024-03-01T01:30:00+02:00",
        "GIT_COMMITTER_DATE": "2024-03-01T01:30:00+02:00",
    }
    environment = {**os.environ, **identity, **dates, "GIT_CONFIG_GLOBAL": os.devnull}
    command = ["git", "-C", str(directory), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_the_build_names_commit_and_date_in_utc(hook: ModuleType, checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    assert hook.describe(checkout) == (commit, "2024-02-29T23:30:00Z")
    (checkout / "file").write_text("2")
    assert hook.describe(checkout) == (f"{commit}-dirty", "2024-02-29T23:30:00Z")


def test_the_build_takes_no_commit_from_a_repository_around_it(hook: ModuleType, checkout: Path) -> None:
    inside = checkout / "unpacked"
    inside.mkdir()
    assert hook.describe(inside) is None


def test_the_build_does_without_git(
    hook: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert hook.describe(checkout) is None


def test_what_the_build_writes_can_be_imported(hook: ModuleType) -> None:
    names: dict[str, str] = {}
    exec(hook.text("abc", "2024-02-29T23:30:00Z"), names)
    assert (names["GIT_COMMIT"], names["GIT_DATE"]) == ("abc", "2024-02-29T23:30:00Z")
