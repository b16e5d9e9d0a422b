"""The names that files of a run can have: what a journal names otherwise is not touched."""

from __future__ import annotations

import re

_FINAL = r"_(data_[0-9]+(_part)?\.h5|master\.h5|manifest(_[0-9]+)?\.json)"
_TAIL = r"\.[0-9a-f]{16}\.tmp"
_TEMPORARY = re.compile(_FINAL + _TAIL)
_EITHER = re.compile(f"{_FINAL}({_TAIL})?")


def is_temporary(basename: str, name: str) -> bool:
    """Whether a writer of a run called `basename` can have made the temporary file `name`."""
    return name.startswith(basename) and _TEMPORARY.fullmatch(name, len(basename)) is not None


def is_of_run(basename: str, name: str) -> bool:
    """The same of files with a final name as well."""
    return name.startswith(basename) and _EITHER.fullmatch(name, len(basename)) is not None
