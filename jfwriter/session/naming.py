"""A file prefix for runs whose start message carries none."""

from __future__ import annotations

import datetime
import re

from jfwriter.wire.messages import StartMessage

MAX_ID_LENGTH = 100
"""Characters of `series_unique_id` that are used; file systems end names at 255 bytes."""

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._-]")


def default_prefix(template: str, start: StartMessage, received_at: float) -> str:
    """Fill the setting `files.default_prefix` (checked when it was loaded) in for one run.

    `received_at` is Unix time in s. The sender's text can add neither directories nor a leading dot; the
    result passes the same path checks as a prefix that was sent. Two ids that become the same text meet
    on the same file name, and the second run is refused as any other conflict.
    """
    if not template:
        return ""
    day = datetime.datetime.fromtimestamp(received_at, datetime.UTC).date()
    return template.format_map(
        {
            "series_id": start.series_id,
            "series_unique_id": _plain(start.series_unique_id),
            "date": day.isoformat(),
        }
    )


def _plain(text: str) -> str:
    """Letters, digits, `.`, `_` and `-` only; never empty, never hidden."""
    plain = _NOT_PLAIN.sub("_", text[:MAX_ID_LENGTH])
    return re.sub(r"^\.+", "_", plain) or "unnamed"
