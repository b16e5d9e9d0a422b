from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.nexus import times

OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-03-04T12:34:56.500000+01:00", "2026-03-04T11:34:56.500000Z"),
        ("2026-03-04T12:34:56Z", "2026-03-04T12:34:56Z"),
        ("2026-03-04t12:34:56z", "2026-03-04T12:34:56Z"),
        ("2026-03-04 12:34:56-00:00", "2026-03-04T12:34:56Z"),
        ("2026-03-04T12:34:56.123456789Z", "2026-03-04T12:34:56.123456Z"),
        ("2026-03-04T12:34:56.1Z", "2026-03-04T12:34:56.100000Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2040-02-29T00:00:00+00:00", "2040-02-29T00:00:00Z"),
        ("0999-01-01T00:00:00Z", "0999-01-01T00:00:00Z"),
    ],
)
def test_rfc3339_in_utc(text: str, wanted: str) -> None:
    assert times.utc(text) == wanted


@pytest.mark.parametrize(
    "text",
    [None, "", "yesterday", "2026-03-04", "2026-03-04T12:34:56", "2026-02-30T12:34:56Z", "20260304T123456Z",
     "2026-03-04T25:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:60Z", "٢٠٢٦-03-04T12:34:56Z",
     "2026-03-04T12:34:56Z\n", "2026-03-04T12:34:56+99:99", "2026-W10-3T12:34:56Z"],
)  # fmt: skip
def test_what_is_no_date_is_none(text: str | None) -> None:
    assert times.utc(text) is None


@given(st.text(max_size=40))
def test_no_text_raises(text: str) -> None:
    times.utc(text)
    assert times.later(text, 1.0) == (text if times.utc(text) is None else times.later(text, 1.0))


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=OFFSETS))  # noqa: DTZ001 the strategy adds zones
def test_every_moment_survives(moment: datetime) -> None:
    text = times.utc(moment.isoformat())
    assert text is not None
    assert datetime.fromisoformat(text) == moment
    assert text.endswith("Z")


def test_unix_time() -> None:
    assert times.from_unix(0) == "1970-01-01T00:00:00Z"
    assert times.from_unix(1.7e9 + 0.25) == "2023-11-14T22:13:20.250000Z"
    assert datetime.fromisoformat(times.from_unix(1.7e9)) == datetime.fromtimestamp(1.7e9, UTC)


def test_later() -> None:
    assert times.later("2026-03-04T12:00:00Z", 90.5) == "2026-03-04T12:01:30.500000Z"
    assert times.later("2026-03-04T12:00:00Z", 1e300) == "2026-03-04T12:00:00Z"
    assert times.later("2026-03-04T12:00:00Z", float("nan")) == "2026-03-04T12:00:00Z"
