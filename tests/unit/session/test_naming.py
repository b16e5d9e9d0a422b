"""Prefixes for senders that name no file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.session.naming import MAX_ID_LENGTH, default_prefix
from jfwriter.wire.messages import StartMessage

RECEIVED_AT = 1_700_000_000.0  # 2023-11-14T22:13:20Z


def start(unique_id: str = "lyso_1", series_id: int = 7) -> StartMessage:
    return StartMessage(series_id=series_id, series_unique_id=unique_id, image_size_x=4, image_size_y=3)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("", ""),
        ("{series_unique_id}", "lyso_1"),
        ("{date}/{series_id:06d}_{series_unique_id}", "2023-11-14/000007_lyso_1"),
        ("fixed", "fixed"),
    ],
)
def test_fields_are_filled_in(template: str, expected: str) -> None:
    assert default_prefix(template, start(), RECEIVED_AT) == expected


@pytest.mark.parametrize(
    ("unique_id", "expected"),
    [
        ("../../etc/passwd", "__.._etc_passwd"),
        ("/etc/x", "_etc_x"),
        ("..", "_"),
        (".hidden", "_hidden"),
        ("a\0b\nc", "a_b_c"),
        ("Probe µ", "Probe__"),
        ("{series_id}", "_series_id_"),
        ("", "unnamed"),
    ],
)
def test_hostile_ids_become_plain(unique_id: str, expected: str) -> None:
    assert default_prefix("{series_unique_id}", start(unique_id), RECEIVED_AT) == expected


@given(st.text(max_size=300))
def test_an_id_never_leaves_its_place(unique_id: str) -> None:
    prefix = default_prefix("{series_unique_id}", start(unique_id), RECEIVED_AT)
    assert prefix.isascii()
    assert 1 <= len(prefix) <= MAX_ID_LENGTH
    assert not prefix.startswith(".")
    assert "/" not in prefix
