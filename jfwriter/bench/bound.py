"""What a writer was bound by, decided from what it was seen to do."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from jfwriter.bench.watch import Watched

_WHOLE_THREAD = 0.85
"""A thread that is busy for this share of the time is at its end: the rest is hand-over."""
_BACKLOG = 0.5


class Bound(enum.StrEnum):
    """`receiving`: the writer waited for images; `cpu`: for a processor; `storage`: for writes to return;
    `sync`: for files to be on the disk."""

    RECEIVING = "receiving"
    CPU = "cpu"
    STORAGE = "storage"
    SYNC = "sync"


@dataclass(frozen=True, slots=True)
class Finding:
    """The bound, and the measured reason in words."""

    bound: Bound
    reason: str
    advice: str


_ADVICE = {
    Bound.RECEIVING: "The writer has room: look at the network and at the sender.",
    Bound.CPU: "A faster core, a core of its own (CPUAffinity), or more writers.",
    Bound.STORAGE: "A faster storage, or one that is used by fewer; more memory only helps for stalls.",
    Bound.SYNC: "A faster storage, fewer images per file, or a kernel that starts to write earlier "
    "(vm.dirty_background_bytes).",
}


def decide(seen: Watched) -> Finding:
    """Where images queued up before the writing thread, what that thread did most of the time; else what
    came before it: a thread that used a whole processor, or nothing in this process."""
    if seen.backlog < _BACKLOG:
        if seen.busiest_other >= _WHOLE_THREAD:
            return _finding(
                Bound.CPU, f"thread {seen.busiest_other_name!r} used {seen.busiest_other:.0%} of a core"
            )
        return _finding(
            Bound.RECEIVING,
            f"nothing waited to be written {1 - seen.backlog:.0%} of the time, and no thread was at its end "
            f"(the busiest besides the writing one: {seen.busiest_other:.0%} of a core)",
        )
    shares = {Bound.SYNC: seen.writer["syncing"], Bound.STORAGE: seen.writer["writing"]}
    # With images waiting, a writing thread that waits for something else waits for Python's lock.
    shares[Bound.CPU] = seen.writer["computing"] + seen.writer["waiting"]
    bound = max(shares, key=lambda one: shares[one])
    words = ", ".join(f"{name} {share:.0%}" for name, share in seen.writer.items())
    return _finding(bound, f"images waited to be written, and the writing thread was {words} of the time")


def _finding(bound: Bound, reason: str) -> Finding:
    return Finding(bound, reason, _ADVICE[bound])
