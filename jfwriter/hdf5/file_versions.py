"""Which HDF5 file format each kind of file uses: the bounds that h5py calls `libver`.

The low bound "earliest" gives superblock 0, version-1 object headers and a version-1 B-tree over the
chunks: what XDS' neggia parses without libhdf5. The high bound says which readers are promised: v108 (HDF5
1.8) cannot even express a virtual dataset, v110 is what virtual datasets need.
"""

from __future__ import annotations

from typing import Literal

from jfwriter.session.plan import FileFormat

Libver = tuple[Literal["earliest"], Literal["v108", "v110"]]

DATA_FILE: Libver = ("earliest", "v108")
LEGACY_MASTER: Libver = ("earliest", "v108")
VDS_MASTER: Libver = ("earliest", "v110")
SINGLE_FILE: Libver = ("earliest", "v110")


def master_libver(file_format: FileFormat) -> Libver:
    """Bounds of the master of a layout; the integrated layout's master is its only file."""
    if file_format is FileFormat.NXmxIntegrated:
        return SINGLE_FILE
    return VDS_MASTER if file_format is FileFormat.NXmxVDS else LEGACY_MASTER
