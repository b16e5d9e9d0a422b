"""Text of which a stranger may have made a part, as a person is shown it: in a log or a terminal.

A control sequence could move the cursor, colour or clear a terminal, or begin a line that looks like one of
the writer's own; a bidirectional override shows a name in another order than it is stored in. Python's
`str.isprintable` (Unicode categories "Other" and "Separator", but for the space) tells all of them.
"""

from __future__ import annotations

from collections.abc import Iterable

MAX_CHARACTERS = 4000


def printable(text: str) -> str:
    """`text` in one line: what is not printable as an escape, at most `MAX_CHARACTERS` of it."""
    if len(text) > MAX_CHARACTERS:
        text = f"{text[:MAX_CHARACTERS]}... ({len(text)} characters)"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def printable_lines(lines: Iterable[str]) -> str:
    """Each of `lines` as `printable`, one below the other."""
    return "\n".join(map(printable, lines))
