"""A second root directory that takes the name of a second journal and none of its records."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.support import stream
from tests.support.second_root import (
    N_IMAGES,
    copied,
    fill_the_first_root,
    images,
    recover_both,
    sent,
    writer_of,
)

N_FIRST = 6


def test_a_second_journal_that_cannot_be_written_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one says so: nobody waits for what a second one would tell."""
    roots = tmp_path / "first", tmp_path / "second"
    for root in roots:
        root.mkdir()
    daemon = writer_of(*roots)
    daemon.take(sent("NXmxVDS", N_FIRST))
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        if ".second." in Path(f"/proc/self/fd/{descriptor}").readlink().name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    fill_the_first_root(monkeypatch)
    daemon.take(images(N_FIRST, N_IMAGES))
    writer = daemon.writer
    assert writer is not None
    assert "the journal of the run cannot be created" in writer.synced.problem
    assert list(roots[1].rglob("*.journal")) == []
    first, second = copied(*roots, tmp_path / "crashed")
    daemon.take([stream.end(n_images=N_IMAGES)])
    assert daemon.written.report.n_written == N_IMAGES
    (result,) = recover_both(first, second, remove=True)
    assert (result.is_good, result.removed) == (False, False)
    assert result.line().endswith(f"; it went on in {roots[1]}/sub/, which is not recovered")
