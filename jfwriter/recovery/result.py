"""What became of each run that a crash has left, as plain data and as a line for a person."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class State(enum.StrEnum):
    """Of one run."""

    RECOVERED = "recovered"
    RECOVERABLE = "recoverable"
    """Nothing was written, as nothing was to be."""
    RECOVERED_BEFORE = "recovered_before"
    FINISHED = "finished"
    """All of it stands under final names: the crash came when only the journal was left."""
    EMPTY = "empty"
    """No image had come to the disk."""
    IN_USE = "in_use"
    """A living writer holds it, or writes files of its names."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RunResult:
    """`journal` is the path of the run's journal relative to the searched directory."""

    journal: str
    state: State
    file_prefix: str = ""
    reason: str = ""
    """Why it is in use, or failed."""
    n_images: int = 0
    """Length of the run in images."""
    n_recovered: int = 0
    """Images that were in no file with a final name."""
    n_published: int = 0
    """Images in files that stood there before."""
    n_lost: int = 0
    """Images of the journal that cannot be taken."""
    missing: tuple[tuple[int, int], ...] = ()
    files: tuple[str, ...] = ()
    """Final names, relative to the directory of the journal (of a run that went on in another one: to that
    in which it was begun), in the other directory absolute; those that stood there before included."""
    problems: tuple[str, ...] = ()
    raw_material: tuple[str, ...] = ()
    """What stays beside the files, by name, in the other directory absolute; removed on request."""
    removed: bool = False
    went_on_in: str = ""
    """Directory in which the run went on after a failure of its storage, where it had no journal; what is
    there is not recovered."""
    lacks: str = ""
    """The half of the run that is not at hand, in words."""

    @property
    def is_good(self) -> bool:
        return self.state is not State.FAILED and not self.n_lost and not self.went_on_in and not self.lacks

    def line(self) -> str:
        """One line, printable whatever the names are."""
        name = f"{self.file_prefix or self.journal:.200}"
        shown = name if name.isprintable() else ascii(name)
        text = f"{shown}: {self._text()}"
        if self.n_lost and self.state is not State.RECOVERED_BEFORE:
            text += f"; {self.n_lost} images cannot be taken"
        if self.went_on_in:
            where = self.went_on_in if self.went_on_in.isprintable() else ascii(self.went_on_in)
            text += f"; it went on in {where:.200}, which is not recovered"
        if self.lacks and self.state is not State.FAILED:
            text += f"; without {self.lacks:.300}"
        return f"{text.partition(';')[0]}; raw material removed" if self.removed else text

    def _text(self) -> str:
        whole = f"{self.n_recovered + self.n_published} of {self.n_images} images"
        return {
            State.RECOVERED: f"recovered {whole} in {len(self.files)} files; the run is incomplete",
            State.RECOVERABLE: f"{whole} can be recovered",
            State.RECOVERED_BEFORE: "was recovered before; --remove takes its raw material away",
            State.FINISHED: "all that came stands under its final names; --remove takes the journal away",
            State.EMPTY: "no image had come to the disk; --remove takes its journal away",
            State.IN_USE: f"left alone: {self.reason}",
            State.FAILED: f"NOT recovered: {self.reason}",
        }[self.state]
