"""What a person is shown: one line, nothing that acts on a terminal, nothing that turns the order of text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.printable import MAX_CHARACTERS, printable, printable_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("run 'x'", "run 'x'"),
        ("a\nb", r"a\nb"),
        ("a\x1b[31mb\x07", r"a\x1b[31mb\x07"),
        ("right\u202eleft", r"right\u202eleft"),
        ("forged\r\n<0>emergency", r"forged\r\n<0>emergency"),
        ("isolated\u2066txt\u2069", r"isolated\u2066txt\u2069"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("c1\x9b31m", r"c1\x9b31m"),
        ("line\u2028end", r"line\u2028end"),
        ("\ud800", r"\ud800"),
        ("Å µ 漢", "Å µ 漢"),
    ],
)
def test_only_printable_text_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_huge_text_is_cut() -> None:
    shown = printable("x" * 1_000_000)
    assert len(shown) < 5000
    assert shown.endswith("(1000000 characters)")


@given(st.text(max_size=2 * MAX_CHARACTERS))
def test_whatever_comes_is_one_printable_line(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    shown.encode()


def test_lines_stay_lines() -> None:
    assert printable_lines(["a\nb", "c"]) == "a\\nb\nc"
