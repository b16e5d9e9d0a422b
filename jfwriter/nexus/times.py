"""Points in time as NeXus wants them: UTC, `YYYY-MM-DDThh:mm:ss[.ffffff]Z` (NX_DATE_TIME, ISO 8601)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}):(\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


def utc(text: str | None) -> str | None:
    """`text` (RFC 3339, any offset) in UTC, cut to microseconds; None if it is not such a date-time."""
    moment = _parsed(text)
    return None if moment is None else _written(moment)


def from_unix(seconds: float) -> str:
    """Unix time in s."""
    return _written(datetime.fromtimestamp(seconds, UTC))


def later(text: str, seconds: float) -> str:
    """`seconds` after `text`; `text` itself when the sum is no date that can be written."""
    moment = _parsed(text)
    try:
        return text if moment is None else _written(moment + timedelta(seconds=seconds))
    except (OverflowError, ValueError):
        return text


def _parsed(text: str | None) -> datetime | None:
    match = _RFC3339.fullmatch(text or "")
    if match is None:
        return None
    date, minute, second, fraction, offset = match.groups(default="")
    leap = second == "60"  # a leap second is the first second of the next minute
    try:
        moment = datetime.fromisoformat(
            f"{date}T{minute}:{'59' if leap else second}{fraction[:7]}{offset.upper()}"
        )
        return moment.astimezone(UTC) + timedelta(seconds=leap)
    except (ValueError, OverflowError):
        return None


def _written(moment: datetime) -> str:
    fraction = f".{moment.microsecond:06d}" if moment.microsecond else ""
    return f"{moment.year:04d}{moment:-%m-%dT%H:%M:%S}{fraction}Z"
