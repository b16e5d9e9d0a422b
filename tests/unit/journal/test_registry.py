"""The list of unfinished runs below a root."""

from __future__ import annotations

import os

import pytest

from jfwriter.journal import registry

TOKENS = ("0123456789abcdef", "fedcba9876543210")


def test_entries_come_and_go(tmp_path):
    assert registry.entries(tmp_path) == []
    registry.add(tmp_path, TOKENS[1], "b/run.journal")
    registry.add(tmp_path, TOKENS[0], "a/run.journal")
    assert registry.entries(tmp_path) == [(TOKENS[0], "a/run.journal"), (TOKENS[1], "b/run.journal")]
    registry.remove(tmp_path, TOKENS[0])
    assert registry.entries(tmp_path) == [(TOKENS[1], "b/run.journal")]
    registry.remove(tmp_path, TOKENS[1])
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_entry_is_left_alone(tmp_path):
    registry.add(tmp_path, TOKENS[0], "a")
    folder = tmp_path / registry.DIRECTORY
    (folder / "notes.txt").write_text("mine")
    (folder / TOKENS[1]).symlink_to("/etc/passwd")
    os.mkfifo(folder / "aaaaaaaaaaaaaaaa")
    assert registry.entries(tmp_path) == [(TOKENS[0], "a")]
    registry.remove(tmp_path, TOKENS[0])
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_link_in_its_place_is_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "root"
    root.mkdir()
    (root / registry.DIRECTORY).symlink_to(outside)
    with pytest.raises(OSError, match="directory"):
        registry.add(root, TOKENS[0], "a")
    assert list(outside.iterdir()) == []
    assert registry.entries(root) == []
