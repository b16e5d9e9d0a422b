"""Runs on a fresh root."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.writer_run import Run


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    """Opens a writer on the root of this test; takes what `Run` takes."""
    root = tmp_path / "root"
    root.mkdir()
    return lambda **options: Run(root, **options)
