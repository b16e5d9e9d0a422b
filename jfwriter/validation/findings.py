"""What was found, one line each."""

from __future__ import annotations

import dataclasses
import enum
from collections import Counter
from dataclasses import dataclass, field

from jfwriter.printable import printable

MAX_LINES = 20
"""Findings of one kind in one file that are kept word for word; the others are counted."""


class Check(enum.StrEnum):
    """What was looked at; stable words for programs."""

    FILE = "file"
    LINK = "link"
    EXTENT = "extent"
    CHUNK = "chunk"
    FRAMING = "framing"
    CHECKSUM = "checksum"
    PIXELS = "pixels"
    ARRAY = "array"
    UNITS = "units"
    NXMX = "nxmx"
    STATUS = "status"
    MANIFEST = "manifest"
    PLAUSIBILITY = "plausibility"


@dataclass(frozen=True, slots=True)
class Finding:
    """`image` is the run's number of the image, counted from 0, None if it is not about one."""

    check: Check
    file: str
    text: str
    image: int | None = None

    def line(self) -> str:
        where = self.file if self.image is None else f"{self.file}, image {self.image}"
        return printable(f"{where}: {self.text}")


@dataclass(slots=True)
class Report:
    """Of one run. `problems` make it fail, `notes` do not."""

    run: str
    format: str = "unknown"
    n_images: int | None = None
    outcome: str | None = None
    n_files: int = 0
    n_chunks: int = 0
    n_checksums: int = 0
    n_unpacked: int = 0
    problems: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    n_problems: int = 0
    _counts: Counter[tuple[Check, str]] = field(default_factory=Counter)

    def problem(self, check: Check, file: str, text: str, image: int | None = None) -> None:
        self.n_problems += 1
        self._counts[check, file] += 1
        if self._counts[check, file] <= MAX_LINES:
            self.problems.append(Finding(check, file, text, image))

    def note(self, check: Check, file: str, text: str) -> None:
        self.notes.append(Finding(check, file, text))

    def left_out(self) -> list[str]:
        """How many problems are not in `problems`, by file."""
        return [
            printable(f"{file}: {n - MAX_LINES} more problems of this kind ({check})")
            for (check, file), n in self._counts.items()
            if n > MAX_LINES
        ]

    def as_json(self) -> dict[str, object]:
        found = {
            name: [dataclasses.asdict(finding) for finding in getattr(self, name)]
            for name in ("problems", "notes")
        }
        names = ("run", "format", "n_images", "outcome", "n_files", "n_chunks", "n_checksums", "n_unpacked",
                 "n_problems")  # fmt: skip
        return {"ok": not self.n_problems} | {name: getattr(self, name) for name in names} | found
