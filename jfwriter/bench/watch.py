"""Looks at a process while it works, often enough to say what held it up."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType

from jfwriter.bench import usage

_INTERVAL_S = 0.01
_POINT_S = 0.1
_QUEUE_S = 0.25


@dataclass(frozen=True, slots=True)
class Point:
    """A moment: s since the watch began, bytes written so far, bytes that waited when last asked."""

    at_s: float
    written_bytes: int
    queue_bytes: int


@dataclass(frozen=True, slots=True)
class Watched:
    """What was seen. Shares are of `duration_s`, 0 to 1.

    `writer` says how the thread that wrote spent its time (`computing`, `writing`, `syncing`, `waiting`);
    `busiest_other` is the largest share of CPU, and of waiting for one, of any other thread, and its name.
    """

    points: tuple[Point, ...]
    duration_s: float
    cpu_s: float
    peak_resident_bytes: int
    writer: Mapping[str, float]
    writer_system: float
    """Share of the time that the writing thread computed inside the kernel, e.g. copied to the page cache."""
    busiest_other: float
    busiest_other_name: str
    backlog: float
    """Share of the times asked at which more than a message waited to be written."""


class Watch:
    """A block that watches `pid`. `queue_bytes` asks how much waits for the disk; None: nothing can wait.

    `more_than_bytes`: a queue up to this is no backlog.
    """

    def __init__(
        self, pid: int, queue_bytes: Callable[[], int] | None = None, more_than_bytes: float = 0.0
    ) -> None:
        self._pid, self._queue_bytes, self._more_than_bytes = pid, queue_bytes, more_than_bytes
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._points: list[Point] = []
        self._samples: list[dict[int, str]] = []
        self._n_asked = self._n_backlog = 0
        self._peak_bytes = 0

    def __enter__(self) -> Watch:
        self._began = time.monotonic()
        self._cpu_s = usage.cpu_s(self._pid)
        self._written_bytes = usage.written_bytes(self._pid)
        self._threads = usage.threads(self._pid)
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self._duration_s = time.monotonic() - self._began
        self._cpu_s = usage.cpu_s(self._pid) - self._cpu_s
        new = usage.ThreadUse("", 0.0, 0.0, 0.0, 0)
        now = usage.threads(self._pid)
        self._used = {tid: use.since(self._threads.get(tid, new)) for tid, use in now.items()}

    @property
    def n_points(self) -> int:
        """Points so far."""
        return len(self._points)

    def result(self) -> Watched:
        """After the block."""
        duration_s = max(self._duration_s, 1e-9)
        nothing = usage.ThreadUse("", 0.0, 0.0, 0.0, 0)
        writer = max(self._used, key=lambda tid: self._used[tid].written_bytes, default=0)
        others = [use for tid, use in self._used.items() if tid != writer]
        busiest = max(others, key=lambda use: use.busy_s, default=nothing)
        seen = Counter(_of_writer(sample, writer) for sample in self._samples)
        n_seen = max(1, seen.total())
        return Watched(
            points=tuple(self._points),
            duration_s=duration_s,
            cpu_s=self._cpu_s,
            peak_resident_bytes=self._peak_bytes,
            writer={name: seen[name] / n_seen for name in ("computing", "writing", "syncing", "waiting")},
            writer_system=self._used.get(writer, nothing).system_s / duration_s,
            busiest_other=busiest.busy_s / duration_s,
            busiest_other_name=busiest.name,
            backlog=self._n_backlog / max(1, self._n_asked),
        )

    def _work(self) -> None:
        next_point = next_queue = 0.0
        queued = 0
        while not self._done.wait(_INTERVAL_S):
            at_s = time.monotonic() - self._began
            self._samples.append({tid: usage.doing(self._pid, tid) for tid in usage.thread_ids(self._pid)})
            if at_s >= next_queue and self._queue_bytes is not None:
                queued = self._queue_bytes()
                self._n_asked += 1
                self._n_backlog += queued > self._more_than_bytes
                next_queue = at_s + _QUEUE_S
            if at_s >= next_point:
                written = usage.written_bytes(self._pid) - self._written_bytes
                self._points.append(Point(at_s, written, queued))
                self._peak_bytes = max(self._peak_bytes, usage.resident_bytes(self._pid))
                next_point = at_s + _POINT_S


def _of_writer(sample: Mapping[int, str], writer: int) -> str:
    """What the writing thread did; it also syncs when it waits while another thread does that for it."""
    doing = sample.get(writer, "waiting")
    return "syncing" if doing == "waiting" and "syncing" in sample.values() else doing
