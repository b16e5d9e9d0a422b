from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jfwriter.errors import RunRefused
from jfwriter.hdf5.link_walk import MAX_LINKS, Walk


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """root/day1/lyso, and beside the root a directory that must never be reached."""
    (tmp_path / "root" / "day1" / "lyso").mkdir(parents=True)
    (tmp_path / "root" / "day2").mkdir()
    (tmp_path / "outside" / "day1").mkdir(parents=True)
    (tmp_path / "rootlike").mkdir()
    return tmp_path / "root"


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Iterator[None]:
    descriptors = Path("/proc/self/fd")
    before = sum(1 for _ in descriptors.iterdir())
    yield
    assert sum(1 for _ in descriptors.iterdir()) == before


def reached(root: Path, *parts: str) -> tuple[Path, tuple[str, ...]]:
    """(where the walk ends, relative to the root; what is missing)."""
    with closing(Walk(root)) as walk:
        walk.descend(parts)
        here = Path(f"/proc/self/fd/{walk.descriptor}").readlink()
        return here.relative_to(root.resolve()), walk.missing


def refused(root: Path, *parts: str) -> str:
    with closing(Walk(root)) as walk, pytest.raises(RunRefused) as caught:
        walk.descend(parts)
    assert caught.value.reason == "path"
    assert str(root.parent) not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((), ("", ())),
        (("day1", "lyso"), ("day1/lyso", ())),
        (("day1", "new", "er"), ("day1", ("new", "er"))),
        (("day3",), ("", ("day3",))),
    ],
)
def test_plain_directories(root: Path, parts: tuple[str, ...], expected: tuple[str, tuple[str, ...]]) -> None:
    assert reached(root, *parts) == (Path(expected[0]), expected[1])


@pytest.mark.parametrize("target", ["day1", "./day1/", "day2/../day1", "day2//..//day1/.", "{root}/day1"])
def test_links_that_stay_inside(root: Path, target: str) -> None:
    (root / "today").symlink_to(target.format(root=root))
    assert reached(root, "today", "lyso", "new") == (Path("day1/lyso"), ("new",))


def test_links_from_deeper_down(root: Path) -> None:
    (root / "day1" / "up").symlink_to("../day2")
    assert reached(root, "day1", "up") == (Path("day2"), ())
    (root / "day1" / "lyso" / "whole").symlink_to(f"{root}")
    assert reached(root, "day1", "lyso", "whole", "day2") == (Path("day2"), ())


def test_links_to_links(root: Path) -> None:
    (root / "a").symlink_to("b/lyso")
    (root / "b").symlink_to(root / "c")
    (root / "c").symlink_to("day1")
    assert reached(root, "a") == (Path("day1/lyso"), ())


def test_a_root_that_is_a_link_itself(root: Path) -> None:
    named = root.parent / "named"
    named.symlink_to("root")
    (root / "by_name").symlink_to(named / "day1")
    (root / "by_place").symlink_to(root / "day1")
    assert reached(named, "by_name", "lyso") == (Path("day1/lyso"), ())
    assert reached(named, "by_place", "lyso") == (Path("day1/lyso"), ())


@pytest.mark.parametrize(
    "target",
    [
        "..",
        "../outside",
        "day1/../../outside",
        "/",
        "/etc",
        "{root}/../outside",
        "{root}like",
        "{root}/day1/../../outside/day1",
        "../root/day1",
    ],
)
def test_links_that_lead_out(root: Path, target: str) -> None:
    (root / "out").symlink_to(target.format(root=root))
    assert "leads out of the root" in refused(root, "out", "day1")


def test_links_to_nowhere(root: Path) -> None:
    (root / "lost").symlink_to("day3")
    assert "leads to nowhere" in refused(root, "lost")
    assert "leads to nowhere" in refused(root, "lost", "more")
    (root / "half").symlink_to("day1/day3")
    assert "leads to nowhere" in refused(root, "half", "more")
    assert not (root / "day3").exists()


def test_links_in_circles(root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    assert "too many" in refused(root, "a")
    (root / "c").symlink_to("c/c/c")
    assert "too many" in refused(root, "c")


def test_as_many_links_as_the_kernel_follows(root: Path) -> None:
    (root / "0").symlink_to("day1")
    for number in range(1, MAX_LINKS + 1):
        (root / str(number)).symlink_to(str(number - 1))
    assert reached(root, str(MAX_LINKS - 1)) == (Path("day1"), ())
    assert "too many" in refused(root, str(MAX_LINKS))


@pytest.mark.parametrize("kind", ["file", "fifo", "link to a file"])
def test_what_is_no_directory(root: Path, kind: str) -> None:
    if kind == "fifo":
        os.mkfifo(root / "thing")
    else:
        (root / "thing").write_text("x")
    if kind == "link to a file":
        (root / "link").symlink_to("thing")
        assert refused(root, "link", "day1") == "directory thing: is not a directory"
    else:
        assert refused(root, "thing") == "directory thing: is not a directory"


def test_no_root(tmp_path: Path) -> None:
    with pytest.raises(RunRefused, match="the root directory cannot be opened: No such file") as caught:
        Walk(tmp_path / "absent")
    assert caught.value.reason == "not_found"
    assert str(tmp_path) not in str(caught.value)


def test_a_directory_exchanged_for_a_link_behind_the_walk(root: Path) -> None:
    with closing(Walk(root)) as walk:
        walk.descend(("day1",))
        (root / "day1").rename(root / "moved")
        (root / "day1").symlink_to(root.parent / "outside")
        walk.descend(("lyso",))
        here = Path(f"/proc/self/fd/{walk.descriptor}").readlink()
    assert here == (root / "moved" / "lyso").resolve()
