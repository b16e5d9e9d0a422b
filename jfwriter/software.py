"""Which jfwriter this is: name, release, and the commit it was built from.

`hatch_build.py` writes `_build_info.py` when the package is built or installed; a tree that was never
built says "unknown".
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import jfwriter

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Software:
    """The program as it names itself in files, in /status and on the command line."""

    name: str
    version: str
    git_commit: str
    """Full commit hash; "-dirty" appended when the tree had changes, "-editable" when the installation
    follows the tree; "unknown" when built without git."""
    git_date: str
    """Commit date, UTC, `YYYY-MM-DDThh:mm:ssZ`; "unknown" when built without git."""

    @property
    def release_text(self) -> str:
        """Name and version as `detectorSpecific/jfjoch_writer_release` holds it."""
        return f"{self.name} {self.version}"


def _build_info(name: str) -> str:
    try:
        module = importlib.import_module("jfwriter._build_info")
    except ImportError:
        return UNKNOWN
    return str(getattr(module, name, UNKNOWN))


SOFTWARE = Software(
    name="jfwriter",
    version=jfwriter.__version__,
    git_commit=_build_info("GIT_COMMIT"),
    git_date=_build_info("GIT_DATE"),
)
