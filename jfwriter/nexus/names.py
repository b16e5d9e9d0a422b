"""Names that come from outside (ROIs, calibration images, channels, user keys) as HDF5 link names."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

MAX_NAME_BYTES = 255


def link_name(name: str) -> str | None:
    """The link name for `name`: each "/" becomes "_"; None if it cannot be one.

    Refused: the empty name, "." and ".." (HDF5 gives them a meaning), control characters and lone
    surrogates, and names over 255 bytes of UTF-8.
    """
    candidate = name.replace("/", "_")
    if candidate in {"", ".", ".."}:
        return None
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in candidate):
        return None
    return candidate if len(candidate.encode()) <= MAX_NAME_BYTES else None


def link_names(
    names: Iterable[str], what: str, warnings: list[str], *, reserved: Iterable[str] = ()
) -> dict[str, str]:
    """Map each usable name to its link name, in order; the first of two that collide stays.

    `reserved` names belong to other members of the group. What is left out is said in
    `warnings`, as `what` and the (shortened) name.
    """
    chosen: dict[str, str] = {}
    taken = set(reserved)
    for name in names:
        candidate = link_name(name)
        if candidate is None:
            warnings.append(f"{what} {shown(name)}: not usable as a name in a file; it is left out")
        elif candidate in taken:
            warnings.append(f"{what} {shown(name)}: the name is taken; only the first is stored")
        else:
            chosen[name] = candidate
            taken.add(candidate)
    return chosen


def shown(name: str) -> str:
    """A foreign name for a log line: quoted, escaped, at most 60 characters."""
    return ascii(name if len(name) <= 60 else name[:57] + "...")
