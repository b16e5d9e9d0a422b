from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.errors import RunRefused
from jfwriter.session.paths import LONGEST_TAIL, MAX_DEPTH, MAX_NAME_BYTES, MAX_PATH_BYTES, split_prefix

ROOM = MAX_NAME_BYTES - len(LONGEST_TAIL)


@pytest.mark.parametrize("prefix", [None, ""])
def test_no_prefix_means_no_files(prefix: str | None) -> None:
    assert split_prefix(prefix) is None


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("scan", ((), "scan")),
        ("a/b/scan", (("a", "b"), "scan")),
        ("Lysozym Größe/µ 100%", (("Lysozym Größe",), "µ 100%")),
        ("..a/b..", (("..a",), "b..")),
        (".hidden/...", ((".hidden",), "...")),
        ("a\\b", ((), "a\\b")),
        ("~/$HOME", (("~",), "$HOME")),
        ("a:b*?", ((), "a:b*?")),
        ("d" * MAX_NAME_BYTES + "/" + "s" * ROOM, (("d" * MAX_NAME_BYTES,), "s" * ROOM)),
        ("/".join("d" * (MAX_DEPTH + 1)), (("d",) * MAX_DEPTH, "d")),
    ],
)
def test_taken(prefix: str, expected: tuple[tuple[str, ...], str]) -> None:
    assert split_prefix(prefix) == expected


@pytest.mark.parametrize(
    ("prefix", "why"),
    [
        ("/etc/x", "absolute"),
        ("//x", "absolute"),
        ("..", "'..'"),
        ("../x", "'..'"),
        ("a/..", "'..'"),
        ("a/../x", "'..'"),
        ("a/../../x", "'..'"),
        (".", "'.'"),
        ("./x", "'.'"),
        ("a/./x", "'.'"),
        ("a//x", "empty part"),
        ("a/", "empty part"),
        ("a\0b", "control"),
        ("a\nb", "control"),
        ("a\x7fb", "control"),
        ("a\x85b", "control"),
        ("a\u2028b", "control or invisible"),
        ("a\u202eb", "control or invisible"),
        ("a\u200bb", "control or invisible"),
        ("a\ud800b", "control or invisible"),
        ("x" * (ROOM + 1), "too long a name"),
        ("µ" * (ROOM // 2 + 1), "too long a name"),
        ("d" * (MAX_NAME_BYTES + 1) + "/x", "too long a name"),
        ("d/" * 5000 + "x", "sub-directories"),
        ("/".join("d" * (MAX_DEPTH + 2)), "sub-directories"),
        ("/".join(["d" * 200] * 21), "longer than"),
    ],
)
def test_refused(prefix: str, why: str) -> None:
    with pytest.raises(RunRefused, match=why) as caught:
        split_prefix(prefix)
    assert caught.value.reason == "path"
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1200


@given(st.text() | st.lists(st.sampled_from(["a", "..", ".", "", "b c", "\0", "x" * 100])).map("/".join))
def test_what_is_taken_stays_below_the_root(prefix: str) -> None:
    try:
        place = split_prefix(prefix)
    except RunRefused:
        return
    if place is None:
        assert prefix == ""
        return
    directory, basename = place
    assert "/".join((*directory, basename)) == prefix
    for part in (*directory, basename):
        assert part not in {"", ".", ".."}
        assert "/" not in part
        assert "\0" not in part
        assert len(part.encode()) <= MAX_NAME_BYTES
    assert len((basename + LONGEST_TAIL).encode()) <= MAX_NAME_BYTES
    assert len((prefix + LONGEST_TAIL).encode()) <= MAX_PATH_BYTES
