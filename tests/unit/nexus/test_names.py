from __future__ import annotations

import h5py
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.nexus.names import link_name, link_names


@pytest.mark.parametrize("name", ["", ".", "..", "a\0b", "a\nb", "\x7f", "\ud800", "x" * 256, "é" * 128])
def test_refused(name: str) -> None:
    assert link_name(name) is None


@pytest.mark.parametrize(
    ("name", "link"),
    [("beam", "beam"), ("a/b", "a_b"), ("../x", ".._x"), ("/", "_"), ("50%", "50%"), ("größe", "größe"),
     ("x" * 255, "x" * 255), ("...", "...")],
)  # fmt: skip
def test_accepted(name: str, link: str) -> None:
    assert link_name(name) == link


@given(st.text(max_size=300))
def test_what_is_accepted_makes_exactly_one_member(name: str) -> None:
    link = link_name(name)
    if link is not None:
        with h5py.File("names.h5", "w", driver="core", backing_store=False) as file:
            file.create_group(link)
            assert list(file) == [link]


def test_the_first_of_two_that_collide_stays() -> None:
    warnings: list[str] = []
    chosen = link_names(["a/b", "map", "a_b", "..", "c", "c"], "ROI", warnings, reserved=("map",))
    assert chosen == {"a/b": "a_b", "c": "c"}
    assert [warning.split(":")[0] for warning in warnings] == [
        "ROI 'map'",
        "ROI 'a_b'",
        "ROI '..'",
        "ROI 'c'",
    ]


def test_a_long_name_is_shortened_in_its_warning() -> None:
    warnings: list[str] = []
    link_names(["x" * 5000], "ROI", warnings)
    assert len(warnings[0]) < 150
