"""Small real file systems, where the tests may mount them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def tmpfs(place: Path, options: str) -> Iterator[Path]:
    """A tmpfs at `place`, which is made; skips where nothing may be mounted. Gone at the end."""
    place.mkdir(exist_ok=True)
    mounted = run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place))
    if mounted.returncode:
        pytest.skip(f"nothing may be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        run("umount", "-l", str(place))


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def remount(place: Path, options: str) -> None:
    done = run("mount", "-o", f"remount,{options}", str(place))
    assert done.returncode == 0, done.stderr


def unmount(place: Path) -> None:
    """As `umount -l`: what is open stays usable, the path leads to the empty mount point."""
    done = run("umount", "-l", str(place))
    assert done.returncode == 0, done.stderr


class Ext4:
    """An ext4 of 8 MB in a file, mounted at `place`; skips where that cannot be had. Use it in `with`."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._image = place.parent / "ext4.img"

    def __enter__(self) -> Ext4:
        self.place.mkdir()
        with self._image.open("wb") as image:
            image.truncate(8 << 20)
        made = run("sh", "-c", f"mkfs.ext4 -q '{self._image}'")
        if made.returncode:
            pytest.skip(f"no ext4 can be made here: {made.stderr.strip()}")
        self.mount()
        self.break_switch()
        return self

    def __exit__(self, *_: object) -> None:
        run("umount", "-l", str(self.place))

    def mount(self) -> None:
        mounted = run("mount", "-o", "loop,errors=remount-ro", str(self._image), str(self.place))
        if mounted.returncode:
            pytest.skip(f"nothing may be mounted here: {mounted.stderr.strip()}")

    def break_switch(self) -> Path:
        device = Path(run("findmnt", "-n", "-o", "SOURCE", str(self.place)).stdout.strip()).name
        switch = Path(f"/sys/fs/ext4/{device}/trigger_fs_error")
        if not switch.exists():
            run("umount", "-l", str(self.place))
            pytest.skip("this kernel cannot be told to break a file system")
        return switch

    def find_broken(self) -> None:
        """The kernel believes that the file system is damaged and makes it read-only at once."""
        self.break_switch().write_text("test\n")

    def repair(self) -> None:
        """Unmount it, which nobody may hinder by a file that is open, check it, mount it again."""
        done = run("umount", str(self.place))
        assert done.returncode == 0, done.stderr
        run("e2fsck", "-fy", str(self._image))
        self.mount()
