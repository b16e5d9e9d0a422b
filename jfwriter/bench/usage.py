"""What a process and its threads use, from proc(5). Everything here is of another process."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_CLOCK_HZ = os.sysconf("SC_CLK_TCK")
_SYNC_CALLS: Mapping[str, frozenset[str]] = {
    # fsync, fdatasync, sync_file_range, syncfs (unistd.h of the architecture)
    "x86_64": frozenset({"74", "75", "277", "306"}),
    "aarch64": frozenset({"82", "83", "84", "267"}),
}
_WRITE_CALLS: Mapping[str, frozenset[str]] = {
    # write, pwrite64, writev, pwritev, ftruncate, rename, renameat2, io_submit, io_getevents
    "x86_64": frozenset({"1", "18", "20", "296", "77", "82", "316", "209", "208"}),
    "aarch64": frozenset({"64", "68", "66", "70", "46", "38", "276", "2", "4"}),
}


def cpu_s(pid: int) -> float:
    """User and system time of all threads, in s (fields 14 and 15 of stat)."""
    user, system = _times(Path(f"/proc/{pid}/stat"))
    return user + system


def written_bytes(pid: int) -> int:
    """Bytes handed to write calls since the process began (`wchar`); 0 where the kernel does not count."""
    return _io(Path(f"/proc/{pid}/io")).get("wchar", 0)


def resident_bytes(pid: int) -> int:
    """VmRSS."""
    for line in _read(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


@dataclass(frozen=True, slots=True)
class ThreadUse:
    """Counters of one thread: CPU time and time ready to run without a CPU, in s; bytes handed to writes."""

    name: str
    user_s: float
    system_s: float
    ready_s: float
    written_bytes: int

    @property
    def busy_s(self) -> float:
        return self.user_s + self.system_s + self.ready_s

    def since(self, before: ThreadUse) -> ThreadUse:
        return ThreadUse(
            self.name,
            self.user_s - before.user_s,
            self.system_s - before.system_s,
            self.ready_s - before.ready_s,
            self.written_bytes - before.written_bytes,
        )


def thread_ids(pid: int) -> list[int]:
    """Threads of a process; none if it is gone."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]  # noqa: PTH208 a hundred times a second
    except OSError:
        return []


def threads(pid: int) -> dict[int, ThreadUse]:
    """All threads of a process, by thread id; without those that end meanwhile."""
    found: dict[int, ThreadUse] = {}
    for tid in thread_ids(pid):
        task = Path(f"/proc/{pid}/task/{tid}")
        name, waits = _read(task / "comm").strip(), _read(task / "schedstat").split()
        user, system = _times(task / "stat")
        ready_s = int(waits[1]) / 1e9 if len(waits) > 1 else 0.0
        found[tid] = ThreadUse(name, user, system, ready_s, _io(task / "io").get("wchar", 0))
    return found


def doing(pid: int, tid: int) -> str:
    """What a thread does at this moment: `computing` (or ready to), `writing` or `syncing` (blocked in such
    a call), `waiting`. Where the kernel does not show calls, every blocked disk access counts as writing."""
    state = _state(Path(f"/proc/{pid}/task/{tid}/stat"))
    if state == "R":
        return "computing"
    call = _read(Path(f"/proc/{pid}/task/{tid}/syscall")).partition(" ")[0]
    machine = platform.machine()
    if call in _SYNC_CALLS.get(machine, ()):
        return "syncing"
    if call in _WRITE_CALLS.get(machine, ()) or state == "D":
        return "writing"
    return "waiting"


def _read(path: Path) -> str:
    """Empty if the thread is gone or the kernel does not tell."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _fields(path: Path) -> list[str]:
    """Those behind the name, which may hold anything: from field 3 on."""
    return _read(path).rpartition(")")[2].split()


def _state(path: Path) -> str:
    return next(iter(_fields(path)), "")


def _times(path: Path) -> tuple[float, float]:
    fields = _fields(path)
    if len(fields) < 13:
        return 0.0, 0.0
    return int(fields[11]) / _CLOCK_HZ, int(fields[12]) / _CLOCK_HZ


def _io(path: Path) -> dict[str, int]:
    pairs = (line.partition(":") for line in _read(path).splitlines())
    return {name: int(value) for name, _, value in pairs if value.strip().isdecimal()}
