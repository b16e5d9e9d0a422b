"""Runs on a fresh root."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from jfwriter.journal.file_journal import FileJournal
from jfwriter.journal.image_record import unpacked
from jfwriter.journal.records import Parts
from tests.support.writer_run import Run


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    """Opens a writer on the root of this test; takes what `Run` takes."""
    root = tmp_path / "root"
    root.mkdir()
    return lambda **options: Run(root, **options)


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> dict[int, tuple[int, int]]:
    """Row -> (place, bytes) of the chunk, as it was entered into a journal; of images with one channel."""
    places: dict[int, tuple[int, int]] = {}
    real = FileJournal.enter

    def enter(self: FileJournal, images: Sequence[Parts]) -> None:
        for parts in images:
            record = unpacked(b"".join(parts), 1 << 20)
            (chunk,) = record.chunks
            places[record.row] = (chunk.place, chunk.n_bytes)
        real(self, images)

    monkeypatch.setattr(FileJournal, "enter", enter)
    return places
