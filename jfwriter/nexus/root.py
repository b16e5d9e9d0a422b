"""The attributes of a file's root group (NXroot)."""

from __future__ import annotations

import h5py

from jfwriter.nexus import fields
from jfwriter.software import Software


def root(file: h5py.File, file_name: str, file_time: str, software: Software) -> None:
    """Name the file: `file_name` is its final name relative to the output root, `file_time` UTC.

    Readers dispatch on `creator`: one that starts with "LIMA" or "pyFAI" is another format to fabio.
    """
    fields.attributes(
        file,
        NX_class="NXroot",
        file_name=file_name,
        file_time=file_time,
        HDF5_Version=f"hdf5-{h5py.version.hdf5_version}",
        default="entry",
        creator=software.name,
        creator_version=software.version,
    )
