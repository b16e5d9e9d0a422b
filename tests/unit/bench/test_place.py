"""What cannot be measured is refused before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from jfwriter.bench.place import look_at
from jfwriter.errors import StorageUnavailable


def test_a_directory_with_room(tmp_path: Path) -> None:
    place = look_at(tmp_path, 1)
    assert place.directory == tmp_path.resolve()
    assert place.room_bytes > 0
    assert place.file_system != "unknown"
    assert list(tmp_path.iterdir()) == []


def test_refusals(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for absent in (tmp_path / "absent", file):
        with pytest.raises(StorageUnavailable, match=r"cannot be written to: .*; name another"):
            look_at(absent, 1)
    with pytest.raises(StorageUnavailable, match=r"1000000000\.0 GB are needed; make room"):
        look_at(tmp_path, 10**18)
