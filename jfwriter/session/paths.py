"""Which file prefixes are taken: a check of the text alone, before any directory is looked at.

What the text cannot tell (symbolic links, existing files) is checked by `hdf5.run_directory`.
"""

from __future__ import annotations

import unicodedata

from jfwriter.errors import RunRefused

MAX_NAME_BYTES = 255
"""NAME_MAX of Linux file systems."""
MAX_PATH_BYTES = 4095
"""PATH_MAX of Linux without the closing NUL."""
MAX_DEPTH = 64
"""Sub-directories of one prefix. Nobody sorts runs so deep; a hostile prefix could ask for two thousand."""
LONGEST_TAIL = "_data_000000001.h5.0123456789abcdef.tmp.journal"
"""The longest that follows the basename: nine digits for the data file, then the temporary suffix and that
of the journal."""

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def split_prefix(prefix: str | None) -> tuple[tuple[str, ...], str] | None:
    """(sub-directories, basename) of a file prefix; None if it is absent or empty, which means: no files.

    Raises RunRefused (reason "path") for a prefix that is absolute, has a part that is empty, "." or "..",
    holds a control, invisible or unpaired surrogate character, is too long once the writer's own endings
    are added, or is deeper than MAX_DEPTH.
    """
    if not prefix:
        return None
    if prefix.startswith("/"):
        raise _refused(prefix, "is absolute; it must be relative to the root directory")
    if any(unicodedata.category(character) in _INVISIBLE for character in prefix):
        raise _refused(prefix, "holds a control or invisible character")
    parts = prefix.split("/")
    for part in parts:
        _check_part(prefix, part)
    if len(parts) - 1 > MAX_DEPTH:
        raise _refused(prefix, f"has {len(parts) - 1} sub-directories; the limit is {MAX_DEPTH}")
    _check_lengths(prefix, parts)
    return tuple(parts[:-1]), parts[-1]


def _check_part(prefix: str, part: str) -> None:
    if not part:
        raise _refused(prefix, "has an empty part ('//' or a '/' at its end)")
    if part in {".", ".."}:
        raise _refused(prefix, f"has a part {part!r}; only plain names are taken")


def _check_lengths(prefix: str, parts: list[str]) -> None:
    tail = len(LONGEST_TAIL)
    longest = max((len(part.encode()) for part in parts[:-1]), default=0)
    if max(longest, len(parts[-1].encode()) + tail) > MAX_NAME_BYTES:
        raise _refused(
            prefix,
            f"has too long a name: a directory may have {MAX_NAME_BYTES} bytes, "
            f"the last part {MAX_NAME_BYTES - tail}",
        )
    if len(prefix.encode()) + tail > MAX_PATH_BYTES:
        raise _refused(prefix, f"is longer than {MAX_PATH_BYTES - tail} bytes")


def _refused(prefix: str, problem: str) -> RunRefused:
    shown = ascii(prefix) if len(prefix) <= 80 else f"{prefix[:80]!a}..."
    return RunRefused("path", f"file_prefix {shown} {problem}")
