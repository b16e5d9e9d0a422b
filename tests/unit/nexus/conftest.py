from __future__ import annotations

from collections.abc import Iterator

import h5py
import pytest


@pytest.fixture
def file() -> Iterator[h5py.File]:
    """An empty HDF5 file in memory, of the version that masters of linked data files have."""
    with h5py.File(
        "memory.h5", "w", driver="core", backing_store=False, libver=("earliest", "v108")
    ) as opened:
        yield opened


@pytest.fixture
def warnings() -> list[str]:
    return []
