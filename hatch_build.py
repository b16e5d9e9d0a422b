"""Build hook: writes `jfwriter/_build_info.py`, so that every file can name the commit that wrote it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TARGET = Path("jfwriter") / "_build_info.py"


def git(root: Path, *arguments: str) -> str | None:
    """Output of a git command in `root`, None where git or the repository is missing."""
    environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],  # noqa: S607 the build machine's git
            env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def describe(root: Path) -> tuple[str, str] | None:
    """Commit and commit date (UTC) of the repository whose top is `root`, None if it is not one.

    A source archive unpacked inside somebody else's repository must not name that repository's commit.
    """
    top = git(root, "rev-parse", "--show-toplevel")
    if not top or not Path(top).samefile(root):
        return None
    commit = git(root, "rev-parse", "--verify", "HEAD")
    date = git(root, "show", "-s", "--format=%cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "HEAD")
    if not commit or not date:
        return None
    changed = git(root, "status", "--porcelain", "--untracked-files=no")
    return (f"{commit}-dirty" if changed else commit), date


def text(commit: str, date: str) -> str:
    """Source of the module."""
    return f'"""Made by the build."""\n\nGIT_COMMIT = "{commit}"\nGIT_DATE = "{date}"\n'


class BuildInfoHook(BuildHookInterface[Any]):
    """Runs for wheels, source archives and editable installs alike."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the file; without git keep the one that a source archive brought along.

        An editable install runs whatever the tree holds later, so its commit is marked as a starting point.
        """
        target = Path(self.root) / TARGET
        found = describe(Path(self.root))
        if found is not None:
            commit, date = found
            if version == "editable":
                commit = f"{commit}-editable"
            target.write_text(text(commit, date), encoding="ascii")
        if target.exists():
            build_data["artifacts"].append(TARGET.as_posix())
