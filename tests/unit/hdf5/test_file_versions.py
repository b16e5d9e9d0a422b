from __future__ import annotations

from pathlib import Path

import h5py
import pytest

from jfwriter.hdf5.file_versions import DATA_FILE, SINGLE_FILE, Libver, master_libver
from jfwriter.session.plan import FileFormat


def test_masters() -> None:
    assert master_libver(FileFormat.NXmxLegacy) == ("earliest", "v108")
    assert master_libver(FileFormat.NXmxVDS) == ("earliest", "v110")
    assert master_libver(FileFormat.NXmxIntegrated) == SINGLE_FILE == ("earliest", "v110")
    assert DATA_FILE == ("earliest", "v108")


@pytest.mark.parametrize("libver", [DATA_FILE, SINGLE_FILE])
def test_superblock_and_chunk_index_are_what_neggia_parses(tmp_path: Path, libver: Libver) -> None:
    """Superblock 0; a version-1 B-tree ("TREE") and no extensible array ("EAHD") over the chunks."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver=libver) as file:
        file.create_dataset("data", data=[[[1]], [[2]]], chunks=(1, 1, 1), maxshape=(None, 1, 1))
    content = path.read_bytes()
    assert content[8] == 0
    assert b"TREE" in content
    assert b"EAHD" not in content
