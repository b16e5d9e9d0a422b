"""`/entry/user` (NXcollection): what the user asked to find in the file."""

from __future__ import annotations

from collections.abc import Mapping

import h5py

from jfwriter.nexus import fields
from jfwriter.nexus.names import link_name, shown

MAX_KEYS = 10_000
"""Keys that are stored; each becomes an HDF5 object, which takes the writer about 50 µs."""
_INT64 = range(-(2**63), 2**63)


def user(entry: h5py.Group, appendix: object, warnings: list[str]) -> None:
    """One scalar per key of `hdf5` in the request's header appendix.

    Text becomes a string, int i8, float f8, bool u1. Arrays, maps, null, integers beyond i8 and names that
    are no link name or contain "/" are skipped and counted.
    """
    wanted = appendix.get("hdf5") if isinstance(appendix, Mapping) else None
    if wanted is None:
        return
    if not isinstance(wanted, Mapping):
        warnings.append(f"user.hdf5: expected a map, got {type(wanted).__name__}; nothing of it is stored")
        return
    group = fields.collection(entry, "user")
    skipped: list[str] = []
    for position, (key, value) in enumerate(wanted.items()):
        if position >= MAX_KEYS or not _stored(group, key, value):
            skipped.append(str(key))
    if skipped:
        examples = ", ".join(shown(key) for key in skipped[:3])
        warnings.append(
            f"user.hdf5: {len(skipped)} of {len(wanted)} entries are not stored ({examples}); only text, "
            f"numbers and booleans under plain names are, at most {MAX_KEYS}"
        )


def _stored(group: h5py.Group, key: object, value: object) -> bool:
    if not isinstance(key, str) or "/" in key or link_name(key) is None:
        return False
    if isinstance(value, str):
        fields.text(group, key, value)
    elif isinstance(value, bool):
        fields.scalar(group, key, value, "u1")
    elif isinstance(value, int) and value in _INT64:
        fields.scalar(group, key, value, "i8")
    elif isinstance(value, float):
        fields.scalar(group, key, value, "f8")
    else:
        return False
    return True
