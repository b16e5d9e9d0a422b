"""What a killed writer leaves: a copy of its directory, made while it lives.

A copy holds what had been handed to the system, and nothing that was only in the memory of the process; it
is not locked, as the writer of the copy does not exist.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from jfwriter.recovery.place import Options
from jfwriter.recovery.result import RunResult
from jfwriter.recovery.search import recover_below
from tests.support.daemon import wait_for
from tests.support.offline import OfflineDaemon


def crash(living: Path, crashed: Path, messages: Iterable[bytes], **settings: dict[str, object]) -> Path:
    """Feed `messages` to a writer below `living`; `crashed` is then what a kill would have left there, once
    all images had reached the disk."""
    living.mkdir()
    settings = {"journal": {"sync_interval_s": 0.01}, "files": {"sync": True}, **settings}
    daemon = OfflineDaemon(living, **settings)
    daemon.take(messages)
    writer = daemon.writer
    assert writer is not None
    n_images = daemon.session.snapshot().n_accepted
    wait_for(lambda: writer.synced.n_images == n_images)
    shutil.copytree(living, crashed, symlinks=True)
    writer.abandon()
    return crashed


def recover(top: Path, **options: bool) -> list[RunResult]:
    return list(recover_below(top, Options(**options)))


def recover_one(top: Path, **options: bool) -> RunResult:
    (result,) = recover(top, **options)
    return result


def content(top: Path) -> dict[str, bytes]:
    """Every file below `top`."""
    return {str(p.relative_to(top)): p.read_bytes() for p in sorted(top.rglob("*")) if p.is_file()}
